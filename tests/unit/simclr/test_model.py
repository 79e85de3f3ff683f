"""SimCLR's losses by a slow loop, and the probe that judges its features."""

import math

import pandas as pd
import pytest
import torch
from small import PLAIN_RUNTIME, SIMCLR

from stages.core.errors import StageError
from stages.learning.acceleration import RuntimeParams
from stages.learning.distributed import Group
from stages.networks.backbones.features import Pictures
from stages.simclr.model import KnnValidation, SimclrParams, build, contrastive_loss


def test_nt_xent_by_a_slow_loop():
    """Chen et al. 2020, equation 1, with both views of a row as each other's positive."""
    first, second, rows = views()
    total = 0.0
    for i in range(10):
        j = (i + 5) % 10
        exps = {k: math.exp(float(rows[i] @ rows[k]) / 0.1) for k in range(10) if k != i}
        total -= math.log(exps[j] / sum(exps.values()))
    assert contrastive_loss("nt_xent", 0.1)(first, second).item() == pytest.approx(total / 10, rel=1e-5)


@pytest.mark.parametrize("name", ["dcl", "dclw"])
def test_decoupled_losses_by_a_slow_loop(name):
    """Yeh et al. 2022, equation 6: the positive is not in the denominator; dclw weighs it by 2 - softmax, sigma .5."""
    first, second, rows = views()
    weights = [1.0] * 5
    if name == "dclw":
        hard = [math.exp(float(rows[i] @ rows[i + 5]) / 0.5) for i in range(5)]
        weights = [2 - 5 * one / sum(hard) for one in hard]
    total = 0.0
    for i in range(10):
        j = (i + 5) % 10
        others = sum(math.exp(float(rows[i] @ rows[k]) / 0.1) for k in range(10) if k not in (i, j))
        total += math.log(others) - weights[i % 5] * float(rows[i] @ rows[j]) / 0.1
    assert contrastive_loss(name, 0.1)(first, second).item() == pytest.approx(total / 10, rel=1e-5)


def views():
    """Projections of five first and five second views, and all ten at unit length."""
    torch.manual_seed(0)
    first, second = torch.randn(5, 8), torch.randn(5, 8)
    return first, second, [vector / vector.norm() for vector in torch.cat([first, second])]


RUNTIME = RuntimeParams(**PLAIN_RUNTIME)


def test_probe_uses_only_rows_that_know_the_label(crops, cpu):
    frame = pd.DataFrame({"bytes": crops, "type": ["a", "b", "c", None, "a", "b"] * 2})
    train, val = frame[:8].reset_index(drop=True), frame[6:].reset_index(drop=True)
    params = SimclrParams.model_validate(SIMCLR)
    probe = KnnValidation(train, val, Pictures(list(train["bytes"]), 32), params)
    assert list(probe.rows) == [0, 1, 2, 4, 5, 6, 7]
    assert list(probe.val_labels) == ["a", "b", "c", "a", "b"]
    # Rows 6.. repeat the colors 0..5 with the same labels: the nearest neighbor is the picture itself.
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
        KnnValidation(train, val, Pictures(crops, 32), params)
