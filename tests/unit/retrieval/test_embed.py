"""From a benchmark's tables to metric files, with an encoder whose vectors are known."""

import csv
import json
import shutil
import sys
from argparse import Namespace
from types import ModuleType, SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from scoring import score_encoders

from stages.contracts.images import encode_jpeg
from stages.contracts.tables import BENCHMARK, write_rows
from stages.core.errors import StageError
from stages.networks.backbones.features import Pixels
from stages.retrieval import embed
from stages.retrieval.metrics import EvaluateParams
from stages.retrieval.sheet import RIGHT, WRONG, Hit, Shown, evenly, likeness, retrieval_sheet
from stages.retrieval.vectors import read_vectors, write_vectors

RED, GREEN, BLUE = (200, 20, 20), (20, 200, 20), (20, 20, 200)
PARAMS = EvaluateParams(ks=[1, 2], bootstrap_samples=20, seed=0, memory_mb=64)


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
    return dict(zip(BENCHMARK.names, (row_id, item, category, detected, data, None), strict=True))


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


def run_embed(folder, batch=2, encoders=("mean.v1",), benchmarks=("colors",)):
    args = Namespace(benchmarks=folder / "benchmarks", models=folder / "models", out=folder / "vectors")
    lists = {"encoders": list(encoders), "benchmarks": list(benchmarks)}
    return embed.main(args, SimpleNamespace(embed=embed.EmbedParams(batch=batch, flip=False), runtime=None, **lists))


def run_evaluate(folder, encoders=("mean.v1",)):
    return score_encoders(folder, list(encoders), ["colors"], PARAMS)


def detailed(folder, encoder="mean.v1"):
    return json.loads((folder / f"report/{encoder}.json").read_text())["colors"]


def test_embedding_keeps_order_skips_missed_queries_and_names_the_metric(project):
    folder, encoder = project
    run_embed(folder)
    table = pq.read_table(folder / "vectors/mean.v1/colors-queries.parquet")
    assert table.schema.field("vector").type == pa.list_(pa.float32(), 3)
    ids, vectors, metric = read_vectors(folder / "vectors/mean.v1/colors-queries.parquet")
    assert (ids, metric) == (["q1", "q2", "q4"], "euclidean")
    assert np.allclose(vectors, [RED, GREEN, RED], atol=3)  # JPEG's rounding
    assert encoder.calls == [["top", "top"], ["top"], ["", "top"], ["top"]]


def test_benchmark_of_missed_queries_only_has_an_empty_vector_file(project):
    folder, _ = project
    write_rows(folder / "benchmarks/colors/queries.parquet", BENCHMARK, [row("q3", "red", None)])
    run_embed(folder)
    ids, vectors, _ = read_vectors(folder / "vectors/mean.v1/colors-queries.parquet")
    assert ids == [] and vectors.shape == (0, 3)
    run_evaluate(folder)
    result = detailed(folder)
    assert result["whole_gallery"]["hit_at_1"] == 0 and result["n_missed"] == 1
    assert not (folder / "report/mean.v1/colors.jpg").exists()


def test_encoder_that_diverged_is_refused_with_the_row(project):
    folder, encoder = project
    encoder.embed = lambda rows, classes: np.full((len(rows), 3), np.nan)
    with pytest.raises(StageError, match="NaN or infinity for: q1, q2"):
        run_embed(folder)


def test_figures_worked_out_by_hand(project):
    folder, _ = project
    run_embed(folder)
    report = run_evaluate(folder)
    result = detailed(folder)
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
    assert report.metrics == pytest.approx({"mean.v1.colors.hit_at_1": 1 / 3, "chance.colors.hit_at_1": 2 / 9})
    assert report.pictures == [folder / "report/mean.v1/colors.jpg"]


def test_metrics_are_one_number_a_benchmark_for_each_encoder_and_for_chance(project):
    folder, _ = project
    run_embed(folder)
    run_evaluate(folder)
    found = {path.name: json.loads(path.read_text()) for path in (folder / "metrics").rglob("*") if path.is_file()}
    # The same numbers as in the test above, worked out by hand there.
    assert found == {
        "mean.v1.json": {"colors": {"hit@1": 0.333333}},
        "chance.json": {"colors": {"hit@1": 0.222222}},
    }


@pytest.mark.parametrize("kind", ["category", "image_category", "multilabel"])
def test_benchmarks_that_ask_for_a_label_have_metric_files_of_their_own(kind, project):
    folder, _ = project
    run_embed(folder)
    (folder / "benchmarks/colors/benchmark.json").write_text(json.dumps({"kind": kind}))
    run_evaluate(folder)
    files = sorted(path.relative_to(folder / "metrics").as_posix() for path in (folder / "metrics").rglob("*.json"))
    assert files == ["labels/chance.json", "labels/mean.v1.json"]


def test_benchmark_without_any_match_has_no_metric_and_no_curve(project):
    folder, _ = project
    write_rows(folder / "benchmarks/colors/queries.parquet", BENCHMARK, [row("q4", "none", RED)])
    run_embed(folder)
    assert run_evaluate(folder).metrics == {}
    assert json.loads((folder / "metrics/mean.v1.json").read_text()) == {}
    assert (folder / "plots/hit_at_k.csv").read_text() == "benchmark,encoder,k,hit\n"


def test_encoder_called_chance_is_refused(project):
    with pytest.raises(StageError, match="an encoder is called 'chance'"):
        run_evaluate(project[0], ["chance"])


def test_curve_file_has_a_line_for_each_encoder_and_k_chance_last(project):
    folder, _ = project
    run_embed(folder)
    run_evaluate(folder)
    with (folder / "plots/hit_at_k.csv").open() as stream:
        lines = [tuple(line.values()) for line in csv.DictReader(stream)]
    # Of one relevant row in three, two of three queries detected: a random order has it among two with 2/3.
    assert lines == [
        ("colors", "mean.v1", "1", "0.333333"), ("colors", "mean.v1", "2", "0.333333"),
        ("colors", "chance", "1", "0.222222"), ("colors", "chance", "2", "0.444444"),
    ]  # fmt: skip


def test_what_is_known_of_the_encoder_stands_among_its_figures(project):
    folder, _ = project
    run_embed(folder)
    (folder / "models/mean.v1").mkdir(parents=True)
    (folder / "models/mean.v1/encoder.json").write_text('{"image_size": 96, "epoch": 0}')
    run_evaluate(folder)
    result = detailed(folder)
    assert (result["image_size"], result["kept_epoch"], result["dimensions"]) == (96, 0, 3)


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
    write_vectors(folder / "vectors/mean.v1/colors-queries.parquet", ["q1", "q2", "q9"], np.zeros((3, 3)), "euclidean")
    with pytest.raises(StageError, match=r"differing: q4, q9\). Run `dvc repro`"):
        run_evaluate(folder)


def test_gallery_of_another_metric_is_refused(project):
    folder, _ = project
    run_embed(folder)
    write_vectors(folder / "vectors/mean.v1/colors-gallery.parquet", ["g1", "g2", "g3"], np.zeros((3, 3)), "cosine")
    with pytest.raises(StageError, match="metric euclidean, the gallery 3 and cosine"):
        run_evaluate(folder)


def test_shown_queries_are_spread_evenly():
    assert evenly(11, 6) == [0, 2, 4, 6, 8, 10]
    assert evenly(3, 6) == [0, 1, 2]
    assert evenly(0, 6) == []


def test_sheet_frames_right_and_wrong_results():
    data = encode_jpeg(Image.new("RGB", (30, 20), BLUE))
    sheet = retrieval_sheet([Shown(data, [Hit(data, True, "0.999"), Hit(data, False, "")])])
    assert sheet.size == (3 * 76 + 8, 76 + 13 + 4)
    assert sheet.getpixel((8 + 76 + 1, 5)) == RIGHT
    assert sheet.getpixel((8 + 2 * 76 + 1, 5)) == WRONG
    # The number is below its result, and nothing below the other.
    below = [sheet.crop((8 + place * 76, 76, 8 + place * 76 + 72, 76 + 13)) for place in (1, 2)]
    assert min(below[0].convert("L").getdata()) < 60 and set(below[1].getdata()) == {(255, 255, 255)}


def test_number_under_a_result_is_the_cosine_or_the_distance():
    one, other = np.array([3, 4], np.float32), np.array([4, 3], np.float32)
    assert likeness(one, other, "cosine") == "0.960"  # 24 / 25
    assert likeness(one, other, "euclidean") == "d 1.414"
    assert likeness(one, 0 * other, "cosine") == "0.000"


def test_a_new_benchmark_and_a_retrained_encoder_cost_their_own_vectors_alone(project):
    folder, encoder = project
    assert run_embed(folder, encoders=("a", "b")).metrics["from_work_folder"] == 0
    decoded = len(encoder.calls)
    first = {path.name: path.read_bytes() for path in (folder / "vectors/b").iterdir()}
    shutil.copytree(folder / "benchmarks/colors", folder / "benchmarks/more")
    again = ("colors", "more")
    write_rows(folder / "benchmarks/more/gallery.parquet", BENCHMARK, GALLERY[:2])
    assert run_embed(folder, encoders=("a", "b"), benchmarks=again).metrics["from_work_folder"] == 2
    assert len(encoder.calls) > decoded
    (folder / "models/a").mkdir(parents=True)
    (folder / "models/a/weights.safetensors").write_bytes(b"trained anew")
    assert run_embed(folder, encoders=("a", "b"), benchmarks=again).metrics["from_work_folder"] == 2
    assert {name: (folder / "vectors/b" / name).read_bytes() for name in first} == first
    assert len(list((folder / ".work/embed").glob("*/*/*"))) == 4  # what nothing needs any more is gone


def test_encoders_of_one_input_size_share_the_decoded_pictures(project, monkeypatch):
    folder, _ = project
    decode, decoded = Pixels.decode, []

    def counted(pixels, data):
        decoded.append(len(data))
        return decode(pixels, data)

    monkeypatch.setattr(Pixels, "decode", counted)
    run_embed(folder, encoders=("a", "b", "c"))
    assert sum(decoded) == len([row for row in QUERIES + GALLERY if row["bytes"]])
    names = sorted(path.name for path in (folder / "vectors/a").iterdir())
    assert all(
        (folder / "vectors/a" / name).read_bytes() == (folder / "vectors/c" / name).read_bytes() for name in names
    )


def test_encoders_pass_one_by_one_where_their_vectors_would_fill_the_memory(project, monkeypatch):
    folder, _ = project
    monkeypatch.setattr(embed, "VECTOR_BYTES", 10)
    assert embed.together(folder / "benchmarks", ["colors"]) == 1
    run_embed(folder, encoders=("a", "b"))
    assert sorted(path.name for path in (folder / "vectors").iterdir()) == ["a", "b"]
