"""The colour histogram: cells worked out by hand, the middle of the picture only, and one with the features of a backbone."""

import pytest
import torch

from stages.encoders.backbones import Backbone
from stages.encoders.colors import CELLS, WIDTH, color_histogram


def plain(red, green, blue, side=40):
    return torch.tensor([red, green, blue], dtype=torch.uint8).view(1, 3, 1, 1).expand(1, 3, side, side).clone()


def shares(images):
    return color_histogram(images).square().view(-1, *CELLS)


def test_a_plain_picture_fills_the_cells_nearest_to_its_colour():
    white = shares(plain(255, 255, 255))[0]
    assert white[5, 4, 4] == pytest.approx(1, abs=1e-4)  # lightness at its end, both colour axes in their middle
    grey = shares(plain(153, 153, 153))[0]  # .6 of 5 steps = cell 3
    assert grey[3, 4, 4] == pytest.approx(1, abs=1e-4)
    # Pure red: a third of the lightness = 1 2/3 cells; red - green = 1 -> 1.15, clamped to the last cell; yellow
    # against blue = .5 -> .825 of 8 = 6.6.
    red = shares(plain(255, 0, 0))[0]
    expected = {(1, 8, 6): 1 / 3 * 0.4, (1, 8, 7): 1 / 3 * 0.6, (2, 8, 6): 2 / 3 * 0.4, (2, 8, 7): 2 / 3 * 0.6}
    for cell, share in expected.items():
        assert red[cell] == pytest.approx(share, abs=1e-4)


def test_shares_are_those_of_the_middle_and_sum_to_one():
    images = plain(255, 255, 255)
    images[..., :10] = images[..., 30:] = images[:, :, :8] = images[:, :, 32:] = 0
    assert shares(images)[0, 5, 4, 4] == pytest.approx(1, abs=1e-4)
    images[:, :, 20:] = 0  # the lower half of the middle
    halves = shares(images)[0]
    assert halves[5, 4, 4] == pytest.approx(0.5, abs=0.03) and halves[0, 4, 4] == pytest.approx(0.5, abs=0.03)
    noise = torch.randint(0, 256, (3, 3, 50, 30), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(shares(noise).sum((1, 2, 3)), torch.ones(3), atol=1e-4)


def test_backbone_adds_it_behind_its_own_features_and_gradients_are_finite():
    backbone = Backbone("test_resnet", "none", "stages_colors").eval()
    images = plain(30, 200, 90, 32).float().requires_grad_()
    features = backbone(images)
    assert features.shape == (1, backbone.width)
    assert torch.equal(features[:, -WIDTH:], color_histogram(images))
    features.sum().backward()
    assert images.grad.isfinite().all()
