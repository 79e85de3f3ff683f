"""Section ``runtime``; precision, memory layout and compilation change speed, not what a network computes."""

import copy
from contextlib import nullcontext

import pytest
import torch
from small import PLAIN_RUNTIME
from torch import nn

from stages.core.errors import StageError
from stages.core.params import section
from stages.learning import acceleration
from stages.learning.acceleration import RuntimeParams, SmallMapConv2d, autocast, prepare_model


def runtime(**changes):
    return RuntimeParams(**PLAIN_RUNTIME | changes)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3, padding=1, bias=False), nn.Flatten(1)
    )  # fmt: skip


def step(network, images, context=None):
    """The output and all gradients of one training step."""
    network.zero_grad()
    with context or nullcontext():
        result = network(images)
    result.float().square().sum().backward()
    return result.detach(), {name: weight.grad.clone() for name, weight in network.named_parameters()}


def same(one, other, **tolerance):
    result, grads = one
    others, other_grads = other
    close = [torch.allclose(result, others, **tolerance)]
    return all(close + [torch.allclose(grad, other_grads[name], **tolerance) for name, grad in grads.items()])


@pytest.mark.parametrize("changes", [{"precision": "float16"}, {"processes": 0}, {"threads": -1}])
def test_values_out_of_range_are_named(changes):
    with pytest.raises(StageError, match=rf"`runtime.{next(iter(changes))}` is"):
        section(RuntimeParams, "runtime", {"runtime": PLAIN_RUNTIME | changes})


def test_plain_runtime_changes_no_bit(network):
    images = torch.rand(5, 3, 2, 2)
    plain = step(copy.deepcopy(network), images)
    result, grads = step(prepare_model(network, runtime()), images, autocast(runtime(), "cpu"))
    assert torch.equal(result, plain[0])
    assert all(torch.equal(grad, plain[1][name]) for name, grad in grads.items())


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 2), (2, 1), (2, 2), (3, 2), (5, 5)])
def test_products_for_small_maps_are_the_convolution(network, height, width):
    network, images = network.double(), torch.rand(5, 3, height, width).double()
    expected = step(copy.deepcopy(network), images)
    prepared = prepare_model(network, runtime(channels_last=True))
    assert sum(type(layer) is SmallMapConv2d for layer in prepared) == 2
    assert same(step(prepared, images), expected, rtol=1e-9, atol=1e-9)


def test_prepared_networks_keep_names_and_values_of_their_weights(network):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    after = prepare_model(network, runtime(channels_last=True)).state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], value) for name, value in before.items())


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3, padding=1, stride=2), nn.Conv2d(4, 4, 3, padding=1, groups=4),
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"), nn.Conv2d(4, 4, 3, padding=(1, 0)), nn.Linear(4, 4),
    ],
)  # fmt: skip
def test_other_layers_stay_what_they_are(layer):
    assert not SmallMapConv2d.fits(layer)


def test_bfloat16_computes_products_with_less_precision_and_keeps_weights(network):
    images = torch.rand(5, 3, 2, 2)
    expected = step(copy.deepcopy(network), images)
    found = step(network, images, autocast(runtime(precision="bfloat16"), "cpu"))
    assert found[0].dtype == torch.bfloat16
    assert all(
        weight.dtype == grad.dtype == torch.float32
        for weight, grad in zip(network.parameters(), found[1].values(), strict=True)
    )
    # bfloat16 has 8 bits of mantissa: an error below 2 % of the largest value, and more than none.
    error = (found[0].float() - expected[0]).abs().max() / expected[0].abs().max()
    assert 0 < error < 0.02


def test_compilation_without_a_compiler_says_what_to_do(network, monkeypatch):
    monkeypatch.setattr(acceleration.shutil, "which", lambda name: None)
    with pytest.raises(StageError, match=r"`runtime.compile` is true, but there is no C\+\+ compiler.*compile: false"):
        prepare_model(network, runtime(compile=True))


@pytest.mark.slow
def test_compiled_network_computes_the_same(network):
    images = torch.rand(5, 3, 8, 8)
    expected = step(copy.deepcopy(network), images)
    prepared = prepare_model(network, runtime(compile=True))
    assert list(prepared.state_dict()) == list(copy.deepcopy(network).state_dict())
    assert same(step(prepared, images), expected, rtol=1e-3, atol=1e-3)
