"""A killed training of a detector goes on, and ends with the bytes of an unbroken one."""

import subprocess
import sys
from argparse import Namespace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from launching import Killed

from stages.core.errors import StageError
from stages.detection.training import train_detector as train
from stages.detection.training.trainer import ResumableTrainer, epoch_seed

STEPS = 3  # batches of an epoch: 10 pictures in batches of 4; two batches make a step, so epochs share one
FILES = ("weights.safetensors", "history.csv", "detector.json", "params.json")


@pytest.fixture
def stage(rectangles, tiny, tmp_path, monkeypatch):
    """Runs the stage in a project of its own; gives the bytes of its outs, and the epochs that it trained."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEAMLINE_DEVICE", "cpu")
    (tmp_path / "params.yaml").write_text("runtime: {threads: 1, deterministic: true}\n")
    start, end, epochs = ResumableTrainer._start_epoch, ResumableTrainer._end_batch, []

    def counted(trainer):
        epochs.append(trainer.epoch)
        start(trainer)

    monkeypatch.setattr(ResumableTrainer, "_start_epoch", counted)

    def run(out, kill_at_batch=None, **changes):
        left = iter(range(kill_at_batch if kill_at_batch is not None else 10**6))

        def batch(trainer):
            if next(left, None) is None:
                raise Killed
            end(trainer)

        monkeypatch.setattr(ResumableTrainer, "_end_batch", batch)
        epochs.clear()
        places = {"ingested": rectangles / "ingested", "boxes": rectangles / "boxes/tiny", "out": tmp_path / out}
        report = train.main(Namespace(detector="tiny", **places), SimpleNamespace(detector=tiny(**changes)))
        return {name: (tmp_path / out / name).read_bytes() for name in FILES}, report

    yield run, epochs, tmp_path / ".work/train_detector"
    torch.use_deterministic_algorithms(False)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {},  # mosaic, closed in the third epoch
        {"augment": {"mosaic": 0.0}, "optimizer": "SGD", "momentum": 0.9, "warmup_epochs": 2.5, "close_mosaic": 0},
        {"augment": {"mosaic": 1.0, "paste": 0.7}, "close_mosaic": 1, "cosine": False},
        {"model": "two_heads.yaml"},  # the weights of the two losses depend on the epoch
    ],
    ids=["mosaic", "sgd", "paste", "two heads"],
)
def test_killed_training_goes_on_and_ends_with_the_same_bytes(stage, capsys, changes):
    run, epochs, work = stage
    unbroken = run("unbroken", **changes)
    assert epochs == [0, 1, 2, 3] and not list(work.iterdir())
    # Killed once in each epoch; the first leaves nothing. After one and three epochs a batch waits for its step, after
    # two none does.
    kills = ((1, [0]), (STEPS + 1, [0, 1]), (STEPS + 2, [1, 2]), (STEPS + 1, [2, 3]))
    for batches, started in kills:
        with pytest.raises(Killed):
            run("broken", kill_at_batch=batches, **changes)
        assert epochs == started
    capsys.readouterr()
    assert run("broken", **changes) == unbroken
    assert epochs == [3]
    assert "train tiny: resumed after epoch 3 of 4\n" in capsys.readouterr().err
    assert not list(work.iterdir())


@pytest.fixture
def fitness(monkeypatch):
    """Lets a test say what the epochs score."""
    validate = ResumableTrainer.validate

    def script(scores):
        def scored(trainer):
            best = trainer.best_fitness
            metrics, _ = validate(trainer)
            fitness = np.float64(scores[trainer.epoch])
            trainer.best_fitness = fitness if best is None else max(best, fitness)
            return metrics, fitness

        monkeypatch.setattr(ResumableTrainer, "validate", scored)

    return script


@pytest.mark.slow
def test_early_stop_and_best_weights_are_those_of_the_unbroken_training(stage, fitness):
    """The second epoch is the best; two without gain after it end the training, one on each side of the kill."""
    run, epochs, _ = stage
    fitness([0.3, 0.5, 0.4, 0.2, 0.9, 0.9])
    unbroken = run("unbroken", epochs=6, patience=2)
    assert epochs == [0, 1, 2, 3]
    with pytest.raises(Killed):
        run("broken", kill_at_batch=3 * STEPS + 1, epochs=6, patience=2)
    assert run("broken", epochs=6, patience=2) == unbroken
    assert epochs == [3]
    # The same first three epochs and another fourth: it leaves its line, and no trace in the weights of the second.
    other = run("other", epochs=6, patience=2, close_mosaic=3)[0]
    assert other["history.csv"] != unbroken[0]["history.csv"]
    assert other["weights.safetensors"] == unbroken[0]["weights.safetensors"]


def test_kill_while_the_outs_are_written_trains_nothing_again(stage, monkeypatch):
    def kill(*arguments):
        raise Killed

    run, epochs, _ = stage
    unbroken = run("unbroken", epochs=2)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(train, "save_detector", kill)
        run("broken", epochs=2)
    assert run("broken", epochs=2) == unbroken
    assert epochs == []


def test_changed_params_start_over(stage, capsys):
    run, epochs, work = stage
    with pytest.raises(Killed):
        run("out", kill_at_batch=STEPS + 1, epochs=2)
    run("out", epochs=2, weight_decay=0.001)
    assert epochs == [0, 1]
    run("out", epochs=2, augment={"paste": 0.5})
    assert epochs == [0, 1]
    assert "resumed" not in capsys.readouterr().err
    assert len(list(work.iterdir())) == 1  # of the killed one; it would still be right for its own params


def test_weights_are_kept_in_full_precision(stage):
    from safetensors.torch import load

    weights = load(stage[0]("out", epochs=2)[0]["weights.safetensors"])
    floats = [value for value in weights.values() if value.is_floating_point()]
    assert all(value.dtype == torch.float32 for value in floats)
    assert any(not torch.equal(value, value.half().float()) for value in floats)


@pytest.mark.slow
def test_nan_goes_back_one_epoch_and_on_with_other_seeds(stage, monkeypatch, capsys):
    run, epochs, _ = stage
    end, seeds = ResumableTrainer._handle_nan_recovery, []

    def spoiled(trainer, epoch):
        seeds.append(torch.initial_seed())
        if epoch == 1 and trainer.nan_recovery_attempts == 0:
            trainer.loss = torch.tensor(float("nan"))
        return end(trainer, epoch)

    monkeypatch.setattr(ResumableTrainer, "_handle_nan_recovery", spoiled)
    unbroken = run("out", epochs=3)
    assert epochs == [0, 1, 1, 2]
    assert seeds == [epoch_seed(0, *rest) for rest in ((0, -1, 0), (1, -1, 0), (1, -1, 1), (2, -1, 0))]
    assert "epoch 2 ended in NaN; back to the epoch before" in capsys.readouterr().err
    with pytest.raises(Killed):  # while the epoch is tried again
        run("broken", kill_at_batch=2 * STEPS + 1, epochs=3)
    assert run("broken", epochs=3) == unbroken
    assert epochs == [1, 1, 2]


def test_nan_that_stays_is_one_message(stage, monkeypatch):
    def nan(trainer):
        trainer.loss = torch.tensor(float("nan"))
        return {}, 0.0

    monkeypatch.setattr(ResumableTrainer, "validate", nan)
    with pytest.raises(StageError, match=r"detector tiny: the loss is not a number after epoch 1.*learning_rate"):
        stage[0]("out")


def test_batch_that_does_not_fit_is_one_message_and_no_smaller_batch(stage, monkeypatch):
    def forward(*arguments):
        raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(ResumableTrainer, "preprocess_batch", forward)
    with pytest.raises(StageError, match="detector tiny: batch 4 at 64 px does not fit .* Lower detector.tiny.batch"):
        stage[0]("out")


@pytest.mark.slow
def test_process_of_its_own_trains_the_same(stage, rectangles, tiny, tmp_path, monkeypatch):
    """On several devices Ultralytics hands class, arguments and callbacks to new processes: is that all they need?"""
    from ultralytics.utils import dist

    run, _, work = stage
    unbroken = run("unbroken", epochs=2)
    monkeypatch.setattr(dist, "USER_CONFIG_DIR", tmp_path)
    handed = []

    def start(trainer):
        file = dist.generate_ddp_file(trainer)
        handed.append(subprocess.run([sys.executable, file], capture_output=True, text=True))
        trainer.ddp = True

    monkeypatch.setattr(ResumableTrainer, "train", start)
    assert run("handed", epochs=2)[0] == unbroken[0], handed[0].stderr
    assert handed[0].returncode == 0 and "train tiny: epoch 2/2" in handed[0].stderr
    assert not list(work.iterdir())


def test_check_of_half_precision_downloads_no_network(rectangles, tiny, tmp_path, monkeypatch):
    """Ultralytics would compare a network of its own with and without it; on a CPU the answer is no in any case."""
    import torch
    import ultralytics.engine.trainer as engine

    from stages.detection.training.trainer import ResumableTrainer

    monkeypatch.setattr(ResumableTrainer.__mro__[1], "_setup_train", lambda trainer: None)
    ResumableTrainer._setup_train(object.__new__(ResumableTrainer))
    assert engine.check_amp(torch.nn.Linear(1, 1)) is False
    assert engine.check_amp(torch.nn.Linear(1, 1, device="meta")) is True
