"""Networks for prediction give what the networks themselves give, with fewer layers."""

import pytest
import torch
from torch import nn

from stages.networks.backbones.backbones import Backbone
from stages.networks.backbones.folded import folded

SIDE = 64


def norms(network: nn.Module) -> list[nn.BatchNorm2d]:
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


def with_statistics(network: nn.Module) -> nn.Module:
    """Batch norms of a new network do nothing in evaluation mode; these do."""
    for norm in norms(network):
        norm.running_mean.normal_(0, 0.1)
        norm.running_var.uniform_(0.5, 2)
        norm.weight.data.uniform_(0.5, 1.5)
        norm.bias.data.normal_(0, 0.1)
    return network.eval()


def pictures(count: int = 3) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, SIDE, SIDE), dtype=torch.uint8)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "resnet18", "mobilenetv3_small_050"])
@pytest.mark.parametrize("pooling", ["last", "stages"])
def test_features_are_the_same_without_batch_norms(name, pooling):
    network = with_statistics(Backbone(name, "none", pooling))
    before = len(norms(network))
    images = pictures()
    with torch.no_grad():
        expected = network(images)
        result = folded(network, SIDE, SIDE)
        torch.testing.assert_close(result(images), expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))
    assert norms(result) == [] and len(norms(network)) == before > 0  # the copy has none, the network keeps its own
    assert not result.training


class Small(nn.Module):
    """A convolution and a batch norm, put together as ``order`` says."""

    def __init__(self, order: str) -> None:
        super().__init__()
        self.order, self.convolution, self.norm = order, nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        images = images.float() / 255
        if self.order == "behind":
            return self.norm(self.convolution(images))
        if self.order == "before":
            return self.convolution(self.norm(images))
        if self.order == "twice":
            return self.norm(self.convolution(self.norm(self.convolution(images))))
        maps = self.convolution(images)
        return maps + self.norm(maps)


@pytest.mark.parametrize(("order", "left"), [("behind", 0), ("before", 1), ("twice", 1), ("used again", 1)])
def test_only_a_batch_norm_behind_its_own_convolution_is_folded(order, left):
    network, images = with_statistics(Small(order)), pictures()
    result = folded(network, SIDE, SIDE)
    with torch.no_grad():
        torch.testing.assert_close(result(images), network(images), rtol=1e-4, atol=1e-5)
    assert len(norms(result)) == left


def test_a_network_without_batch_norms_is_copied():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    result = folded(network, SIDE, SIDE)
    assert result is not network and torch.equal(result[0].weight, network[0].weight)
    assert result[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert not network[0].weight.is_contiguous(memory_format=torch.channels_last)
