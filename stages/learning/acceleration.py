"""Section ``runtime``, and faster training at the price of the last digits of its results.

bfloat16 where it is safe (autocast), the channels-last memory layout, and torch.compile. A training calls
``prepare_model`` once its network is on its device, and computes the forward pass inside ``autocast``; the loss, the
weights and the optimizer stay float32. With ``float32`` and both switches off, both functions change nothing.
"""

import os
import shutil
from contextlib import AbstractContextManager
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import nn

from stages.core.errors import StageError
from stages.core.params import Section


class RuntimeParams(Section):
    """Section ``runtime``; its first three keys are read by stages/core/determinism.py before any import.

    ``engine`` and ``gpus`` say where data stages run (stages/core/parallel.py). They change no byte, so no stage of
    dvc.yaml tracks them.
    """

    threads: int | None = Field(ge=0)
    deterministic: bool
    pin_instruction_set: bool
    precision: Literal["float32", "bfloat16"]
    channels_last: bool
    compile: bool
    processes: int = Field(ge=1)
    engine: Literal["local", "ray"]
    gpus: float = Field(ge=0)


class SmallMapConv2d(nn.Conv2d):
    """A 3x3 convolution that is one matrix product where its map is at most 2x2, as at the end of a ResNet at 64 px.

    With padding 1, each input pixel of such a map reaches each output pixel once, by its own tap, as in a dense layer.
    oneDNN's convolutions of these maps take 40 % of a ResNet-18's training step at 64 px, most of it for products
    with the padding. Weights, their names and the result equal the convolution's, except for the order of summation.
    """

    @staticmethod
    def fits(layer: nn.Module) -> bool:
        """Whether a layer is a plain 3x3 convolution with stride 1 and padding 1."""
        return (
            type(layer) is nn.Conv2d
            and layer.kernel_size == (3, 3)
            and layer.stride == layer.padding == layer.dilation == (1, 1)
            and layer.groups == 1
            and layer.padding_mode == "zeros"
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """[n, out, height, width] of [n, in, height, width]."""
        height, width = images.shape[2:]
        if height > 2 or width > 2:
            return super().forward(images)
        taps = self.weight.permute(0, 2, 3, 1)
        places = [(row, column) for row in range(height) for column in range(width)]
        # Result pixel (row, column) sees input pixel (y, x) through tap (y - row + 1, x - column + 1).
        dense = torch.cat([taps[:, 1 - y : 1 - y + height, 1 - x : 1 - x + width].flatten(1) for y, x in places])
        bias = None if self.bias is None else self.bias.repeat(len(places))
        result = F.linear(images.permute(0, 2, 3, 1).flatten(1), dense, bias)
        return result.view(-1, height, width, self.out_channels).permute(0, 3, 1, 2)


def lay_out(network: nn.Module, runtime: RuntimeParams) -> nn.Module:
    """The same network with its weights in the memory layout of ``runtime``; their names and values stay."""
    if runtime.channels_last:
        network.to(memory_format=torch.channels_last)
        if all(weight.device.type == "cpu" for weight in network.parameters()):
            for layer in network.modules():
                if SmallMapConv2d.fits(layer):
                    layer.__class__ = SmallMapConv2d
    return network


def prepare_model(network: nn.Module, runtime: RuntimeParams) -> nn.Module:
    """The same network, prepared in place: weights in the memory layout of ``runtime``, forward pass compiled.

    Names and values of its weights stay, so its ``state_dict`` fits networks that were not prepared.

    Raises:
        StageError: ``compile`` without a C++ compiler.
    """
    lay_out(network, runtime)
    if runtime.compile:
        names = (os.environ.get("CXX", "g++"), "g++", "clang++", "c++")
        if not any(shutil.which(name) for name in names):
            raise StageError(
                "params.yaml: `runtime.compile` is true, but there is no C++ compiler for torch.compile to use. "
                "Install one (apt-get install g++), or set `compile: false`."
            )
        network.compile()
    return network


def autocast(runtime: RuntimeParams, device: str) -> AbstractContextManager[None]:
    """A context in which convolutions and matrix products compute in ``runtime.precision``; all else stays float32."""
    return torch.autocast(device.split(":")[0], torch.bfloat16, enabled=runtime.precision == "bfloat16")
