"""From vectors to metric files, and what is known of a trained encoder."""

import csv
import json

import numpy as np
import pytest
import torch
from mean_color import RED, detailed, row, run_embed, run_evaluate
from PIL import Image
from safetensors.torch import save_file
from scoring import score_encoders

from stages.contracts.images import encode_jpeg
from stages.contracts.tables import BENCHMARK, write_rows
from stages.core.errors import StageError
from stages.core.files import write_json
from stages.retrieval.evaluate_retrieval import about_encoder, encoder_parameters
from stages.retrieval.metrics import EvaluateParams
from stages.retrieval.vectors import vectors_path, write_vectors


def test_parameters_are_all_numbers_of_the_weights_but_statistics_of_batchnorm(tmp_path):
    state = {"conv.weight": torch.zeros(4, 3, 2, 2), "bn.weight": torch.zeros(4), "bn.running_mean": torch.zeros(4),
             "bn.num_batches_tracked": torch.zeros((), dtype=torch.long), "scale": torch.zeros(())}  # fmt: skip
    save_file(state, tmp_path / "weights.safetensors")
    (tmp_path / "encoder.json").write_text('{"image_size": 96, "epoch": 0}')
    assert about_encoder(tmp_path) == {"parameters": 4 * 3 * 2 * 2 + 4 + 1, "image_size": 96, "kept_epoch": 0}


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ({"val_hit_at_1": 0.5, "val_hit_at_1_before": 0.75, "val_knn": 0.5, "val_knn_before": 0.25},
         {"figure": "hit@1", "before": 0.75, "kept": 0.5}),
        ({"val_knn": 0.5, "val_knn_before": 0.25}, {"figure": "k-NN accuracy", "before": 0.25, "kept": 0.5}),
        ({"val_knn": 0.5, "best_epoch": 2}, None),
    ],
    ids=["items are known", "categories alone", "its start was not scored"],
)  # fmt: skip
def test_what_training_made_of_an_encoder_on_validation(scores, expected, tmp_path):
    write_json(tmp_path / "scores.json", scores)
    assert about_encoder(tmp_path).get("on_validation") == expected


def test_an_encoder_without_files_of_its_own_says_nothing(tmp_path):
    assert about_encoder(tmp_path) == {}


@pytest.mark.parametrize("content", [b"", b"\xff" * 40, b"\x02\0\0\0\0\0\0\0{]", b'\x0d\0\0\0\0\0\0\0{"a": {"b":1}}'])
def test_weights_that_are_no_safetensors_file_are_refused(tmp_path, content):
    (tmp_path / "weights.safetensors").write_bytes(content)
    with pytest.raises(StageError, match="weights.safetensors: not a safetensors file"):
        encoder_parameters(tmp_path)


def test_figures_worked_out_by_hand(colors_project):
    folder, _ = colors_project
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


def test_metrics_are_one_number_a_benchmark_for_each_encoder_and_for_chance(colors_project):
    folder, _ = colors_project
    run_embed(folder)
    run_evaluate(folder)
    found = {path.name: json.loads(path.read_text()) for path in (folder / "metrics").rglob("*") if path.is_file()}
    # The same numbers as in the test above, worked out by hand there.
    assert found == {
        "mean.v1.json": {"colors": {"hit@1": 0.333333}},
        "chance.json": {"colors": {"hit@1": 0.222222}},
    }


@pytest.mark.parametrize("kind", ["category", "image_category", "multilabel"])
def test_benchmarks_that_ask_for_a_label_have_metric_files_of_their_own(kind, colors_project):
    folder, _ = colors_project
    run_embed(folder)
    (folder / "benchmarks/colors/benchmark.json").write_text(json.dumps({"kind": kind}))
    run_evaluate(folder)
    files = sorted(path.relative_to(folder / "metrics").as_posix() for path in (folder / "metrics").rglob("*.json"))
    assert files == ["labels/chance.json", "labels/mean.v1.json"]


def test_benchmark_without_any_match_has_no_metric_and_no_curve(colors_project):
    folder, _ = colors_project
    write_rows(folder / "benchmarks/colors/queries.parquet", BENCHMARK, [row("q4", "none", RED)])
    run_embed(folder)
    assert run_evaluate(folder).metrics == {}
    assert json.loads((folder / "metrics/mean.v1.json").read_text()) == {}
    assert (folder / "plots/hit_at_k.csv").read_text() == "benchmark,encoder,k,hit\n"


def test_encoder_called_chance_is_refused(colors_project):
    with pytest.raises(StageError, match="an encoder is called 'chance'"):
        run_evaluate(colors_project[0], ["chance"])


def test_curve_file_has_a_line_for_each_encoder_and_k_chance_last(colors_project):
    folder, _ = colors_project
    run_embed(folder)
    run_evaluate(folder)
    with (folder / "plots/hit_at_k.csv").open() as stream:
        lines = [tuple(line.values()) for line in csv.DictReader(stream)]
    # Of one relevant row in three, two of three queries detected: a random order has it among two with 2/3.
    assert lines == [
        ("colors", "mean.v1", "1", "0.333333"), ("colors", "mean.v1", "2", "0.333333"),
        ("colors", "chance", "1", "0.222222"), ("colors", "chance", "2", "0.444444"),
    ]  # fmt: skip


def test_what_is_known_of_the_encoder_stands_among_its_figures(colors_project):
    folder, _ = colors_project
    run_embed(folder)
    (folder / "models/mean.v1").mkdir(parents=True)
    (folder / "models/mean.v1/encoder.json").write_text('{"image_size": 96, "epoch": 0}')
    run_evaluate(folder)
    result = detailed(folder)
    assert (result["image_size"], result["kept_epoch"], result["dimensions"]) == (96, 0, 3)


def test_two_runs_write_the_same_bytes(colors_project):
    folder, _ = colors_project
    written = []
    for _ in range(2):
        run_embed(folder)
        run_evaluate(folder)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        written.append({path: path.read_bytes() for path in files})
    assert written[0] == written[1]


def test_vectors_of_other_images_are_refused(colors_project):
    folder, _ = colors_project
    run_embed(folder)
    write_vectors(folder / "vectors/mean.v1/colors-queries.parquet", ["q1", "q2", "q9"], np.zeros((3, 3)), "euclidean")
    with pytest.raises(StageError, match=r"differing: q4, q9\). Run `dvc repro`"):
        run_evaluate(folder)


def test_gallery_of_another_metric_is_refused(colors_project):
    folder, _ = colors_project
    run_embed(folder)
    write_vectors(folder / "vectors/mean.v1/colors-gallery.parquet", ["g1", "g2", "g3"], np.zeros((3, 3)), "cosine")
    with pytest.raises(StageError, match="metric euclidean, the gallery 3 and cosine"):
        run_evaluate(folder)


PARAMS = EvaluateParams(ks=[50, 1, 5, 5], bootstrap_samples=30, seed=0, memory_mb=64)


@pytest.mark.parametrize("kind", ["wardrobe", "category", "image_category"])
def test_figures_with_and_without_flip_stand_beside_each_other(kind, tmp_path):
    image = encode_jpeg(Image.new("RGB", (8, 8)))
    for part, names in (("queries", ["q"]), ("gallery", ["x", "y"])):
        table = [
            dict(zip(BENCHMARK.names, (name, "x" if name == "q" else name, "top", None, image, None), strict=True))
            for name in names
        ]
        write_rows(tmp_path / f"benchmarks/b/{part}.parquet", BENCHMARK, table)
    (tmp_path / "benchmarks/b/benchmark.json").write_text(json.dumps({"kind": kind}))
    # With flip q finds x first; by the pictures alone it finds y.
    for folder, first in (("vectors/e", [1.0, 0.0]), ("vectors/e/plain", [0.0, 1.0])):
        write_vectors(vectors_path(tmp_path / folder, "b", "queries"), ["q"], np.array([first]), "cosine")
        write_vectors(vectors_path(tmp_path / folder, "b", "gallery"), ["x", "y"], np.eye(2), "cosine")
    score_encoders(tmp_path, ["e"], ["b"], PARAMS)
    result = json.loads((tmp_path / "report/e.json").read_text())["b"]
    assert result["whole_gallery"]["hit_at_1"] == result["flip"]["on"]["whole_gallery"]["hit_at_1"] == 1
    assert result["flip"]["off"]["whole_gallery"]["hit_at_1"] == 0
    if kind == "wardrobe":  # an item is no category
        assert "category_prediction" not in result
        return
    # Both vote, and of one vote each the nearer comes first: the right one with flip. As often as each other: half.
    assert result["category_prediction"] == {"n_scored": 1, "neighbors": 10, "top_1": 1, "top_3": 1, "top_5": 1}
    assert result["chance"]["category_prediction"] == {"top_1": 0.5, "top_3": 1, "top_5": 1}
    assert result["flip"]["on"]["category_prediction"] == {"top_1": 1, "top_3": 1, "top_5": 1}
    assert result["flip"]["off"]["category_prediction"] == {"top_1": 0, "top_3": 1, "top_5": 1}
