"""Boxes in an image as corners (x1, y1, x2, y2), x2 and y2 exclusive: conversion, overlap, and crops.

Written in numpy although torchvision has ``box_iou``: importing torchvision takes three seconds, ten times the start-up
of half of the stages that use this module. A test compares the two.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from PIL import Image

Box = tuple[float, float, float, float]  # x1, y1, x2, y2


def box_of(row: Mapping[str, Any]) -> Box:
    """The corners of a row with columns x1, y1, x2 and y2."""
    return row["x1"], row["y1"], row["x2"], row["y2"]


def box_array(boxes: Iterable[Box]) -> np.ndarray:
    """Boxes as float64 [n, 4]; [0, 4] for no box."""
    return np.array(list(boxes), np.float64).reshape(-1, 4)


def to_corners(centers: np.ndarray) -> np.ndarray:
    """Corners [n, 4] of boxes [n, 4] given by center, width and height, in the same units."""
    center, half = centers[:, :2], centers[:, 2:] / 2
    return np.concatenate([center - half, center + half], axis=1)


def to_centers(corners: np.ndarray) -> np.ndarray:
    """Center, width and height [n, 4] of boxes [n, 4] given by corners, in the same units."""
    low, high = corners[:, :2], corners[:, 2:]
    return np.concatenate([(low + high) / 2, high - low], axis=1)


def iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union [n, m] of corner boxes [n, 4] and [m, 4]; 0 where both are empty."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (first, second)]
    union = areas[0][:, None] + areas[1][None, :] - shared
    return np.divide(shared, union, out=np.zeros(shared.shape), where=union > 0)


Corners = tuple[int, int, int, int]  # whole pixels: left, top, right, bottom


PLAIN = (124, 116, 104)  # ImageNet's mean color, which networks take for nothing


def crop_box(
    image: Image.Image,
    box: Box | None,
    *,
    padding: float,
    max_side: int,
    min_side: int,
    square: bool = False,
    mask: np.ndarray | None = None,
) -> Image.Image | None:
    """Crop a box, or the whole image; None when the crop is too small.

    Args:
        box: in pixels of ``image``; None: all of it.
        padding: share of the box's width and height that is added on each side.
        max_side: pixels; a crop whose long side is longer is scaled down to it.
        min_side: pixels that the short side must have, before and after scaling.
        square: extend the shorter side into the surroundings of the box.
        mask: uint8 [h, w], 255 times the probability of the garment, over the whole image; the rest of the crop is
            PLAIN.
    """
    corners = (0, 0, *image.size)
    if box is not None:
        corners = padded(box, padding, *image.size)
        corners = squared(corners, *image.size) if square else corners
    crop = image.crop(corners) if box is not None else image
    if max(crop.size) > max_side:
        scale = max_side / max(crop.size)
        size = (max(1, round(crop.width * scale)), max(1, round(crop.height * scale)))
        crop = crop.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    if mask is not None:
        across, down = mask.shape[1] / image.width, mask.shape[0] / image.height
        region = corners[0] * across, corners[1] * down, corners[2] * across, corners[3] * down
        opacity = Image.fromarray(mask).resize(crop.size, Image.Resampling.BILINEAR, box=region)
        crop = Image.composite(crop, Image.new("RGB", crop.size, PLAIN), opacity)
    return crop if min(crop.size) >= min_side else None


def padded(box: Box, padding: float, width: int, height: int) -> Corners:
    """Whole-pixel corners of a box grown by ``padding`` of its side on each side, inside the image."""
    x1, y1, x2, y2 = box
    grow_x, grow_y = (x2 - x1) * padding, (y2 - y1) * padding
    left, top = max(0, int(x1 - grow_x)), max(0, int(y1 - grow_y))
    right, bottom = min(width, int(x2 + grow_x + 0.999999)), min(height, int(y2 + grow_y + 0.999999))
    return left, top, right, bottom


def squared(corners: Corners, width: int, height: int) -> Corners:
    """Corners extended along the shorter side until they are a square or reach both edges of the image.

    The network's square input then shows the garment's surroundings instead of white padding.
    """
    left, top, right, bottom = corners
    side = max(right - left, bottom - top)
    left, right = _grown(left, right, side, width)
    top, bottom = _grown(top, bottom, side, height)
    return left, top, right, bottom


def _grown(low: int, high: int, side: int, limit: int) -> tuple[int, int]:
    """The span ``low``..``high`` extended to ``side`` about its middle, and moved into 0..``limit``."""
    side = min(side, limit)
    start = min(max(0, low - (side - (high - low)) // 2), limit - side)
    return start, start + side
