"""Scores of a search by an index stand beside the exact ones, with recall for every nprobe."""

import logging
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from mean_color import detailed, run_embed, run_evaluate
from ranked import angles, rows

from stages.core.errors import StageError
from stages.retrieval.by_index import log_line, scores_by_index
from stages.retrieval.index import SearchParams, build
from stages.retrieval.metrics import EvaluateParams, evaluate
from stages.retrieval.vectors import VectorFile

pytest.importorskip("faiss")  # pip install -r requirements-search.txt

KS = [1, 3, 10]
PARAMS = EvaluateParams(ks=KS, bootstrap_samples=10, seed=0, memory_mb=64)


def file_of(gallery, order):
    """The gallery's vectors as a file has them, in another order."""
    ids = gallery.ids.take(pa.array(order))
    return VectorFile(Path("gallery.parquet"), ids, gallery.vectors.shape[1], None)


def index_file(path, gallery, order, metric, nprobes):
    """Write an index whose card names some values of nprobe."""
    index = build(lambda: [gallery.vectors[order]], len(order), metric, 0.5)
    index.card["recall"] = {str(nprobe or index.card["lists"]): 1.0 for nprobe in nprobes}
    index.card["nprobe"] = nprobes[0] or index.card["lists"]
    index.write(path)
    return path


@pytest.fixture
def benchmark():
    """60 queries of 30 items, some never detected, some in the gallery itself; 300 gallery rows, some equal."""
    random = np.random.default_rng(3)
    centers = random.standard_normal((30, 8))
    items = [*random.integers(0, 30, 280), *([99] * 20)]
    own = np.concatenate([centers[items[:280]] + 0.7 * random.standard_normal((280, 8)), np.ones((20, 8))])
    own[250:280] = own[200:230]  # equals of other items
    gallery = rows(own, list(map(str, items)), prefix="g")
    asked = [str(item % 30) for item in range(60)]
    vectors = np.concatenate([centers[np.arange(50) % 30] + 0.7 * random.standard_normal((50, 8)), own[:10]])
    ids = [*(f"q{number}" for number in range(50)), *(f"g{number}" for number in range(10))]
    queries = rows(vectors, [*asked[:50], *map(str, items[:10])], ids=ids, detected=np.arange(60) % 9 != 4)
    return queries, gallery


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_hits_are_those_of_the_exact_evaluator_when_all_lists_are_searched(benchmark, metric, tmp_path):
    queries, gallery = benchmark
    order = np.random.default_rng(4).permutation(len(gallery))
    path = index_file(tmp_path / "a.ivf", gallery, order, metric, [1, 0])
    found = scores_by_index(path, file_of(gallery, order), queries, gallery, metric, KS)
    exact = evaluate(queries, gallery, metric, PARAMS)["whole_gallery"]
    one, every = found["by_nprobe"]
    assert {f"hit_at_{k}": every[f"hit_at_{k}"] for k in KS} == pytest.approx(
        {f"hit_at_{k}": exact[f"hit_at_{k}"] for k in KS}
    )
    assert 0 < exact["hit_at_1"] < exact["hit_at_10"] < 1
    assert every["recall"] == 1 and one["nprobe"] == found["nprobe"] == 1
    assert one["recall"] < 0.9 and one["hit_at_10"] < every["hit_at_10"]


def test_recall_and_hits_of_one_list_worked_out_by_hand(tmp_path):
    # Two bunches of four directions, 90 degrees apart: k-means with two lists keeps them apart.
    gallery = rows(angles(0, 1, 2, 3, 90, 91, 92, 93), list("abcdefga"), prefix="g")
    queries = rows(angles(1.2, 92.6), ["b", "d"], prefix="q")
    order = np.arange(8)
    index = build(lambda: [gallery.vectors], 8, "cosine", 0.1)
    assert index.card["lists"] == 6
    path = index_file(tmp_path / "a.ivf", gallery, order, "cosine", [0])
    (figures,) = scores_by_index(path, file_of(gallery, order), queries, gallery, "cosine", [1, 5])["by_nprobe"]
    # The first query finds b at once; the second finds g, a, f, e and then d, at rank 5.
    assert figures == {"nprobe": 6, "recall": 1.0, "hit_at_1": 0.5, "hit_at_5": 1.0}


def test_gallery_without_an_index_has_no_such_scores(benchmark, tmp_path):
    queries, gallery = benchmark
    file = file_of(gallery, np.arange(len(gallery)))
    assert scores_by_index(tmp_path / "none.ivf", file, queries, gallery, "cosine", KS) is None


def test_index_of_other_vectors_is_refused(benchmark, tmp_path):
    queries, gallery = benchmark
    order = np.arange(len(gallery))
    path = index_file(tmp_path / "a.ivf", gallery, order, "euclidean", [1])
    with pytest.raises(StageError, match=r"a.ivf: an index of other vectors .*euclidean.*cosine.*Run `dvc repro`"):
        scores_by_index(path, file_of(gallery, order), queries, gallery, "cosine", KS)


def test_stage_prints_and_reports_recall_beside_the_exact_score(colors_project, caplog):
    caplog.set_level(logging.INFO)
    folder, _ = colors_project
    run_embed(folder)
    run_evaluate(folder)
    exact, metrics = detailed(folder), (folder / "metrics/mean.v1.json").read_bytes()
    assert "ivf" not in exact and "recall" not in caplog.text
    run_embed(folder, search=SearchParams(index="ivf", ivf_above=2, recall=1.0))
    run_evaluate(folder)
    result = detailed(folder)
    figures = result.pop("ivf")
    assert result == exact and (folder / "metrics/mean.v1.json").read_bytes() == metrics
    assert figures["by_nprobe"][-1]["recall"] == 1
    assert figures["by_nprobe"][-1]["hit_at_1"] == pytest.approx(1 / 3, abs=1e-6)
    assert "colors: mean.v1 by an index of 3 lists" in caplog.text and "exact, hit@1 0.333" in caplog.text


def test_line_says_recall_beside_every_score():
    figures = {"lists": 20, "nprobe": 4, "by_nprobe": [{"nprobe": 1, "recall": 0.5, "hit_at_1": 0.25},
                                                       {"nprobe": 4, "recall": 0.96, "hit_at_1": 0.5}]}  # fmt: skip
    assert log_line("simclr", "inshop", {"hit_at_1": 0.51}, figures) == (
        "inshop: simclr by an index of 20 lists: nprobe 1: recall 0.500, hit@1 0.250; "
        "nprobe 4: recall 0.960, hit@1 0.500; exact, hit@1 0.510"
    )
