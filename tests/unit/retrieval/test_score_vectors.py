"""Vectors that someone else computed: from the command line to a table, a JSON and the leaderboard."""

import json
import sys

import numpy as np
import pytest

from stages.contracts.images import encode_jpeg
from stages.contracts.tables import BENCHMARK, write_rows
from stages.retrieval import score_vectors as external
from stages.retrieval.vectors import write_vectors

PARAMS = """
profile: demo
benchmarks: [colors]
encoders: [simclr]
evaluate: {ks: [1, 5], bootstrap_samples: 20, seed: 0, memory_mb: 64}
"""
ROWS = {"q1": [1, 0], "q2": [0, 1], "g1": [1, 0.1], "g2": [0.2, 1], "g3": [-1, 0]}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A profile with benchmark ``colors``: q1 finds g1 first, q2 finds g2 before its own g3, q3 was not detected."""
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(PARAMS)
    data = encode_jpeg(Image.new("RGB", (4, 4)))
    folder = tmp_path / "data/demo/benchmarks/colors"

    def row(row_id, item, category="top", image=data):
        return dict(zip(BENCHMARK.names, (row_id, item, category, "top", image, None), strict=True))

    write_rows(folder / "queries.parquet", BENCHMARK, [row("q1", "a"), row("q2", "c"), row("q3", "a", image=None)])
    write_rows(folder / "gallery.parquet", BENCHMARK, [row("g1", "a"), row("g2", "b", None), row("g3", "c", "dress")])
    (folder / "benchmark.json").write_text('{"kind": "wardrobe"}')
    return tmp_path


def save(folder, rows=ROWS, name="mine"):
    path = folder / f"{name}.npy"
    np.save(path, np.array(list(rows.values()), np.float32))
    path.with_suffix(".txt").write_text("\n".join(rows) + "\n")
    return str(path)


def status(arguments):
    """Exit status of the command."""
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["score_vectors", *map(str, arguments)])
            external.main()
    except SystemExit as ended:
        return ended.code
    return 0


def test_figures_worked_out_by_hand_as_table_json_and_leaderboard_file(project, capsys):
    arguments = ["--embeddings", save(project), "--benchmark", "colors", "--out", "out.json", "--name", "mine-v1"]
    assert status(arguments) == 0
    result = json.loads((project / "out.json").read_text())["colors"]
    whole = result["whole_gallery"]
    # q1: rank 1. q2: g2 (not c), g1 and then g3: rank 3. q3 was not detected: 0.
    assert whole["hit_at_1"] == pytest.approx(1 / 3, abs=1e-6)
    assert whole["mrr"] == pytest.approx((1 + 1 / 3 + 0) / 3, abs=1e-6)
    assert whole["hit_at_5"] == pytest.approx(2 / 3, abs=1e-6)  # 5 is more than the gallery has
    assert (result["n_missed"], result["dimensions"], result["metric"]) == (1, 2, "cosine")
    assert result["same_superclass"]["n_without_match"] == 1  # q2 is a top, its item in the gallery a dress
    assert json.loads((project / "metrics/demo/external/mine-v1.json").read_text())["colors"] == result
    printed = capsys.readouterr().out
    assert "hit@1  0.3333  chance 0.2222" in printed and "1 queries without an image" in printed


def test_parquet_gives_the_same_figures_and_names_its_metric(project):
    write_vectors(project / "mine.parquet", list(ROWS), np.array(list(ROWS.values())), "euclidean")
    assert status(["--embeddings", "mine.parquet", "--benchmark", "colors", "--out", "a.json"]) == 0
    assert (
        status(["--embeddings", save(project), "--benchmark", "colors", "--metric", "euclidean", "--out", "b.json"])
        == 0
    )
    first, second = (json.loads((project / name).read_text())["colors"] for name in ("a.json", "b.json"))
    assert first["metric"] == "euclidean" and first["sha256"] != second["sha256"]
    assert {**first, "sha256": ""} == {**second, "sha256": ""}


def test_a_second_benchmark_joins_the_first_under_one_name(project):
    kept = project / "metrics/demo/external/mine.json"
    kept.parent.mkdir(parents=True)
    kept.write_text('{"older": {"gallery": 1}}')
    assert status(["--embeddings", save(project), "--benchmark", "colors", "--name", "mine"]) == 0
    assert set(json.loads(kept.read_text())) == {"older", "colors"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"g2": None}, "no vector for 1 of 3 rows: g2"),
        ({"q2": None, "q1": None}, "no vector for 2 of 2 rows: q1, q2"),
        ({"x": [0, 0]}, "1 of 6 row ids are no rows with an image of .*colors: x. Leave them out"),
        ({"q3": [0, 0]}, "1 of 6 row ids are no rows with an image of .*colors: q3"),
        ({"g3": [np.nan, 0]}, "mine.npy: vectors with NaN or infinity: g3"),
    ],
)
def test_wrong_rows_are_one_message(project, capsys, change, message):
    rows = {name: vector for name, vector in (ROWS | change).items() if vector is not None}
    assert status(["--embeddings", save(project, rows), "--benchmark", "colors"]) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("ERROR ") and captured.err.count("\n") == 1
    import re

    assert re.search(message, captured.err)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--benchmark", "shapes"], "no benchmark 'shapes' in `benchmarks` of profile demo; there are: colors"),
        (["--benchmark", "colors", "--name", "simclr"], "'simclr' is the name of an encoder of the pipeline"),
        (["--benchmark", "colors", "--name", "../x"], "expected letters, digits"),
    ],
)
def test_wrong_names_are_one_message(project, capsys, arguments, message):
    assert status(["--embeddings", save(project), *arguments]) == 1
    assert message in capsys.readouterr().err


def test_benchmark_that_is_not_built_is_one_message(project, capsys):
    (project / "data/demo/benchmarks/colors/queries.parquet").unlink()
    assert status(["--embeddings", save(project), "--benchmark", "colors"]) == 1
    assert "the benchmark is not built. Run `dvc repro benchmark@colors`" in capsys.readouterr().err


def test_categories_are_predicted_where_the_items_are_labels(project, capsys):
    (project / "data/demo/benchmarks/colors/benchmark.json").write_text('{"kind": "image_category"}')
    assert status(["--embeddings", save(project), "--benchmark", "colors"]) == 0
    # q1 is nearest to its own; q2 to another, then one more, then its own; q3 was not detected. Three categories of one.
    assert "category by the vote of 10 neighbors, 3 queries scored\n  top-1  0.3333  majority 0.2222\n" in (
        capsys.readouterr().out
    )
