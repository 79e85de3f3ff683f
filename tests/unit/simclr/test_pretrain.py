"""SimCLR: one epoch, the stage, which epoch is kept, a killed training that goes on, several processes."""

import json
import math
from argparse import Namespace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import timm
import torch
from launching import DIES_AFTER_ONE_EPOCH, TWO, Killed, contents, launch
from small import PLAIN_RUNTIME, SIMCLR, write_types

from stages.core.errors import StageError
from stages.learning import loop
from stages.learning.acceleration import RuntimeParams
from stages.learning.distributed import Group
from stages.learning.loop import train_epoch
from stages.networks.backbones.features import BackboneEncoder, Pictures, load_weights
from stages.simclr import pretrain as simclr
from stages.simclr.model import Backbone, KnnValidation, SimclrParams, build
from stages.simclr.pretrain import SimclrTask

RUNTIME = RuntimeParams(**PLAIN_RUNTIME)


def test_rate_of_each_step_is_the_schedules(crops, cpu):
    params = SimclrParams.model_validate(SIMCLR | {"epochs": 2})
    task = SimclrTask(build(params, RUNTIME, Group()), Pictures(crops, 32), params)
    rates = []
    task.optimizer.register_step_pre_hook(lambda optimizer, *_: rates.append(optimizer.param_groups[0]["lr"]))
    rows = [train_epoch(task, epoch) for epoch in range(2)]
    peak = params.learning_rate
    assert rates == pytest.approx([peak, peak * (0.5 + math.sqrt(2) / 4), peak / 2, peak * (0.5 - math.sqrt(2) / 4)])
    assert [row["learning_rate"] for row in rows] == [rates[0], rates[2]]


def train(crops, epochs=1, **changes):
    torch.manual_seed(0)
    params = SimclrParams.model_validate(SIMCLR | changes)
    parts = build(params, RUNTIME, Group())
    start = {name: value.clone() for name, value in parts.backbone.state_dict().items()}
    task = SimclrTask(parts, Pictures(crops, 32), params)
    losses = [train_epoch(task, epoch)["train_loss"] for epoch in range(epochs)]
    return losses, start, parts


def test_epoch_changes_the_weights_and_repeats_to_the_bit(crops, cpu):
    losses, start, parts = train(crops)
    again, _, other = train(crops)
    assert losses == again
    state = parts.backbone.state_dict()
    assert all(torch.equal(state[name], value) for name, value in other.backbone.state_dict().items())
    name, weight = next(iter(parts.backbone.named_parameters()))
    assert not torch.equal(weight, start[name])


def test_loss_goes_down_on_a_tiny_set(crops, cpu):
    losses, _, _ = train(crops[:6], epochs=8, learning_rate=0.02, geometry=SIMCLR["geometry"] | {"mask": 0})
    assert all(math.isfinite(loss) for loss in losses)
    assert np.mean(losses[-2:]) < losses[0]


def test_both_views_pass_in_one_forward_call(crops, cpu):
    params = SimclrParams.model_validate(SIMCLR)
    parts = build(params, RUNTIME, Group())
    seen = []
    parts.backbone.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].shape[0]))
    train_epoch(SimclrTask(parts, Pictures(crops, 32), params), 0)
    assert seen == [12, 12]


def test_colors_are_augmented_when_asked_for(crops, cpu):
    jitter = dict(zip(SIMCLR["color"], (0.8, 0.8, 0.8, 0.8, 0.2, 0.2), strict=True))
    plain, _, _ = train(crops)
    colored, _, _ = train(crops, color=jitter)
    again, _, _ = train(crops, color=jitter)
    assert colored == again
    assert colored != plain


PARAMS = SIMCLR | {"epochs": 2, "keep": "best", "color": dict.fromkeys(SIMCLR["color"], 0.1)}
# Without batch norm, which CPUs cannot synchronize, processes must compute what one process computes.
WITHOUT_BATCH_NORM = """
import functools

from lightly.models.modules import heads

heads.SimCLRProjectionHead = functools.partial(heads.SimCLRProjectionHead, batch_norm=False)
"""
RUN = """
from stages.learning.acceleration import RuntimeParams
from stages.runner.stage import Stage
from stages.simclr.pretrain import main
from stages.simclr.model import SimclrParams

sections = {"simclr": ("simclr", SimclrParams), "runtime": ("runtime", RuntimeParams)}
Stage(main, ["dataset", "out", "last"], sections).run()
"""


def test_batch_that_does_not_divide_is_refused_before_anything_starts(monkeypatch):
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    with pytest.raises(StageError, match="batch is 6, which 4 processes"):
        simclr.main(None, SimpleNamespace(simclr=SimpleNamespace(batch=6), runtime=SimpleNamespace(processes=4)))


@pytest.fixture
def project(crops, tmp_path):
    """A project with a tiny data set; runs commands there and gives their log and the bytes of the outs."""
    write_types(tmp_path / "dataset", crops)

    def run(out, *command, script=None, dies=False, processes=2, **changes):
        params = {"runtime": PLAIN_RUNTIME | {"processes": processes}, "simclr": PARAMS | changes}
        log = launch(tmp_path, *command, "dataset", out, f"{out}_last", params=params, script=script, dies=dies)
        return log, {} if dies else contents(tmp_path / out)

    return run


STAGE = ("-m", "stages.run", "pretrain")


@pytest.mark.slow
def test_two_processes_compute_what_one_computes(project, tmp_path):
    """The loss of every step's global batch and the gradients' mean: with both right, whole trainings agree."""
    script = WITHOUT_BATCH_NORM + RUN
    changes = {"backbone": "test_convnext", "keep": "last", "batch": 12}  # one step an epoch: its mean is its loss
    _, alone = project("alone", "script.py", script=script, processes=1, **changes)
    _, both = project("both", *TWO, "script.py", script=script, **changes)
    history = [pd.read_csv(tmp_path / out / "history.csv") for out in ("alone", "both")]
    assert history[1]["loss"][1] == pytest.approx(history[0]["loss"][1], rel=1e-5)
    assert history[1]["loss"][2] == pytest.approx(history[0]["loss"][2], rel=1e-4)
    assert sorted(both) == sorted(alone)
    from safetensors.torch import load_file

    weights = [load_file(tmp_path / out / "weights.safetensors") for out in ("alone", "both")]
    assert all(torch.allclose(value, weights[1][name], rtol=1e-3, atol=1e-5) for name, value in weights[0].items())


@pytest.mark.slow
def test_stage_starts_two_processes_that_write_once_and_resume_together(project, tmp_path):
    log, unbroken = project("unbroken", *STAGE)
    assert sorted(unbroken) == ["encoder.json", "history.csv", "params.json", "weights.safetensors"]
    assert [log.count(f"simclr: epoch {number}/2,") for number in (1, 2)] == [1, 1]
    assert not list((tmp_path / ".work/pretrain").iterdir())
    project("broken", *TWO, "script.py", script=DIES_AFTER_ONE_EPOCH + RUN, dies=True)
    (checkpoint,) = (tmp_path / ".work/pretrain").glob("*/*")
    assert (checkpoint.name, checkpoint.parent.name[-2:]) == ("checkpoint", "-2")
    log, resumed = project("broken", *STAGE)
    assert log.count("simclr: resumed after epoch 1 of 2") == 1
    assert log.count("simclr: epoch 1/2") == 0
    assert resumed == unbroken


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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


def test_no_epoch_writes_the_start(scored):
    epoch, metrics = scored([0.5], keep="best")
    assert epoch == 0
    assert (metrics["knn_before"], metrics["knn_after"]) == (0.5, 0.5)


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
