"""SimCLR: the rate, one epoch, and the probe that judges its features."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from small import PLAIN_RUNTIME, SIMCLR

from stages.core.errors import StageError
from stages.learning.acceleration import RuntimeParams
from stages.learning.distributed import Group
from stages.learning.loop import cosine, train_epoch
from stages.networks.backbones.features import Pictures
from stages.simclr.model import KnnProbe, SimclrParams, build
from stages.simclr.pretrain import SimclrTask

RUNTIME = RuntimeParams(**PLAIN_RUNTIME)


def test_rate_is_half_a_cosine():
    share = cosine(100)
    assert share(0) == 1
    assert [share(50), share(25), share(100)] == pytest.approx([0.5, 0.5 + math.sqrt(2) / 4, 0])


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


def test_probe_uses_only_rows_that_know_the_label(crops, cpu):
    frame = pd.DataFrame({"bytes": crops, "type": ["a", "b", "c", None, "a", "b"] * 2})
    train, val = frame[:8].reset_index(drop=True), frame[6:].reset_index(drop=True)
    params = SimclrParams.model_validate(SIMCLR)
    probe = KnnProbe(train, val, Pictures(list(train["bytes"]), 32), params)
    assert list(probe.rows) == [0, 1, 2, 4, 5, 6, 7]
    assert list(probe.val_labels) == ["a", "b", "c", "a", "b"]
    # Rows 6.. repeat the colours 0..5 with the same labels: the nearest neighbour is the picture itself.
    score = probe.accuracy(build(params, RUNTIME, Group()).backbone)
    assert score == 1


@pytest.mark.parametrize(
    ("head", "val_types", "message"),
    [
        ("typ", ["a"] * 12, "'typ' is no label; the data set has color, fabric, gender"),
        ("fabric", ["a"] * 12, "none of 12 training crops has a label of 'fabric'; they have labels of: type"),
        ("type", [None] * 12, "none of 12 validation crops has a label of 'type'; they have labels of: color"),
    ],
)
def test_probe_of_a_label_that_a_split_lacks_is_refused(crops, head, val_types, message):
    train = pd.DataFrame({"bytes": crops, "type": ["a", "b"] * 6, "fabric": None})
    val = pd.DataFrame({"bytes": crops, "type": val_types, "color": "red"})
    params = SimclrParams.model_validate(SIMCLR | {"knn_head": head})
    with pytest.raises(StageError, match=message):
        KnnProbe(train, val, Pictures(crops, 32), params)


def test_colours_are_augmented_when_asked_for(crops, cpu):
    jitter = dict(zip(SIMCLR["color"], (0.8, 0.8, 0.8, 0.8, 0.2, 0.2), strict=True))
    plain, _, _ = train(crops)
    colored, _, _ = train(crops, color=jitter)
    again, _, _ = train(crops, color=jitter)
    assert colored == again
    assert colored != plain
