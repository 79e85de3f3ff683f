"""Geometric augmentation of whole batches: one affine resampling and one mask for each image.

Colour is left alone on purpose: a garment's colour is what the pipeline has to recognise (docs/methods.md).
"""

import math

import torch
import torch.nn.functional as F
from pydantic import Field

from stages.core.params import Section


class GeometryParams(Section):
    """How far a view may differ from its image."""

    flip: float = Field(ge=0, le=1)
    rotation: float = Field(ge=0, le=180)
    min_scale: float = Field(gt=0, le=1)
    mask: float = Field(ge=0, le=1)
    mask_share: float = Field(ge=0, lt=1)


def random_view(images: torch.Tensor, params: GeometryParams) -> torch.Tensor:
    """A random view of each image: flipped, rotated, zoomed in, with a rectangle masked in grey.

    Args:
        images: uint8 or float [n, 3, side, side].

    Returns:
        float32 of the same shape, values in 0..255.
    """
    count, _, side, _ = images.shape
    where = images.device
    angle = (torch.rand(count, device=where) * 2 - 1) * math.radians(params.rotation)
    scale = torch.empty(count, device=where).uniform_(params.min_scale, 1.0).sqrt()
    room = (1 - scale).unsqueeze(1)
    shift = (torch.rand(count, 2, device=where) * 2 - 1) * room
    mirror = torch.where(torch.rand(count, device=where) < params.flip, -1.0, 1.0)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    matrix = torch.stack(
        [torch.stack([cos * mirror, -sin, shift[:, 0]], 1), torch.stack([sin * mirror, cos, shift[:, 1]], 1)], 1
    )
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    # Background is white: pixels outside the image are white, not black.
    views = 255 - F.grid_sample(255 - images.float(), grid, mode="bilinear", align_corners=False)
    return _mask(views, params, side)


def _mask(views: torch.Tensor, params: GeometryParams, side: int) -> torch.Tensor:
    count = len(views)
    where = views.device
    share = torch.rand(count, device=where) * params.mask_share
    ratio = torch.empty(count, device=where).uniform_(math.log(0.4), math.log(2.5)).exp()
    height, width = (share * ratio).sqrt().clamp(max=1), (share / ratio).sqrt().clamp(max=1)
    top, left = torch.rand(count, device=where) * (1 - height), torch.rand(count, device=where) * (1 - width)
    line = (torch.arange(side, device=where) + 0.5) / side
    rows = (line >= top[:, None]) & (line < (top + height)[:, None])
    columns = (line >= left[:, None]) & (line < (left + width)[:, None])
    chosen = torch.rand(count, device=where) < params.mask
    hidden = rows[:, :, None] & columns[:, None, :] & chosen[:, None, None]
    return torch.where(hidden[:, None], torch.full_like(views, 127.0), views)
