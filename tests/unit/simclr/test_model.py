"""The contrastive losses, each against the slowest possible loop."""

import math

import pytest
import torch

from stages.simclr.model import contrastive_loss


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
