"""From a benchmark's tables to metric files, with an encoder whose vectors are known."""

import csv
import json
import sys
from argparse import Namespace
from types import ModuleType, SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from stages.contracts.images import encode_jpeg
from stages.contracts.tables import BENCHMARK, write_rows
from stages.core.errors import StageError
from stages.networks.backbones.pictures import Pixels
from stages.retrieval import embed
from stages.retrieval import evaluate_retrieval as evaluate
from stages.retrieval.gallery import RIGHT, WRONG, Shown, evenly, retrieval_sheet
from stages.retrieval.vectors import benchmark_names, read_vectors, write_vectors

RED, GREEN, BLUE = (200, 20, 20), (20, 200, 20), (20, 20, 200)
PARAMS = evaluate.EvaluateParams(ks=[1, 2], bootstrap_samples=20, seed=0, memory_mb=64)


class MeanColor:
    """Embeds an image as its mean colour, so that what is near what is plain to see."""

    metric = "euclidean"
    pixels = Pixels(30, 20)

    def __init__(self):
        self.calls = []

    def embed(self, images, detected_classes):
        self.calls.append(detected_classes)
        return images.float().mean((2, 3)).numpy()


def row(row_id, item, color, category="top", detected="top"):
    data = encode_jpeg(Image.new("RGB", (20, 30), color)) if color else None
    return dict(zip(BENCHMARK.names, (row_id, item, category, detected, data), strict=True))


QUERIES = [
    row("q1", "red", RED),
    row("q2", "blue", GREEN, "dress"),  # looks like another item: wrong
    row("q3", "red", None, detected=None),  # missed
    row("q4", "none", RED),  # without a match
]
GALLERY = [row("g1", "red", RED, detected=None), row("g2", "green", GREEN), row("g3", "blue", BLUE, "dress")]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project folder with params.yaml, benchmark ``colors`` and an encoder module."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("benchmarks: [colors]\n")
    write_rows(tmp_path / "benchmarks/colors/queries.parquet", BENCHMARK, QUERIES)
    write_rows(tmp_path / "benchmarks/colors/gallery.parquet", BENCHMARK, GALLERY)
    (tmp_path / "benchmarks/colors/benchmark.json").write_text('{"kind": "wardrobe"}')
    module = ModuleType("stages.networks.load")
    module.encoder = MeanColor()
    module.load_encoder = lambda folder, runtime: module.encoder
    monkeypatch.setitem(sys.modules, "stages.networks.load", module)
    return tmp_path, module.encoder


def run_embed(folder, batch=2):
    args = Namespace(encoder="mean", benchmarks=folder / "benchmarks", model=folder / "model", out=folder / "vectors")
    return embed.main(
        args, SimpleNamespace(benchmarks=["colors"], embed=embed.EmbedParams(batch=batch, flip=False), runtime=None)
    )


def run_evaluate(folder):
    prefix = folder / "metrics" / "mean.v1"  # a dot in the name must not be taken for a suffix
    args = Namespace(encoder="mean", embeddings=folder / "vectors", benchmarks=folder / "benchmarks", prefix=prefix)
    report = evaluate.main(args, SimpleNamespace(evaluate=PARAMS))
    return report, prefix


def test_embedding_keeps_order_skips_missed_queries_and_names_the_metric(project):
    folder, encoder = project
    run_embed(folder)
    table = pq.read_table(folder / "vectors/colors-queries.parquet")
    assert table.schema.field("vector").type == pa.list_(pa.float32(), 3)
    ids, vectors, metric = read_vectors(folder / "vectors/colors-queries.parquet")
    assert (ids, metric) == (["q1", "q2", "q4"], "euclidean")
    assert np.allclose(vectors, [RED, GREEN, RED], atol=3)  # JPEG's rounding
    assert encoder.calls == [["top", "top"], ["top"], ["", "top"], ["top"]]


def test_benchmark_of_missed_queries_only_has_an_empty_vector_file(project):
    folder, _ = project
    write_rows(folder / "benchmarks/colors/queries.parquet", BENCHMARK, [row("q3", "red", None)])
    run_embed(folder)
    ids, vectors, _ = read_vectors(folder / "vectors/colors-queries.parquet")
    assert ids == [] and vectors.shape == (0, 3)
    run_evaluate(folder)
    result = json.loads((folder / "metrics/mean.v1.json").read_text())["colors"]
    assert result["whole_gallery"]["hit_at_1"] == 0 and result["n_missed"] == 1
    assert not (folder / "metrics/mean.v1/colors.jpg").exists()


def test_encoder_that_diverged_is_refused_with_the_row(project):
    folder, encoder = project
    encoder.embed = lambda rows, classes: np.full((len(rows), 3), np.nan)
    with pytest.raises(StageError, match="NaN or infinity for: q1, q2"):
        run_embed(folder)


def test_figures_worked_out_by_hand(project):
    folder, _ = project
    run_embed(folder)
    report, prefix = run_evaluate(folder)
    result = json.loads((folder / "metrics/mean.v1.json").read_text())["colors"]
    assert (result["n_queries"], result["n_missed"], result["n_without_match"], result["gallery"]) == (4, 1, 1, 3)
    whole, same = result["whole_gallery"], result["same_superclass"]
    # q1 finds red first, q2 (a green photo of the blue item) finds green first, q3 is missed.
    assert whole["hit_at_1"] == pytest.approx(1 / 3, abs=1e-6)
    assert whole["n_scored"] == 3
    assert whole["per_category"]["dress"]["hit_at_1"] == 0
    # Among dresses there is only the right one: q1 and q2 are right, q3 is missed.
    assert same["hit_at_1"] == pytest.approx(2 / 3, abs=1e-6)
    assert same["map"] == pytest.approx(2 / 3, abs=1e-6)
    # One relevant of three, two queries detected of three; within the category one of two and one of one.
    assert result["chance"]["whole_gallery"]["hit_at_1"] == pytest.approx(2 / 9, abs=1e-6)
    assert result["chance"]["same_superclass"]["hit_at_1"] == pytest.approx((1 / 2 + 1) / 3, abs=1e-6)
    assert report.metrics["colors.whole_gallery.hit_at_1"] == pytest.approx(1 / 3)
    assert report.pictures == [prefix / "colors.jpg"]


def test_curve_file_has_a_line_for_each_k_with_both_galleries(project):
    folder, _ = project
    run_embed(folder)
    run_evaluate(folder)
    with (folder / "metrics/mean.v1/colors.csv").open() as stream:
        lines = list(csv.DictReader(stream))
    assert [line["k"] for line in lines] == ["1", "2"]
    # The same numbers as in the test above, worked out by hand there.
    assert lines[0] == {
        "k": "1",
        "hit": "0.333333",
        "chance": "0.222222",
        "hit_same_superclass": "0.666667",
        "chance_same_superclass": "0.5",
    }


def test_two_runs_write_the_same_bytes(project):
    folder, _ = project
    written = []
    for _ in range(2):
        run_embed(folder)
        run_evaluate(folder)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        written.append({path: path.read_bytes() for path in files})
    assert written[0] == written[1]


def test_vectors_of_other_images_are_refused(project):
    folder, _ = project
    run_embed(folder)
    write_vectors(folder / "vectors/colors-queries.parquet", ["q1", "q2", "q9"], np.zeros((3, 3)), "euclidean")
    with pytest.raises(StageError, match=r"differing: q4, q9\). Run `dvc repro`"):
        run_evaluate(folder)


def test_gallery_of_another_metric_is_refused(project):
    folder, _ = project
    run_embed(folder)
    write_vectors(folder / "vectors/colors-gallery.parquet", ["g1", "g2", "g3"], np.zeros((3, 3)), "cosine")
    with pytest.raises(StageError, match="metric euclidean, the gallery 3 and cosine"):
        run_evaluate(folder)


@pytest.mark.parametrize("text", ["benchmarks: []", "benchmarks: wardrobe", "benchmarks: [1]"])
def test_benchmarks_must_be_a_list_of_names(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(StageError, match="`benchmarks` is .* expected a list"):
        benchmark_names()


def test_shown_queries_are_spread_evenly():
    assert evenly(11, 6) == [0, 2, 4, 6, 8, 10]
    assert evenly(3, 6) == [0, 1, 2]
    assert evenly(0, 6) == []


def test_sheet_frames_right_and_wrong_results():
    data = encode_jpeg(Image.new("RGB", (30, 20), BLUE))
    sheet = retrieval_sheet([Shown(data, [(data, True), (data, False)])])
    assert sheet.size == (3 * 76 + 8, 76 + 4)
    assert sheet.getpixel((8 + 76 + 1, 5)) == RIGHT
    assert sheet.getpixel((8 + 2 * 76 + 1, 5)) == WRONG
