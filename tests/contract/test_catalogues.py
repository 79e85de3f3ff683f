"""Metrics and heads stand in one place each: what a new one touches, held by adding one."""

import ast
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from stages.core.heads import HEADS
from stages.retrieval.catalogue import METRICS

ROOT = Path(__file__).resolve().parents[2]
CATALOGUE = "stages/retrieval/catalogue.py"
# Modules that spell a retrieval metric beside the catalogue, and why.
SPELL_METRICS = {
    "stages/encoders/recipes.py": "what training keeps an epoch by, on validation: values of a param",
    "stages/encoders/validation.py": "the same, computed",
    "stages/profiles/check.py": "the same, checked",
    "stages/report/training.py": "the same, shown; its stage depends on nothing of retrieval",
    "stages/report/leaderboard_page.py": "the legend of its tables",
    "stages/report/plots_file.py": "titles of plots and the file of a curve",
    "stages/retrieval/evaluate_retrieval.py": "the file of that curve",
}
# Modules that name more than one head, and why.
NAME_HEADS = {
    "stages/labels/deepfashion_mm.py": "a policy reads gender and type from file names",
    "stages/labels/fashion_products.py": "a policy rejects rows by gender, and chooses the superclass by type",
    "stages/ingest/readers/deepfashion_mm.py": "the files of upstream",
    "stages/ingest/readers/fashion_products.py": "the columns of upstream",
    "stages/demo/truth.py": "the truth is written by hand",
    "stages/demo/sources/deepfashion_mm_release.py": "the files of upstream, drawn",
    "stages/report/shortcut_check.py": "which head a feature may solve",
    "stages/web/views.py": "the page narrows by type and color without opening more, where the classifier has them",
}


def constants(path: Path) -> set[str]:
    """The strings of a module that are no docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose
    }


@cache
def modules() -> dict[str, set[str]]:
    """File -> its strings."""
    return {path.relative_to(ROOT).as_posix(): constants(path) for path in sorted((ROOT / "stages").rglob("*.py"))}


def test_metrics_are_spelled_in_the_catalogue_alone():
    stems = [
        spelling.partition("{k}")[0] for metric in METRICS if metric.has_k for spelling in (metric.key, metric.label)
    ]
    with_k = re.compile(rf"(?<![A-Za-z_])({'|'.join(map(re.escape, stems))})")
    whole = {spelling for metric in METRICS if not metric.has_k for spelling in (metric.key, metric.label)}
    spelling = {file for file, found in modules().items() if found & whole or any(map(with_k.search, found))}
    assert spelling == {CATALOGUE, *SPELL_METRICS}


def test_heads_are_named_in_their_table_alone():
    naming = {file for file, found in modules().items() if len(found & set(HEADS)) > 1}
    assert naming == set(NAME_HEADS)


def run_in_copy(folder: Path, script: str) -> str:
    """The output of a script in a copy of the code and tables."""
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def copied(folder: Path) -> Path:
    for part in ("stages", "tables", "profiles"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


USE_METRIC = """
import numpy as np, pyarrow as pa
from stages.report.key_metrics import key_metrics
from stages.report.leaderboard import entry
from stages.report.leaderboard_page import cells, columns_of
from stages.report.seeds import CLAIMS
from stages.retrieval.comparison import compared
from stages.retrieval.evaluate_retrieval import CLEAN_COLUMNS, key_metrics as in_metrics
from stages.retrieval.score_vectors import table
from stages.retrieval.metrics import EvaluateParams, evaluate
from stages.retrieval.similarity import Rows

def rows(names, items, vectors):
    return Rows(pa.array(names), pa.array(items), pa.array(["top"] * len(names)), np.array(vectors, np.float32),
                np.ones(len(names), bool))

gallery = rows(["x", "y", "z", "w"], ["1", "2", "2", "3"], [[1, 0], [0.9, 0.5], [0, 1], [-1, 0]])
queries = rows(["a", "b"], ["1", "2"], [[1, 0], [1, 0]])
result = evaluate(queries, gallery, "cosine", EvaluateParams(ks=[1], bootstrap_samples=5, seed=0, memory_mb=64))
own = result["whole_gallery"]
print("value", own["first_rank"], round(result["chance"]["whole_gallery"]["first_rank"], 6))
print("interval", "first_rank_low95" in own, "compared", compared(result)["whole_gallery"]["first_rank"])
columns = columns_of({"e": {"b": entry(result)}}, [], "b")
print("page", dict(columns)["first_rank"], "[" in cells(entry(result), columns)[list(dict(columns)).index("first_rank")])
print("seeds", CLAIMS["first_rank"], "clean", "first_rank_clean" in CLEAN_COLUMNS)
print("terminal", "first rank" in table("b", result | {"metric": "cosine"}))
print("metrics", in_metrics({"b": result}, ["b"])["b"]["first rank"])
one, two = ({"b.first rank": value} for value in (3.0, 2.0))
best = [row for row in key_metrics({"retrieval/one": one, "retrieval/two": two}) if row.metric == "first rank"]
print("best", best[0].value, best[0].baseline)
"""


def test_a_new_metric_is_a_function_and_its_entry_in_the_catalogue(tmp_path):
    """The rank of the first relevant row, lower is better: by hand 1 and 2, mean 1.5.

    A random order of 4 rows with R right ones has its first at (4 + 1) / (R + 1): 2.5 and 5 / 3, mean 25 / 12.
    """
    file = copied(tmp_path) / CATALOGUE
    text = file.read_text(encoding="utf-8")
    function = "def first_rank(ranks):\n    return ranks.ranking.ranks[ranks.starts] * ranks.scored\n\n\nclass Place("
    entry = (
        'METRICS = (\n    Metric("first_rank", "first rank", first_rank, dict.fromkeys(Place, ALL),\n'
        "           lambda gallery, relevant: (gallery + 1) / (relevant + 1), higher_is_better=False),\n"
    )
    assert text.count("class Place(") == text.count("METRICS = (\n") == 1
    file.write_text(text.replace("class Place(", function).replace("METRICS = (\n", entry), encoding="utf-8")
    assert run_in_copy(tmp_path, USE_METRIC).splitlines() == [
        "value 1.5 2.083333",
        "interval True compared 1.5",
        "page first rank True",
        "seeds ('first rank', ('first_rank', 'chance')) clean True",
        "terminal True",
        "metrics 1.5",
        "best 2.0 two, best of 2",
    ]


USE_HEAD = """
from pathlib import Path
import pandas as pd
from stages.benchmarks.params import BenchmarkParams
from stages.contracts.ledger import Account
from stages.contracts.tables import CROPS, LABELS
from stages.crops.dataset import vocabulary
from stages.labels.labels import label_items, read_corrections
from stages.labels.fashion_products import columns
from stages.labels.merging import read_label_tables
from stages.labels.params import LabelParams
from stages.profiles.compose import compose
from stages.report.audit import before_shares
from stages.report.plots_file import PLOTS

params = LabelParams(policies={"fashion_products": "fashion_products"}, gender_policy="drop_row",
                     group_superclass={"Topwear": "top"}, catalogues={})
tables = read_label_tables(Path("tables"))
product = {"gender": "Men", "subCategory": "Topwear", "articleType": "Tshirts", "baseColour": "Teal", "usage": "Sports",
           "split": "train", "cluster": "", "group_id": "", "fingerprint": b""}
items = pd.DataFrame([product | {"item_id": name, "image_id": name, "season": season}
                      for name, season in (("1", "Summer"), ("2", "Winter"), ("3", "Spring"))])
Path("relabel.csv").write_text("source,item_id,column,value,reason\\nfashion_products,3,sold_in,Cold,seen\\n")
labels = label_items(items, tables, params, Path("relabel.csv"), Account("fashion_products"))
print("columns", "season" in columns(params, "fashion_products"), LABELS.names[-1], "sold_in" in CROPS.names)
print("labels", list(labels["sold_in"]), "vocabulary", vocabulary(labels.assign(split="train").to_dict("records"))["sold_in"])
print("plots", [plot.table for plot in PLOTS if "sold_in" in plot.title])
print("benchmark", BenchmarkParams(kind="category", source=None, item_column="sold_in").item_column)
print("classifier", compose("demo")["classifier"]["heads"][-1])
print("audit", sorted(before_shares("fashion_products", items, tables, {})))
"""


@pytest.mark.slow
def test_a_new_head_of_a_known_source_is_a_row_and_its_merge_table(tmp_path):
    folder = copied(tmp_path)
    with (folder / "tables/heads.csv").open("a", encoding="utf-8") as stream:
        stream.write("sold_in,fashion_products,season,sold_in.csv,season,merged,\n")
    (folder / "tables/sold_in.csv").write_text("season,merged\nSummer,Warm\nWinter,Cold\nSpring,\n", encoding="utf-8")
    assert run_in_copy(tmp_path, USE_HEAD).splitlines() == [
        "columns True sold_in True",
        "labels ['Warm', 'Cold', 'Cold'] vocabulary ['Cold', 'Warm']",
        "plots ['statistics/sold_in.csv']",
        "benchmark sold_in",
        "classifier sold_in",
        "audit ['color', 'gender', 'type', 'usage']",
    ]
