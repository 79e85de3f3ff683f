"""The color histogram: cells worked out by hand, no border, the middle only, and one with the features of a backbone."""

import pytest
import torch

from stages.networks.backbones.backbones import Backbone
from stages.networks.backbones.colors import CELLS, WIDTH, color_histogram


def plain(red, green, blue, side=40):
    return torch.tensor([red, green, blue], dtype=torch.uint8).view(1, 3, 1, 1).expand(1, 3, side, side).clone()


def shares(images):
    return color_histogram(images).square().view(-1, *CELLS)


def test_a_plain_picture_fills_the_cells_nearest_to_its_color():
    white = shares(plain(255, 255, 255))[0]
    assert white[7, 5, 5] == pytest.approx(1, abs=1e-4)  # lightness at its end, both color axes in their middle
    gray = shares(plain(153, 153, 153))[0]  # .6 of 7 steps = 4.2 cells
    assert gray[4:6, 5, 5].tolist() == pytest.approx([0.8, 0.2], abs=1e-4)
    # Pure red: a third of the lightness = 2 1/3 cells; red - green = 1 -> 1.15, clamped to the last cell; yellow
    # against blue = .5 -> .825 of 10 = 8.25.
    red = shares(plain(255, 0, 0))[0]
    expected = {(2, 10, 8): 2 / 3 * 0.75, (2, 10, 9): 2 / 3 * 0.25, (3, 10, 8): 1 / 3 * 0.75, (3, 10, 9): 1 / 3 * 0.25}
    for cell, share in expected.items():
        assert red[cell] == pytest.approx(share, abs=1e-4)


@pytest.mark.parametrize("padding", [255, 204, 0])  # white, and what augmentation may make of it
def test_plain_border_has_no_share(padding):
    """A red garment on top of a blue one, long and off the middle, in a padded square; beside it a picture without border."""
    images = torch.cat([plain(padding, padding, padding), plain(0, 255, 0)])
    images[0, :, 5:35, 22:32] = plain(255, 0, 0)[0, :, 5:35, 22:32]
    images[0, :, 20:35, 22:32] = plain(0, 0, 255)[0, :, 20:35, 22:32]
    expected = [(shares(plain(255, 0, 0)) + shares(plain(0, 0, 255)))[0] / 2, shares(plain(0, 255, 0))[0]]
    for found, mixed in zip(shares(images), expected, strict=True):
        assert torch.allclose(found, mixed, atol=1e-4)


def test_shares_are_those_of_the_middle_and_sum_to_one():
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (1, 3, 40, 40), dtype=torch.uint8, generator=draw)
    images[:, :, 4:36, 4:36] = 255
    assert shares(images)[0, 7, 5, 5] == pytest.approx(1, abs=1e-4)
    noise = torch.randint(0, 256, (3, 3, 50, 30), dtype=torch.uint8, generator=draw)
    assert torch.allclose(shares(noise).sum((1, 2, 3)), torch.ones(3), atol=1e-4)


def test_backbone_adds_it_behind_its_own_features_and_gradients_are_finite():
    backbone = Backbone("test_resnet", "none", "stages_colors").eval()
    images = plain(30, 200, 90, 32).float().requires_grad_()
    features = backbone(images)
    assert features.shape == (1, backbone.width)
    assert torch.equal(features[:, -WIDTH:], color_histogram(images))
    features.sum().backward()
    assert images.grad.isfinite().all()
