"""The SimCLR stage: which epoch is kept, and a killed training that goes on."""

import json
import math
from argparse import Namespace
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest
import timm
import torch
from small import PLAIN_RUNTIME, SIMCLR, write_types

from stages.core.errors import StageError
from stages.learning import loop
from stages.learning.acceleration import RuntimeParams
from stages.networks.backbones.features import BackboneEncoder, load_weights
from stages.simclr import pretrain as simclr
from stages.simclr.model import Backbone, KnnValidation, SimclrParams

RUNTIME = RuntimeParams(**PLAIN_RUNTIME)


class Killed(BaseException):
    """What no handler in the code under test may swallow."""


@pytest.fixture
def stage(crops, cpu, tmp_path, monkeypatch):
    """Runs the stage in a project of its own; gives the bytes of its outs and the epochs that it trained."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("runtime: {threads: 1, deterministic: true}\n")
    write_types(tmp_path / "dataset", crops)
    views, epochs = simclr.random_view, []

    def train_epoch(task, epoch, group):
        epochs.append(epoch)
        return epoch_of_the_loop(task, epoch, group)

    epoch_of_the_loop = loop.train_epoch
    monkeypatch.setattr(loop, "train_epoch", train_epoch)

    def run(out, kill_at_view=None, **changes):
        left = iter(range(kill_at_view if kill_at_view is not None else 10**6))

        def random_view(*arguments):
            if next(left, None) is None:
                raise Killed
            return views(*arguments)

        monkeypatch.setattr(simclr, "random_view", random_view)
        epochs.clear()
        options = SimclrParams.model_validate(SIMCLR | {"knn_every": 3} | changes)
        params = SimpleNamespace(simclr=options, runtime=RUNTIME)
        args = Namespace(dataset=tmp_path / "dataset", out=tmp_path / out, last=tmp_path / f"{out}_last")
        report = simclr.main(args, params)
        files = ("weights.safetensors", "history.csv", "encoder.json", "params.json")
        written = {name: (tmp_path / out / name).read_bytes() for name in files}
        return written | {"last": (tmp_path / f"{out}_last" / "weights.safetensors").read_bytes()}, report

    yield run, epochs, tmp_path / ".work" / "pretrain"
    torch.use_deterministic_algorithms(False)


def test_killed_training_goes_on_and_ends_with_the_same_bytes(stage, capsys):
    run, epochs, work = stage
    unbroken = run("unbroken")
    assert epochs == [0, 1, 2, 3] and not list(work.iterdir())
    # An epoch has two steps of two views each: killed in the second step of epoch 1, then in the first of epoch 3.
    for views, started in ((6, [0, 1]), (9, [1, 2, 3])):
        with pytest.raises(Killed):
            run("broken", kill_at_view=views)
        assert epochs == started
    capsys.readouterr()
    assert run("broken") == unbroken
    assert epochs == [3]
    assert "simclr: resumed after epoch 3 of 4\n" in capsys.readouterr().err
    assert not list(work.iterdir())


def test_changed_params_or_crops_start_over(stage, capsys):
    run, epochs, work = stage
    with pytest.raises(Killed):
        run("out", kill_at_view=6)
    run("out", epochs=2, momentum=0.8)
    assert epochs == [0, 1]
    shard = work.parents[1] / "dataset" / "shard-0000.parquet"
    table = pq.read_table(shard)
    pq.write_table(table.slice(1), shard)
    run("out", epochs=2)
    assert epochs == [0, 1]
    assert "resumed" not in capsys.readouterr().err
    assert len(list(work.iterdir())) == 1  # of the killed one; it would still be right for its own inputs


def test_damaged_checkpoint_is_trained_again(stage, capsys):
    run, epochs, work = stage
    unbroken = run("unbroken", epochs=2)
    with pytest.raises(Killed):
        run("broken", kill_at_view=6, epochs=2)
    (file,) = work.glob("*/checkpoint")
    file.write_bytes(file.read_bytes()[:-100])
    assert run("broken", epochs=2) == unbroken
    assert epochs == [0, 1] and "damaged and ignored" in capsys.readouterr().err


def test_diverged_training_is_one_message_and_leaves_the_epoch_before(stage, monkeypatch):
    run, epochs, _ = stage
    figures = simclr.SimclrTask.losses

    def diverging(task, rows):
        return {name: value * (math.nan if len(epochs) == 2 else 1) for name, value in figures(task, rows).items()}

    monkeypatch.setattr(simclr.SimclrTask, "losses", diverging)
    with pytest.raises(StageError, match=r"simclr: the loss is nan after epoch 2\. Lower simclr.learning_rate"):
        run("out", epochs=2)
    monkeypatch.setattr(simclr.SimclrTask, "losses", figures)
    run("out", epochs=2)
    assert epochs == [1]


@pytest.fixture
def scored(stage, monkeypatch):
    """Runs the stage with given k-NN accuracies of the start and each epoch; gives history, card, and what was kept.

    What was kept is the number of the epoch whose weights were written, found by comparing them with every epoch's.
    """
    run, _, work = stage

    def train(scores, out="out", **changes):
        seen = []

        def accuracy(probe, backbone):
            seen.append({name: value.clone() for name, value in backbone.state_dict().items()})
            return scores[len(seen) - 1]

        monkeypatch.setattr(KnnValidation, "accuracy", accuracy)
        files, report = run(out, knn_every=1, epochs=len(scores) - 1, **changes)
        written = Backbone("test_resnet", "none")
        load_weights(written, work.parents[1] / out)
        written = written.state_dict()
        same = [
            number
            for number, state in enumerate(seen)
            if all(torch.equal(state[name], written[name]) for name in written)
        ]
        card = json.loads(files["encoder.json"])
        assert same == [card["epoch"]]
        last = work.parents[1] / f"{out}_last"
        load_weights(left := Backbone("test_resnet", "none"), last)
        assert all(torch.equal(seen[-1][name], value) for name, value in left.state_dict().items())
        assert json.loads((last / "encoder.json").read_text()) == card | {"epoch": len(scores) - 1}
        return card["epoch"], report.metrics

    return train


def test_best_epoch_by_validation_is_kept_and_ties_go_to_the_later(scored):
    epoch, metrics = scored([0.5, 0.3, 0.4, 0.4, 0.2], keep="best")
    assert epoch == 3
    assert (metrics["knn_before"], metrics["knn_after"]) == (0.5, 0.4)


def test_last_epoch_is_kept_when_asked_for(scored):
    assert scored([0.1, 0.9, 0.2], keep="last")[0] == 2


@pytest.mark.parametrize(("weights", "kept"), [("download", 0), ("none", 2)])
def test_start_is_kept_only_if_it_knows_something(scored, monkeypatch, weights, kept):
    """A random start may look best on a tiny split; it is never what was asked for."""
    create = timm.create_model
    monkeypatch.setattr(timm, "create_model", lambda name, pretrained, **options: create(name, **options))
    assert scored([0.9, 0.2, 0.3], keep="best", weights=weights)[0] == kept


def test_best_epoch_survives_a_kill(stage, monkeypatch):
    """The best features are in the checkpoint: they were trained before the kill."""
    run, epochs, _ = stage
    scores = iter([0.1, 0.8, 0.3, 0.1, 0.8, 0.3])
    monkeypatch.setattr(KnnValidation, "accuracy", lambda probe, backbone: next(scores))
    unbroken = run("unbroken", epochs=2, knn_every=1, keep="best")
    with pytest.raises(Killed):
        run("broken", kill_at_view=5, epochs=2, knn_every=1, keep="best")
    assert run("broken", epochs=2, knn_every=1, keep="best") == unbroken
    assert epochs == [1]
    assert json.loads(unbroken[0]["encoder.json"])["epoch"] == 1


@pytest.mark.slow
def test_training_from_scratch_with_a_resnet_writes_an_encoder(stage):
    """weights: none, and a published architecture as it comes from timm."""
    run, _, work = stage
    files, report = run("out", backbone="resnet18", epochs=1, projection_hidden=8, projection_out=4)
    encoder = BackboneEncoder(work.parents[1] / "out")
    assert encoder.network.width == 512
    assert math.isfinite(report.curves["loss"][0])
    assert files["history.csv"].decode().splitlines()[0] == "epoch,loss,knn_type"
