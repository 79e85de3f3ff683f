"""The attention network: its branches, glimpses and regions, and the texture encoding."""

import math

import numpy as np
import pytest
import torch

from stages.core.errors import StageError
from stages.encoders.attention import overlap
from stages.networks.backbones.backbones import Backbone
from stages.networks.encoders.attention.network import (
    AttentionNetwork,
    PublishedBranch,
    StagesBranch,
    TextureEncoding,
    sample_regions,
    soft_window,
)


def test_global_branch_has_the_published_sizes():
    branch = PublishedBranch((64, 128, 256), 0.25).layers.eval()
    sizes, value = [], torch.zeros(1, 3, 384, 256)
    with torch.no_grad():
        for layer in branch:
            value = layer(value)
            sizes.append((layer.__class__.__name__, tuple(value.shape[1:])))
    table = [size for name, size in sizes if name != "ReLU"]
    assert table == [
        (64, 384, 256), (64, 384, 256), (64, 384, 256), (64, 96, 64), (64, 96, 64),
        (128, 96, 64), (128, 96, 64), (128, 96, 64), (128, 24, 16), (128, 24, 16),
        (256, 24, 16), (256, 24, 16),
    ]  # fmt: skip
    assert [name for name, _ in sizes if name in ("Dropout", "MaxPool2d", "BatchNorm2d")] == [
        "Dropout", "MaxPool2d", "BatchNorm2d",
    ] * 2  # fmt: skip


def test_branch_of_a_pretrained_network_is_that_network_up_to_maps_of_the_same_size():
    branch = StagesBranch("tf_efficientnet_lite0", "packaged").eval()
    images = torch.randint(0, 256, (2, 3, 96, 64), generator=torch.Generator().manual_seed(0)).float()
    whole = Backbone("tf_efficientnet_lite0", "packaged").eval()
    with torch.no_grad():
        _, stages = whole.network.forward_intermediates((images - whole.mean) / whole.std)
        maps = branch(images)
    assert maps.shape == (2, branch.width, 6, 4) and torch.equal(maps, stages[3])
    assert len(branch.state_dict()) < len(whole.state_dict())  # what comes after is not there


def test_branch_without_maps_of_that_size_is_refused():
    with pytest.raises(StageError, match="vit_small_patch8_224 has no stage whose maps are 1/16"):
        StagesBranch("vit_small_patch8_224", "none")


def test_region_of_full_size_is_the_map_itself_and_a_quarter_is_its_corner():
    maps = torch.arange(16.0).view(1, 1, 4, 4)
    whole = sample_regions(maps, torch.ones(1, 2), torch.zeros(1, 2), 4)
    assert torch.allclose(whole, maps, atol=1e-5)
    corner = sample_regions(maps, torch.full((1, 2), 0.5), torch.tensor([[0.5, -0.5]]), 2)
    assert torch.allclose(corner[0, 0], maps[0, 0, :2, 2:], atol=1e-5)  # x to the right, y up


@pytest.fixture
def network(recipe, cpu):
    return AttentionNetwork(recipe("attention").network, 5).eval()


def glimpses_of(network, count=2):
    images = torch.randint(0, 256, (count, 3, 48, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return network.glimpses_in(images), images


def test_attention_decides_what_a_glimpse_is_made_of(network):
    """All attention on one place: whatever stands elsewhere, the glimpse stays the same."""
    draw = torch.Generator().manual_seed(2)
    maps = torch.rand(1, network.params.texture_width, 3, 2, generator=draw)
    other = torch.rand(maps.shape, generator=draw)
    other[:, :, 1, 0] = maps[:, :, 1, 0]
    place = torch.zeros(1, 3, 2)
    place[:, 1, 0] = 0.3
    with torch.no_grad():
        one, same = network._encoded(maps, place), network._encoded(other, place)
        assert torch.allclose(one, same, atol=1e-5)
        assert not torch.allclose(network._encoded(maps), network._encoded(other), atol=1e-2)
        assert torch.allclose(network._encoded(maps, torch.ones(1, 3, 2)), network._encoded(maps), atol=1e-5)


def test_glimpses_start_at_their_anchors_and_maps_sum_to_one(network):
    glimpses, _ = glimpses_of(network)
    assert (
        glimpses.scores.shape == (2, 5) and glimpses.regions.shape == (2, 2, 12) and glimpses.maps.shape == (2, 2, 3, 2)
    )
    assert torch.allclose(glimpses.maps.sum((2, 3)), torch.ones(2, 2))
    assert torch.allclose(glimpses.center, torch.tensor([[[0.0, -0.5], [0.0, 0.5]]] * 2))
    assert torch.allclose(glimpses.size, torch.full((2, 2, 2), 0.5))


def test_window_is_a_gaussian_around_the_region():
    """Places of one row of four lie at -.75, -.25, .25 and .75, those of one column of two at -.5 and .5."""
    window = soft_window(torch.tensor([[0.5, -1.0]]), torch.tensor([[0.25, -0.5]]), 2, 4)
    along_x, along_y = np.array([2.0, 1, 0, 1]) ** 2, np.array([0.0, 1]) ** 2  # in sizes of the region, mirrored in y
    assert window.shape == (1, 1, 2, 4)
    assert window[0, 0].numpy() == pytest.approx(-(along_x[None] + along_y[:, None]) / 2)
    tiny = soft_window(torch.zeros(1, 2), torch.zeros(1, 2), 1, 2)  # as wide as the least window: 5 sizes away
    assert tiny.flatten().tolist() == pytest.approx([-12.5, -12.5])


def test_maps_of_glimpses_lie_where_their_regions_are(network):
    """Anchors are at the top and at the bottom: so are the maps, before any training."""
    glimpses, _ = glimpses_of(network)
    rows = glimpses.maps.sum(3)  # [n, K, 3]
    assert (rows[:, 0, 0] > 2 * rows[:, 0, 2]).all() and (rows[:, 1, 2] > 2 * rows[:, 1, 0]).all()
    assert overlap(glimpses.maps) < 0.7


def test_scores_are_the_maximum_over_glimpses_class_by_class(network):
    scores = []
    network.classify.register_forward_hook(lambda *call: scores.append(call[-1]))
    glimpses, _ = glimpses_of(network)
    assert len(scores) == 2 and torch.equal(glimpses.scores, torch.maximum(*scores))


def test_recurrence_carries_what_was_seen(network):
    """The state of the second glimpse changes when the first region is another one."""
    states = []
    network.classify.register_forward_hook(lambda *call: states.append(call[1][0]))
    _, images = glimpses_of(network)
    network.anchors[0] = torch.tensor([0.4, 0.4])
    network.glimpses_in(images)
    assert len(states) == 4 and not torch.allclose(states[1], states[3])


def test_vector_of_a_region_is_its_own_texture_whatever_was_seen_before(network):
    _, images = glimpses_of(network)
    network.of_state.weight.data.zero_()  # the memory of earlier regions does not lead the eye
    network.of_state.bias.data.zero_()
    led = network.glimpses_in(images)
    network.cell.weight_hh.data.mul_(-3)  # another memory
    assert torch.equal(network.glimpses_in(images).regions, led.regions)
    assert torch.allclose(led.regions.square().mean(2).sqrt(), torch.ones(2, 2))


def test_whole_vector_is_pooled_features_and_mean_region_of_unit_length(network):
    glimpses, images = glimpses_of(network)
    with torch.no_grad():
        vectors = network(images)
    assert vectors.shape == (2, 8 + 4 * 3)
    assert torch.allclose(vectors[:, :8].norm(dim=1), torch.ones(2))
    mean = glimpses.regions.mean(1)
    assert torch.allclose(vectors[:, 8:], mean / mean.norm(dim=1, keepdim=True), atol=1e-6)


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
