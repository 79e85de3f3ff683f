"""Augmentation of batches of tensors: one affine resampling, a change of colors and one mask for each image.

Color is left alone unless ``color`` asks for it: a garment's color is what the pipeline has to recognize
(docs/methods.md).
"""

import math

import torch
import torch.nn.functional as F
from pydantic import Field

from stages.core.params import Section, Share

GRAY = (0.2989, 0.587, 0.114)  # weights of red, green and blue in the luminance (ITU-R BT.601)


class GeometryParams(Section):
    """How far a view may differ from its image."""

    flip: Share
    rotation: float = Field(ge=0, le=180)
    min_scale: float = Field(gt=0, le=1)
    mask: Share
    mask_share: float = Field(ge=0, lt=1)


class ColorParams(Section):
    """How far a view's colors may differ from its image's; zeros change nothing and draw no random numbers."""

    probability: Share
    brightness: Share
    contrast: Share
    saturation: Share
    hue: float = Field(ge=0, le=0.5)
    grayscale: Share


class Draws:
    """Random numbers for each image of a batch, of which this process may hold only some rows.

    They are drawn for the whole batch, on the CPU. So the generators of all processes have the same state after each
    step, and an image gets the same view whatever the number of processes.
    """

    def __init__(self, count: int, own_rows: slice = slice(None), device: torch.device | str = "cpu") -> None:
        """Draw for the ``own_rows`` of this process in a batch of ``count`` images."""
        self.count, self.own_rows, self.device = count, own_rows, device

    def unit(self, *shape: int) -> torch.Tensor:
        """Uniform numbers in [0, 1), [n, *shape] for this process's n images."""
        return torch.rand(self.count, *shape)[self.own_rows].to(self.device)

    def between(self, low: float, high: float) -> torch.Tensor:
        """Uniform numbers in [low, high), [n]."""
        return torch.empty(self.count).uniform_(low, high)[self.own_rows].to(self.device)


def random_view(
    images: torch.Tensor, params: GeometryParams, color: ColorParams | None = None, draws: Draws | None = None
) -> torch.Tensor:
    """A random view of each image: flipped, rotated, zoomed in, recolored, with a rectangle masked in gray.

    Args:
        images: uint8 or float [n, 3, side, side].
        color: None leaves the colors alone.
        draws: source of random numbers where ``images`` are some rows of a batch; by default they are the whole batch.

    Returns:
        float32 of the same shape, values in 0..255.
    """
    draws = draws or Draws(len(images), device=images.device)
    views = _warp(images, params, draws)
    if color is not None:
        views = recolor(views, color, draws)
    return _mask(views, params, draws)


def _warp(images: torch.Tensor, params: GeometryParams, draws: Draws) -> torch.Tensor:
    angle = (draws.unit() * 2 - 1) * math.radians(params.rotation)
    scale = draws.between(params.min_scale, 1.0).sqrt()
    room = (1 - scale).unsqueeze(1)
    shift = (draws.unit(2) * 2 - 1) * room
    mirror = torch.where(draws.unit() < params.flip, -1.0, 1.0)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    matrix = torch.stack(
        [torch.stack([cos * mirror, -sin, shift[:, 0]], 1), torch.stack([sin * mirror, cos, shift[:, 1]], 1)], 1
    )
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    # Pixels outside the image are white, as the background is, not black.
    return 255 - F.grid_sample(255 - images.float(), grid, mode="bilinear", align_corners=False)


def _mask(views: torch.Tensor, params: GeometryParams, draws: Draws) -> torch.Tensor:
    side, where = views.shape[-1], views.device
    share = draws.unit() * params.mask_share
    ratio = draws.between(math.log(0.4), math.log(2.5)).exp()
    height, width = (share * ratio).sqrt().clamp(max=1), (share / ratio).sqrt().clamp(max=1)
    top, left = draws.unit() * (1 - height), draws.unit() * (1 - width)
    line = (torch.arange(side, device=where) + 0.5) / side
    rows = (line >= top[:, None]) & (line < (top + height)[:, None])
    columns = (line >= left[:, None]) & (line < (left + width)[:, None])
    chosen = draws.unit() < params.mask
    hidden = rows[:, :, None] & columns[:, None, :] & chosen[:, None, None]
    return torch.where(hidden[:, None], torch.full_like(views, 127.0), views)


def recolor(views: torch.Tensor, params: ColorParams, draws: Draws) -> torch.Tensor:
    """Jitter brightness, contrast, saturation and hue (Chen et al. 2020, appendix A), then make some views gray.

    The changes come in this order: factors uniform in 1 +- strength, hue shifts uniform in +- ``hue`` of the circle.

    Args:
        views: float [n, 3, height, width], values in 0..255, as is the result.
    """
    if params.probability and any((params.brightness, params.contrast, params.saturation, params.hue)):
        chosen = draws.unit() < params.probability
        strengths = (params.brightness, params.contrast, params.saturation)
        factors = [draws.between(1 - strength, 1 + strength).view(-1, 1, 1, 1) for strength in strengths]
        turn = draws.between(-params.hue, params.hue)
        changed = (views * factors[0]).clamp(0, 255)
        changed = torch.lerp(gray(changed).mean((2, 3), keepdim=True), changed, factors[1]).clamp(0, 255)
        changed = torch.lerp(gray(changed), changed, factors[2]).clamp(0, 255)
        if params.hue:
            changed = turn_hue(changed, turn)
        views = torch.where(chosen.view(-1, 1, 1, 1), changed, views)
    if params.grayscale:
        chosen = draws.unit() < params.grayscale
        views = torch.where(chosen.view(-1, 1, 1, 1), gray(views).expand_as(views), views)
    return views


def gray(images: torch.Tensor) -> torch.Tensor:
    """Luminance [n, 1, height, width] of images [n, 3, height, width]."""
    return sum(weight * images[:, channel : channel + 1] for channel, weight in enumerate(GRAY))


def turn_hue(images: torch.Tensor, turn: torch.Tensor) -> torch.Tensor:
    """Images [n, 3, height, width], hues shifted by ``turn`` [n], shares of the circle; value and saturation stay."""
    red, green, blue = images.unbind(1)
    value, low = images.amax(1), images.amin(1)
    span = value - low
    safe = torch.where(span > 0, span, 1.0)
    from_green = torch.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe)
    hue = torch.where(value == red, (green - blue) / safe, from_green) + 6 * turn.view(-1, 1, 1)
    # Each channel falls from the value to the lowest of the three as the hue moves away from its own color.
    distances = [(hue + offset) % 6 for offset in (5, 3, 1)]
    channels = [value - span * torch.minimum(distance, 4 - distance).clamp(0, 1) for distance in distances]
    return torch.stack(channels, 1)
