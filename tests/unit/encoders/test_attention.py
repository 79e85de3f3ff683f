"""Each loss term of system B, and the texture encoding, against values worked out by hand or by a slow loop."""

import math

import pytest
import torch

from stages.encoders.attention import (
    AttentionLossParams,
    anchor_loss,
    classification_loss,
    diversity_loss,
    localisation_loss,
    positive_loss,
    scale_loss,
)
from stages.networks.encoders.attention.network import TextureEncoding


def test_classification_loss_by_hand():
    # softmax of (ln 2, 0, 0) is (.5, .25, .25); labels 1 and 3 as a distribution are (.5, 0, .5).
    scores, labels = torch.tensor([[math.log(2), 0, 0]]), torch.tensor([[1.0, 0, 1]])
    assert classification_loss(scores, labels).item() == pytest.approx(0 + 0.0625 + 0.0625)


def test_classification_loss_is_the_mean_over_pictures_and_the_sum_over_classes():
    torch.manual_seed(0)
    scores, labels = torch.randn(4, 5), (torch.rand(4, 5) > 0.5).float()
    labels[:, 0] = 1
    labels[2] = 0  # a picture without a label takes no part
    total = 0.0
    for row in (0, 1, 3):
        exps = [math.exp(float(value)) for value in scores[row]]
        for c in range(5):
            total += (float(labels[row, c]) / float(labels[row].sum()) - exps[c] / sum(exps)) ** 2
    assert classification_loss(scores, labels).item() == pytest.approx(total / 3, rel=1e-5)
    assert classification_loss(scores, torch.zeros(4, 5)).item() == 0


def test_diversity_loss_by_a_slow_loop():
    torch.manual_seed(0)
    maps = torch.randn(2, 3, 4, 2).flatten(2).softmax(2).view(2, 3, 4, 2)
    total = 0.0
    for row in range(2):
        for k in (1, 2):
            total += sum(float(maps[row, k - 1, y, x] * maps[row, k, y, x]) for y in range(4) for x in range(2))
    assert diversity_loss(maps).item() == pytest.approx(total / 2 / 2, rel=1e-5)  # K - 1 = 2, and two pictures


def test_diversity_loss_is_zero_apart_and_highest_on_one_place():
    apart = torch.zeros(1, 2, 2, 2)
    apart[0, 0, 0, 0] = apart[0, 1, 1, 1] = 1
    together = torch.zeros(1, 2, 2, 2)
    together[0, :, 0, 0] = 1
    assert diversity_loss(apart).item() == 0
    assert diversity_loss(together).item() == 1
    assert diversity_loss(torch.full((1, 2, 2, 2), 0.25)).item() == pytest.approx(0.25)
    assert diversity_loss(together[:, :1]).item() == 0  # one glimpse has nothing to differ from


SIZE = torch.tensor([[[0.9, 0.5], [-0.7, 0.2]]])  # one picture, two glimpses
CENTRE = torch.tensor([[[0.3, -0.5], [0.1, 0.4]]])
ANCHORS = torch.tensor([[0.0, -0.5], [0.0, 0.5]])


def test_scale_loss_by_hand():
    # .4^2 and 0 for the first region; |-.7| - .5 = .2 for the second; mean over the two.
    assert scale_loss(SIZE, 0.5).item() == pytest.approx((0.16 + 0.04) / 2)


def test_anchor_loss_by_hand():
    assert anchor_loss(CENTRE, ANCHORS).item() == pytest.approx(((0.09 + 0) / 2 + (0.01 + 0.01) / 2) / 2)


def test_positive_loss_by_hand():
    # Only s_x = -.7 and s_y = .2 are below .3: 1.0 and .1.
    assert positive_loss(SIZE, 0.3).item() == pytest.approx(1.1 / 2)


def test_localisation_loss_weighs_its_parts():
    params = AttentionLossParams(
        gamma_div=0.01, gamma_loc=0.1, lambda_anchor=0.01, lambda_positive=0.1, alpha=0.5, beta=0.3
    )
    expected = 0.1 + 0.01 * 0.0275 + 0.1 * 0.55
    assert localisation_loss(SIZE, CENTRE, ANCHORS, params).item() == pytest.approx(expected)


def test_texture_encoding_by_a_slow_loop():
    """Zhang et al. 2017, equations 2 and 3."""
    torch.manual_seed(0)
    layer = TextureEncoding(3, 4)
    layer.log_smoothing.data = torch.tensor([0.0, 0.5, -1])
    layer.codewords.data *= 5
    maps = torch.randn(2, 4, 3, 2)
    expected = torch.zeros(2, 3, 4)
    smoothing = [math.exp(float(one)) for one in layer.log_smoothing.detach()]
    for row in range(2):
        for y in range(3):
            for x in range(2):
                residuals = [maps[row, :, y, x] - layer.codewords[k].detach() for k in range(3)]
                weights = [math.exp(-smoothing[k] * float((residuals[k] ** 2).sum())) for k in range(3)]
                for k in range(3):
                    expected[row, k] += weights[k] / sum(weights) * residuals[k]
    assert torch.allclose(layer(maps), expected, atol=1e-5)


def test_texture_encoding_does_not_depend_on_the_order_of_places():
    layer = TextureEncoding(3, 4)
    maps = torch.randn(1, 4, 3, 2)
    shuffled = maps.flatten(2)[:, :, torch.randperm(6)].view(1, 4, 2, 3)
    assert torch.allclose(layer(maps), layer(shuffled), atol=1e-5)


def test_texture_of_descriptors_on_a_codeword_is_nearly_nothing():
    layer = TextureEncoding(2, 3)
    layer.codewords.data = torch.tensor([[1.0, 0, 0], [0, 9, 0]])
    on_first = torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1).expand(1, 3, 2, 2)
    assert layer(on_first).abs().max() < 1e-6
