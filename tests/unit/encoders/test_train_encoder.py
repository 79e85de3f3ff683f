"""The stage train_encoder: every kind trains, is written, loads again, repeats to the byte, survives a kill, and runs in several processes."""

import csv
import json
from argparse import Namespace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from launching import DIES_AFTER_ONE_EPOCH, TWO, Killed, contents, launch
from safetensors.torch import load
from small import PLAIN_RUNTIME

from stages.contracts.tables import BENCHMARK_TRAIN, write_rows
from stages.core.errors import StageError
from stages.encoders import recipe_task as training
from stages.encoders import train_encoder as train
from stages.encoders.recipes import AnyRecipe
from stages.learning import checkpoints, loop
from stages.learning.acceleration import RuntimeParams
from stages.networks.encoders.kinds import RECIPES
from stages.networks.load import load_encoder

TRAINED = ["attention", "fir", "normsoftmax", "siamese"]
FILES = ["encoder.json", "history.csv", "params.json", "scores.json", "weights.safetensors"]


@pytest.fixture
def stage(tmp_path, monkeypatch, train_rows, recipe_values, cpu):
    """Runs the stage in a project folder of its own; returns the bytes of its files."""
    monkeypatch.chdir(tmp_path)
    write_rows(tmp_path / "benchmarks/tiny/train.parquet", BENCHMARK_TRAIN, train_rows)
    monkeypatch.setattr(torch, "use_deterministic_algorithms", lambda *args, **kwargs: None)
    monkeypatch.setattr(checkpoints, "_SOURCES", tmp_path / "code")  # an edit while the test runs changes no key
    for area in train._AREAS:
        (tmp_path / "code" / area).mkdir(parents=True)

    def run(kind, out="out", **changes):
        values = recipe_values(kind, **changes)
        args = Namespace(encoder="mine", folder=tmp_path / "benchmarks/tiny", out=tmp_path / out)
        runtime = RuntimeParams(**PLAIN_RUNTIME)
        report = train.main(args, SimpleNamespace(recipe=AnyRecipe.model_validate(values), runtime=runtime))
        return {path.name: path.read_bytes() for path in sorted((tmp_path / out).iterdir())}, report

    return run


def rows_of(files):
    return list(csv.DictReader(files["history.csv"].decode().splitlines()))


@pytest.mark.parametrize("kind", RECIPES)
def test_encoder_is_written_loads_and_gives_the_scores_it_reported(kind, stage, examples, tmp_path):
    from stages.encoders.validation import hit_at_1

    files, report = stage(kind)
    assert [name for name in files if not name.endswith(".jpg")] == FILES
    drawn = ["attention.jpg", "recommendations.jpg"] if kind == "attention" else []
    assert [name for name in files if name.endswith(".jpg")] == drawn
    encoder = load_encoder(tmp_path / "out")
    vectors = encoder.embed(encoder.pixels.decode(examples[1].data), ["top"] * 15)
    assert vectors.dtype == np.float32 and np.isfinite(vectors).all()
    assert hit_at_1(vectors, examples[1].items, encoder.metric) == pytest.approx(report.metrics["val_hit_at_1"])
    assert json.loads(files["scores.json"])["val_hit_at_1_chance"] == pytest.approx(2 / 14, abs=1e-6)
    assert json.loads(files["params.json"])["kind"] == kind
    assert not list((tmp_path / ".work").rglob("checkpoint"))


@pytest.mark.parametrize("kind", [*(pytest.param(one, marks=pytest.mark.slow) for one in TRAINED[:-1]), TRAINED[-1]])
def test_killed_training_goes_on_and_ends_with_the_same_bytes(kind, stage, monkeypatch, capsys):
    unbroken, _ = stage(kind)
    assert stage(kind, "again")[0] == unbroken
    epoch, epochs = loop.train_epoch, []

    def killed(task, number, group):
        epochs.append(number)
        if number == 2 and epochs.count(2) == 1:
            raise Killed
        return epoch(task, number, group)

    monkeypatch.setattr(loop, "train_epoch", killed)
    with pytest.raises(Killed):
        stage(kind, "broken")
    capsys.readouterr()
    assert stage(kind, "broken")[0] == unbroken
    assert epochs == [0, 1, 2, 2]
    assert "mine: resumed after epoch 2 of 3" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["fir", "siamese"])
def test_history_has_curves_of_both_splits_and_the_learning_rate_steps(kind, stage):
    files, _ = stage(kind)
    rows = rows_of(files)
    assert [row["epoch"] for row in rows] == ["0", "1", "2", "3"]
    assert [row["learning_rate"] for row in rows] == ["", "0.01", "0.01", "0.001"]
    assert rows[0]["train_loss"] == "" and all(row["train_loss"] for row in rows[1:])
    assert all(row[name] for row in rows for name in ("val_loss", "val_accuracy", "val_hit_at_1", "val_knn"))


@pytest.mark.slow
def test_loss_goes_down_on_a_tiny_set(stage):
    for kind in TRAINED:
        rate = {
            "epochs": 8,
            "batch": 12,
            "learning_rate": 0.003,
            "drop_at": [],
            "drop_factor": 1.0,
            "weight_decay": 0.0,
        }
        losses = [float(row["train_loss"]) for row in rows_of(stage(kind, schedule=rate)[0])[1:]]
        assert np.mean(losses[-2:]) < losses[0], kind


def test_best_epoch_on_validation_is_kept(stage, monkeypatch, tmp_path):
    scores, probe = iter([0.1, 0.3, 0.9, 0.2]), training.Validation.scores
    monkeypatch.setattr(training.Validation, "scores", lambda *args: probe(*args) | {"hit_at_1": next(scores)})
    states, epoch = [], loop.train_epoch

    def trained(task, number, group):
        row = epoch(task, number, group)
        states.append(task.kept["dense"].weight.detach().clone())
        return row

    monkeypatch.setattr(loop, "train_epoch", trained)
    _, report = stage("siamese")
    assert (report.metrics["best_epoch"], report.metrics["val_hit_at_1"], report.metrics["val_hit_at_1_before"]) == (
        2,
        0.9,
        0.1,
    )
    assert torch.equal(load_encoder(tmp_path / "out").network.dense.weight, states[1])


def test_siamese_reports_its_accuracy_beside_guessing(stage):
    metrics = stage("siamese")[1].metrics
    assert metrics["val_accuracy_chance"] == pytest.approx(2 / 3)
    assert {"val_accuracy", "val_accuracy_before"} <= set(metrics)


def test_lowest_loss_may_select(stage):
    files, report = stage("fir", validation={"select": "loss", "k": 1, "reference": 100, "batch": 8})
    losses = [float(row["val_loss"]) for row in rows_of(files)[1:]]
    assert report.metrics["best_epoch"] == 1 + int(np.argmin(losses))


def test_selection_by_a_loss_that_validation_has_not_is_refused(stage):
    with pytest.raises(StageError, match=r"`validation.select` is loss, .*choose from: hit_at_1, knn"):
        stage("normsoftmax", validation={"select": "loss", "k": 1, "reference": 100, "batch": 8})


def test_diverging_training_is_one_message(stage, monkeypatch):
    monkeypatch.setattr("stages.encoders.siamese.contrastive_loss", lambda *args: torch.tensor(float("nan")))
    with pytest.raises(
        StageError, match=r"mine: the loss is nan after epoch 1\. Lower `encoder.mine.schedule.learning_rate`"
    ):
        stage("siamese")


def test_changed_recipe_starts_over(stage, monkeypatch, capsys):
    epoch = loop.train_epoch

    def killed(task, number, group):
        if number == 1:
            raise Killed
        return epoch(task, number, group)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(loop, "train_epoch", killed)
        stage("siamese")
    capsys.readouterr()
    stage("siamese", margin=0.5)
    assert "resumed" not in capsys.readouterr().err


def test_losses_own_weights_are_in_the_checkpoint(stage, monkeypatch):
    kept = []
    monkeypatch.setattr(train.Checkpoints, "save", lambda self, state: kept.append(set(state["task"]["modules"])))
    stage("normsoftmax")
    assert "loss.W" in kept[0]


def test_categories_of_a_fir_encoder_are_probabilities_and_need_the_category_loss(stage, examples, tmp_path):
    stage("fir")
    encoder = load_encoder(tmp_path / "out")
    images = encoder.pixels.decode(examples[1].data[:4])
    vectors, probabilities = encoder.embed_categories(images)
    assert encoder.has_categories and encoder.network.categories == ["shirt", "skirt"]
    assert np.array_equal(vectors, encoder.embed(images, []))
    assert probabilities.sum(1) == pytest.approx(np.ones(4), abs=1e-5)
    stage("fir", losses=["IS"])
    assert not load_encoder(tmp_path / "out").has_categories
    with pytest.raises(StageError, match="without the category loss"):
        load_encoder(tmp_path / "out").embed_categories(images)


STAGE = ("-m", "stages.run", "train_encoder")
STILL = {"flip": 0.0, "rotation": 0.0, "min_scale": 1.0, "mask": 0.0, "mask_share": 0.0}
# Odd batches: the processes hold unequal parts.
SCHEDULE = {"epochs": 3, "batch": 7, "learning_rate": 0.01, "drop_at": [2], "drop_factor": 0.1, "weight_decay": 0.0}
KINDS = {
    "siamese": {"schedule": SCHEDULE},
    "fir": {"dropout": 0.0},
    "normsoftmax": {"embedding": 6},
    "attention": {},
}
RUN = """
from stages.encoders.train_encoder import STAGE

STAGE.run()
"""


@pytest.fixture
def project(train_rows, recipe_values, cpu, tmp_path):
    """A project with a tiny train table; runs commands there and gives their log and the bytes of the outs."""
    write_rows(tmp_path / "benchmarks/tiny/train.parquet", BENCHMARK_TRAIN, train_rows)

    def run(out, *command, kind, script=None, dies=False, processes=2, **changes):
        params = {
            "runtime": PLAIN_RUNTIME | {"processes": processes}, "encoder": {"mine": recipe_values(kind, **changes)}
        }  # fmt: skip
        arguments = ("mine", "benchmarks/tiny", out)
        log = launch(tmp_path, *command, *arguments, params=params, script=script, dies=dies)
        return log, {} if dies else contents(tmp_path / out)

    return run


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_compute_what_one_computes(kind, project, recipe_values, tmp_path):
    """Without batch statistics and random numbers: of each of these every process has its own.

    Statistics that come with a network's weights are frozen. Attention's own batch norms cannot be, so that its two
    processes are only near one.
    """
    changes = dict(KINDS[kind])
    near = 20 if kind == "attention" else 1
    if kind in ("fir", "normsoftmax"):
        changes |= {"backbone": "tf_efficientnet_lite0", "weights": "packaged"}
    if kind != "siamese":
        changes |= {"freeze_norm": True, "geometry": STILL, "schedule": SCHEDULE}
    if kind == "attention":
        changes["network"] = recipe_values(kind)["network"] | {"dropout": 0.0}
    _, alone = project("alone", *STAGE, kind=kind, processes=1, **changes)
    log, both = project("both", *STAGE, kind=kind, **changes)
    assert [log.count(f"mine: epoch {number}/3,") for number in (1, 2, 3)] == [1, 1, 1]
    history = [pd.read_csv(tmp_path / out / "history.csv") for out in ("alone", "both")]
    assert history[1]["train_loss"][1] == pytest.approx(history[0]["train_loss"][1], rel=near * 1e-4)
    assert history[1]["train_loss"].tolist()[1:] == pytest.approx(
        history[0]["train_loss"].tolist()[1:], rel=near * 1e-2
    )
    one, other = load(alone["weights.safetensors"]), load(both["weights.safetensors"])
    if kind in ("siamese", "normsoftmax"):  # Adam makes a step of a gradient that is zero but for rounding
        assert all(torch.allclose(value, other[name], rtol=1e-2, atol=1e-3) for name, value in one.items())
    assert sorted(one) == sorted(other)
    assert sorted(alone) == sorted(both)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["fir", "siamese"])
def test_two_processes_write_once_and_resume_together(kind, project, tmp_path):
    _, unbroken = project("unbroken", *STAGE, kind=kind)
    assert not list((tmp_path / ".work/train_encoder/mine").iterdir())
    project("broken", *TWO, "script.py", kind=kind, script=DIES_AFTER_ONE_EPOCH + RUN, dies=True)
    (checkpoint,) = (tmp_path / ".work/train_encoder/mine").glob("*/*")
    assert (checkpoint.name, checkpoint.parent.name[-2:]) == ("checkpoint", "-2")
    log, resumed = project("broken", *STAGE, kind=kind)
    assert log.count("mine: resumed after epoch 1 of 3") == 1
    assert log.count("mine: epoch 1/3") == 0
    assert resumed == unbroken


@pytest.mark.slow
def test_encoder_that_is_only_fitted_runs_in_one_process(project):
    log, _ = project("fitted", *STAGE, kind="frozen")
    assert log.count("mine: 24 training and 15 validation pictures") == 1
