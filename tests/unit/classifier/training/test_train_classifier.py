"""A killed training of the classifier goes on, and ends with the bytes of an unbroken one."""

import shutil
from argparse import Namespace
from types import SimpleNamespace

import pytest
import torch
from places import TABLES
from small import PLAIN_RUNTIME, write_dataset

from stages.classifier.training import train_classifier as train
from stages.classifier.training import trainer
from stages.core.determinism import use_runtime
from stages.core.files import read_json, write_json
from stages.learning import loop
from stages.learning.acceleration import RuntimeParams
from stages.networks.backbones.backbones import Backbone
from stages.networks.backbones.features import save_encoder

RUNTIME = RuntimeParams(**PLAIN_RUNTIME)
STEPS = 3  # of an epoch: 12 rows in batches of 4


class Killed(BaseException):
    """What no handler in the code under test may swallow."""


@pytest.fixture
def stage(crops, params, cpu, tmp_path, monkeypatch):
    """Runs the stage in a project of its own; gives the bytes of its outs and the epochs that it trained."""
    small = params(epochs=4, projection=16, hidden=[16, 16], dropout=0.3, learning_rate=0.01)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("runtime: {threads: 1, deterministic: true}\n")
    rows = [
        {
            "crop_id": f"{split}{number:02}", "bytes": crops[number % 6], "split": split, "source": "ab"[number % 2],
            "detected_class": "top", "type": ("dress", "shirt", "skirt")[number % 3],
            "color": None if number == 5 else ("blue", "red")[number % 2],
        }
        for split in ("train", "val") for number in range(12)
    ]  # fmt: skip
    write_dataset(tmp_path / "dataset", rows)
    write_json(
        tmp_path / "dataset" / "vocabulary.json", {"type": ["dress", "shirt", "skirt"], "color": ["blue", "red"]}
    )
    (tmp_path / "simclr").mkdir()
    encoder = Backbone("test_efficientnet", "none")
    save_encoder(encoder, {"backbone": "test_efficientnet"}, tmp_path / "simclr")
    (tmp_path / "tables").mkdir()
    shutil.copy(TABLES / "superclasses.csv", tmp_path / "tables")
    step, epoch, epochs = train.Trainer._loss, loop.train_epoch, []

    def counted(task, number, group):
        epochs.append(number)
        return epoch(task, number, group)

    monkeypatch.setattr(loop, "train_epoch", counted)

    def run(out, kill_at_step=None, **changes):
        left = iter(range(kill_at_step if kill_at_step is not None else 10**6))

        def loss(*arguments):
            if next(left, None) is None:
                raise Killed
            return step(*arguments)

        monkeypatch.setattr(train.Trainer, "_loss", loss)
        epochs.clear()
        args = Namespace(**{name: tmp_path / name for name in ("dataset", "simclr", "tables")}, out=tmp_path / out)
        report = train.main(args, SimpleNamespace(classifier=small.model_copy(update=changes), runtime=RUNTIME))
        files = ("weights.safetensors", "history.csv", "encoder.json", "params.json")
        return {name: (tmp_path / out / name).read_bytes() for name in files}, report

    yield run, epochs, tmp_path
    torch.use_deterministic_algorithms(False)


def test_killed_training_goes_on_and_ends_with_the_same_bytes(stage, capsys):
    run, epochs, project = stage
    unbroken = run("unbroken")
    assert epochs == [0, 1, 2, 3] and not list((project / ".work/train_classifier").iterdir())
    for steps, started in ((STEPS + 1, [0, 1]), (2 * STEPS + 2, [1, 2, 3])):
        with pytest.raises(Killed):
            run("broken", kill_at_step=steps)
        assert epochs == started
    capsys.readouterr()
    assert run("broken") == unbroken
    assert epochs == [3]
    assert "classifier: resumed after epoch 3 of 4\n" in capsys.readouterr().err
    assert not list((project / ".work/train_classifier").iterdir())


def test_best_weights_of_an_epoch_before_the_kill_are_kept(stage, monkeypatch):
    run, epochs, _ = stage
    # Scores that fall from epoch to epoch: the best weights are the first's.
    monkeypatch.setattr(trainer, "accuracies", lambda probabilities, rows: {"type": 1 / (1 + epochs[-1])})
    unbroken = run("unbroken")
    with pytest.raises(Killed):
        run("broken", kill_at_step=2 * STEPS + 1)
    assert run("broken") == unbroken
    assert epochs == [2, 3]


def test_kill_while_the_outs_are_written_trains_nothing_again(stage, monkeypatch):
    def kill(*arguments):
        raise Killed

    run, epochs, _ = stage
    unbroken = run("unbroken")
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(train, "save_encoder", kill)
        run("broken")
    assert run("broken") == unbroken
    assert epochs == []


@pytest.mark.parametrize("changed", ["params", "runtime", "encoder", "vocabulary"])
def test_what_changes_the_result_starts_over(stage, capsys, changed):
    run, epochs, project = stage
    with pytest.raises(Killed):
        run("out", kill_at_step=STEPS + 1, epochs=2)
    if changed == "runtime":
        use_runtime({"threads": 1, "deterministic": False})
    if changed == "encoder":
        save_encoder(
            Backbone("test_efficientnet", "none"), read_json(project / "simclr/encoder.json"), project / "simclr"
        )
    if changed == "vocabulary":
        names = {"type": ["skirt", "shirt", "dress"], "color": ["blue", "red"]}
        write_json(project / "dataset/vocabulary.json", names)
    run("out", epochs=2, **({"dropout": 0.0} if changed == "params" else {}))
    assert epochs == [0, 1]
    assert "resumed" not in capsys.readouterr().err
