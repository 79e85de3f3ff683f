"""Boxes in an image: corners (x1, y1, x2, y2), x2 and y2 exclusive, and how much two of them share.

On numpy, though torchvision has ``box_iou``: importing torchvision takes three seconds, and half of the stages that use
this start in a third of one. A test holds the two against each other.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

Box = tuple[float, float, float, float]  # x1, y1, x2, y2


def box_of(row: Mapping[str, Any]) -> Box:
    """The corners of a row with columns x1, y1, x2 and y2."""
    return row["x1"], row["y1"], row["x2"], row["y2"]


def box_array(boxes: Iterable[Box]) -> np.ndarray:
    """float64 [n, 4]; [0, 4] of no box."""
    return np.array(list(boxes), np.float64).reshape(-1, 4)


def to_corners(centres: np.ndarray) -> np.ndarray:
    """Corners [n, 4] of boxes [n, 4] given by centre, width and height, in the same units."""
    centre, half = centres[:, :2], centres[:, 2:] / 2
    return np.concatenate([centre - half, centre + half], axis=1)


def to_centres(corners: np.ndarray) -> np.ndarray:
    """Centre, width and height [n, 4] of boxes [n, 4] given by corners, in the same units."""
    low, high = corners[:, :2], corners[:, 2:]
    return np.concatenate([(low + high) / 2, high - low], axis=1)


def iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union [n, m] of corner boxes [n, 4] and [m, 4]; 0 where neither has an area."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (first, second)]
    union = areas[0][:, None] + areas[1][None, :] - shared
    return np.divide(shared, union, out=np.zeros(shared.shape), where=union > 0)
