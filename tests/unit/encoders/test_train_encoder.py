"""The stage train_encoder: every kind trains, is written, loads again, repeats to the byte, and survives a kill."""

import csv
import json
from argparse import Namespace
from importlib import import_module
from types import SimpleNamespace
from typing import Literal

import numpy as np
import pytest
import torch
from small import PLAIN_RUNTIME

from stages.contracts.tables import BENCHMARK_TRAIN, write_rows
from stages.core.errors import StageError
from stages.encoders import recipe_task as training
from stages.encoders import train_encoder as train
from stages.encoders.recipes import AnyRecipe, recipe_module
from stages.encoders.siamese import SiameseTask
from stages.encoders.validation import Validation
from stages.learning import checkpoints, loop
from stages.learning.acceleration import RuntimeParams
from stages.networks.encoders.kinds import ENCODER_KINDS, RECIPES, card_of
from stages.networks.load import load_encoder

TRAINED = ["attention", "fir", "normsoftmax", "siamese"]
FILES = ["encoder.json", "history.csv", "params.json", "scores.json", "weights.safetensors"]


class Killed(BaseException):
    """What a killed process sees."""


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


def test_validation_loss_counts_each_pair_alike_however_small_the_last_batch(recipe, examples, cpu):
    task = SiameseTask(recipe("siamese"), *examples)  # 45 pairs in batches of 8
    trainer = training.Trainer(
        training.Run("mine", None), task, Validation(*examples, task.recipe.probe), task.recipe.schedule
    )
    with torch.no_grad():
        whole = {name: float(value) for name, value in task.losses("val", torch.cat(task.val_batches())).items()}
    row = trainer.validate(1)
    assert (row["val_loss"], row["val_accuracy"]) == pytest.approx((whole["loss"], whole["accuracy"]), rel=1e-5)


def test_siamese_reports_its_accuracy_beside_guessing(stage):
    metrics = stage("siamese")[1].metrics
    assert metrics["val_accuracy_chance"] == pytest.approx(2 / 3)
    assert {"val_accuracy", "val_accuracy_before"} <= set(metrics)


def test_lowest_loss_may_select(stage):
    files, report = stage("fir", probe={"select": "loss", "k": 1, "reference": 100, "batch": 8})
    losses = [float(row["val_loss"]) for row in rows_of(files)[1:]]
    assert report.metrics["best_epoch"] == 1 + int(np.argmin(losses))


def test_selection_by_a_loss_that_validation_has_not_is_refused(stage):
    with pytest.raises(StageError, match=r"`probe.select` is loss, .*choose from: hit_at_1, knn"):
        stage("normsoftmax", probe={"select": "loss", "k": 1, "reference": 100, "batch": 8})


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


def test_every_kind_has_its_loader_and_every_recipe_its_module():
    for name, kind in ENCODER_KINDS.items():
        assert hasattr(import_module(f"stages.networks.{kind.loader[0]}"), kind.loader[1]), name
    for name in RECIPES:
        module = recipe_module(name, "test")
        assert module.RECIPE.model_fields["kind"].annotation == Literal[name] and callable(module.fit)


def test_card_with_other_keys_than_its_kind_names_is_refused():
    assert card_of("ensemble", members=[], image_size=8)["metric"] == "cosine"
    with pytest.raises(TypeError, match="card of ensemble: got members, expected image_size, members"):
        card_of("ensemble", members=[])


def test_damaged_card_is_one_message(stage, tmp_path):
    stage("frozen")
    (tmp_path / "out/encoder.json").write_text('{"metric": "cosine", "image_size": 32}')
    with pytest.raises(StageError, match=r"encoder.json: kind None, expected one of: attention, .*Run `dvc repro`"):
        load_encoder(tmp_path / "out")
    (tmp_path / "out/encoder.json").write_text('{"kind": "frozen", "metric": "cosine", "image_size": 32}')
    with pytest.raises(StageError, match=r"encoder.json: key 'backbone' is missing"):
        load_encoder(tmp_path / "out")
