"""SimCLR: the rate, one epoch, which epoch is kept, and a killed training that goes on."""

import json
import math
from argparse import Namespace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import timm
import torch

from stages.core.acceleration import RuntimeParams
from stages.core.tables import write_rows
from stages.encoders import simclr
from stages.encoders.features import BackboneEncoder, load_weights
from stages.encoders.pictures import Pictures
from stages.encoders.schedule import cosine_rate
from stages.encoders.simclr import train_epoch
from stages.encoders.simclr_model import Backbone, SimclrParams, build
from stages.encoders.simclr_probe import KnnProbe
from stages.encoders.simclr_processes import Group

PARAMS = {
    "backbone": "test_resnet", "weights": "none", "image_size": 32, "epochs": 4, "batch": 6, "loss": "nt_xent", "temperature": 0.1,
    "projection_hidden": 32, "projection_out": 16, "learning_rate": 0.05, "momentum": 0.9, "weight_decay": 0.0005,
    "geometry": {"flip": 0.5, "rotation": 10, "min_scale": 0.8, "mask": 0.2, "mask_share": 0.1},
    "color": dict.fromkeys(("probability", "brightness", "contrast", "saturation", "hue", "grayscale"), 0.0),
    "keep": "last", "knn_every": 1, "knn_k": 1, "knn_head": "type", "seed": 0,
}  # fmt: skip
RUNTIME = RuntimeParams(
    threads=1, deterministic=True, pin_instruction_set=False, precision="float32", channels_last=False, compile=False, processes=1
)  # fmt: skip


def test_rate_is_half_a_cosine():
    assert cosine_rate(0, 100, 0.2) == 0.2
    assert cosine_rate(50, 100, 0.2) == pytest.approx(0.1)
    assert cosine_rate(25, 100, 0.2) == pytest.approx(0.2 * (0.5 + math.sqrt(2) / 4))
    assert cosine_rate(100, 100, 0.2) == pytest.approx(0)


def train(crops, epochs=1, **changes):
    torch.manual_seed(0)
    params = SimclrParams.model_validate(PARAMS | changes)
    parts = build(params, RUNTIME, Group())
    start = {name: value.clone() for name, value in parts.backbone.state_dict().items()}
    losses = [
        train_epoch(parts, Pictures(crops, 32), params, epoch, len(crops) // params.batch) for epoch in range(epochs)
    ]
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
    losses, _, _ = train(crops[:6], epochs=8, learning_rate=0.02, geometry=PARAMS["geometry"] | {"mask": 0})
    assert all(math.isfinite(loss) for loss in losses)
    assert np.mean(losses[-2:]) < losses[0]


def test_both_views_pass_in_one_forward_call(crops, cpu):
    params = SimclrParams.model_validate(PARAMS)
    parts = build(params, RUNTIME, Group())
    seen = []
    parts.backbone.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].shape[0]))
    train_epoch(parts, Pictures(crops, 32), params, 0, 2)
    assert seen == [12, 12]


def test_probe_uses_only_rows_that_know_the_label(crops, cpu):
    frame = pd.DataFrame({"bytes": crops, "type": ["a", "b", "c", None, "a", "b"] * 2})
    train, val = frame[:8].reset_index(drop=True), frame[6:].reset_index(drop=True)
    params = SimclrParams.model_validate(PARAMS)
    probe = KnnProbe(train, val, Pictures(list(train["bytes"]), 32), params)
    assert list(probe.rows) == [0, 1, 2, 4, 5, 6, 7]
    assert list(probe.val_labels) == ["a", "b", "c", "a", "b"]
    # Rows 6.. repeat the colours 0..5 with the same labels: the nearest neighbour is the picture itself.
    score = probe.accuracy(build(params, RUNTIME, Group()).backbone)
    assert score == 1


class Killed(BaseException):
    """What no handler in the code under test may swallow."""


@pytest.fixture
def stage(crops, cpu, tmp_path, monkeypatch):
    """Runs the stage in a project of its own; gives the bytes of its outs and the epochs that it trained."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("runtime: {threads: 1, deterministic: true}\n")
    rows = [
        {"crop_id": f"{number:02}", "bytes": data, "split": split, "type": "abc"[number % 3]}
        for split in ("train", "val") for number, data in enumerate(crops)
    ]  # fmt: skip
    schema = pa.schema(
        [("crop_id", pa.string()), ("bytes", pa.binary()), ("split", pa.string()), ("type", pa.string())]
    )
    write_rows(tmp_path / "dataset" / "shard-0000.parquet", schema, rows)
    views, epochs = simclr.random_view, []

    def train_epoch(parts, pictures, params, epoch, steps):
        epochs.append(epoch)
        return epoch_of_the_stage(parts, pictures, params, epoch, steps)

    epoch_of_the_stage = simclr.train_epoch
    monkeypatch.setattr(simclr, "train_epoch", train_epoch)

    def run(out, kill_at_view=None, **changes):
        left = iter(range(kill_at_view if kill_at_view is not None else 10**6))

        def random_view(*arguments):
            if next(left, None) is None:
                raise Killed
            return views(*arguments)

        monkeypatch.setattr(simclr, "random_view", random_view)
        epochs.clear()
        options = SimclrParams.model_validate(PARAMS | {"knn_every": 3} | changes)
        params = SimpleNamespace(simclr=options, runtime=RUNTIME)
        report = simclr.main(Namespace(dataset=tmp_path / "dataset", out=tmp_path / out), params)
        files = ("weights.safetensors", "history.csv", "encoder.json", "params.json")
        return {name: (tmp_path / out / name).read_bytes() for name in files}, report

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
    table = pa.parquet.read_table(shard)
    pa.parquet.write_table(table.slice(1), shard)
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

        monkeypatch.setattr(KnnProbe, "accuracy", accuracy)
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
    monkeypatch.setattr(KnnProbe, "accuracy", lambda probe, backbone: next(scores))
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


def test_colours_are_augmented_when_asked_for(crops, cpu):
    jitter = dict(zip(PARAMS["color"], (0.8, 0.8, 0.8, 0.8, 0.2, 0.2), strict=True))
    plain, _, _ = train(crops)
    colored, _, _ = train(crops, color=jitter)
    again, _, _ = train(crops, color=jitter)
    assert colored == again
    assert colored != plain
