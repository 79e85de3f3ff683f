"""Boxes and crops of garments in a photo: the input and the output of a detector, the regions of a mask.

Part of an exported folder, beside reader.py. It needs only numpy and pillow.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

BORDER, MOST_BOXES = 114, 300  # gray level around a photo in a detector's input; boxes of a detector in one photo
PLAIN = (124, 116, 104)  # the background of crops of which a mask shows the garment
MEAN = np.array([0.485, 0.456, 0.406], np.float32)  # of the input of the network of masks
STD = np.array([0.229, 0.224, 0.225], np.float32)
Array = np.ndarray
Detected = tuple[str, float, list[float]]  # class, confidence, x1, y1, x2, y2 in pixels


def bilinear(pixels: Array, width: int, height: int) -> Array:
    """uint8 [h, w, 3] resized to [height, width, 3] with the integer arithmetic of OpenCV's INTER_LINEAR."""
    left, right, of_left, of_right = _taps(pixels.shape[1], width, True)
    upper, lower, of_upper, of_lower = _taps(pixels.shape[0], height, False)

    def row(places: Array) -> Array:
        lines = pixels[places]
        near, far = lines[:, left].astype(np.int32), lines[:, right].astype(np.int32)
        return (near * of_left[:, None] + far * of_right[:, None]) >> 4

    mixed = (row(upper) * of_upper[:, None, None] >> 16) + (row(lower) * of_lower[:, None, None] >> 16)
    return ((mixed + 2) >> 2).clip(0, 255).astype(np.uint8)


def _taps(size: int, goal: int, ends: bool) -> tuple[Array, ...]:
    """The two source places of each result place, and their weights in 2048ths."""
    places = ((np.arange(goal) + 0.5) * (size / goal) - 0.5).astype(np.float32)
    first = np.floor(places).astype(np.int64)
    share = places - first.astype(np.float32)
    if ends:  # OpenCV takes the last column alone, and the last row twice
        share = np.where((first < 0) | (first >= size - 1), np.float32(0), share)
    weights = [np.rint(of_place * np.float32(2048)).astype(np.int32) for of_place in (1 - share, share)]
    return first.clip(0, size - 1), (first + 1).clip(0, size - 1), *weights


def letterbox(pixels: Array, side: int) -> tuple[Array, tuple[float, float, int, int]]:
    """A photo uint8 [h, w, 3] in the middle of a gray square; and its scales along x and y, its left and top there."""
    height, width = pixels.shape[:2]
    scale = min(side / height, side / width)
    wide, high = max(round(width * scale), 1), max(round(height * scale), 1)
    left, top = round((side - wide) / 2 - 0.1), round((side - high) / 2 - 0.1)
    square = np.full((side, side, 3), BORDER, np.uint8)
    inner = pixels if (wide, high) == (width, height) else bilinear(pixels, wide, high)
    square[top : top + high, left : left + wide] = inner
    return square, (wide / width, high / height, left, top)


def overlap(box: Array, boxes: Array) -> Array:
    """Intersection over union [n] of a box [4] with boxes [n, 4], given by corners."""
    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    shared = sides.clip(0).prod(axis=1)
    union = (box[2:] - box[:2]).prod() + (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def suppressed(predicted: Array, confidence: float, nms: dict[str, Any]) -> Array:
    """Boxes [n, 6] after non-maximum suppression: x1, y1, x2, y2, confidence, class; the most confident first.

    A detector predicts [4 + classes, positions]: center, width, height, a score for each class.
    """
    places = predicted[:, predicted[4:].max(axis=0) > confidence].T
    order = np.argsort(-places[:, 4:].max(axis=1), kind="stable")
    places = places[order]
    scores, classes = places[:, 4:].max(axis=1), places[:, 4:].argmax(axis=1)
    half = places[:, 2:4] / 2
    boxes = np.concatenate([places[:, :2] - half, places[:, :2] + half], axis=1)
    # Moved apart by class, boxes of two classes never overlap.
    compared = boxes + (classes[:, None] * np.float32(7680) if nms["per_class"] else np.float32(0))
    kept: list[int] = []
    waiting = np.arange(len(places))
    while len(waiting) and len(kept) < MOST_BOXES:
        first, waiting = waiting[0], waiting[1:]
        kept.append(int(first))
        waiting = waiting[overlap(compared[first], compared[waiting]) <= nms["iou"]]
    return np.concatenate([boxes[kept], scores[kept, None], classes[kept, None].astype(np.float32)], axis=1)


def crop_of(
    image: Image.Image, box: Sequence[float] | None, settings: dict[str, Any], mask: Array | None = None
) -> Image.Image | None:
    """The crop of a box, or of the whole photo (None), by ``crop`` of pipeline.json; None when it is too small.

    Args:
        mask: uint8 [h, w] over the whole photo; what is no garment gets a plain color.
    """
    crop, left, top, right, bottom = image, 0, 0, image.width, image.height
    if box is not None:
        x1, y1, x2, y2 = box
        grow_x, grow_y = (x2 - x1) * settings["padding"], (y2 - y1) * settings["padding"]
        left, top = max(0, int(x1 - grow_x)), max(0, int(y1 - grow_y))
        right = min(image.width, int(x2 + grow_x + 0.999999))
        bottom = min(image.height, int(y2 + grow_y + 0.999999))
        if settings["shape"] == "square":
            side = max(right - left, bottom - top)
            left, right = _grown(left, right, side, image.width)
            top, bottom = _grown(top, bottom, side, image.height)
        crop = image.crop((left, top, right, bottom))
    if max(crop.size) > settings["max_side"]:
        scale = settings["max_side"] / max(crop.size)
        size = max(1, round(crop.width * scale)), max(1, round(crop.height * scale))
        crop = crop.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    if mask is not None and box is not None:
        across, down = mask.shape[1] / image.width, mask.shape[0] / image.height
        region = left * across, top * down, right * across, bottom * down
        opacity = Image.fromarray(mask).resize(crop.size, Image.Resampling.BILINEAR, box=region)
        crop = Image.composite(crop, Image.new("RGB", crop.size, PLAIN), opacity)
    return crop if min(crop.size) >= settings["min_side"] else None


def _grown(low: int, high: int, side: int, limit: int) -> tuple[int, int]:
    side = min(side, limit)
    start = min(max(0, low - (side - (high - low)) // 2), limit - side)
    return start, start + side


def mask_input(image: Image.Image, side: int) -> Array:
    """float32 [1, 3, side, side]: the photo stretched to a square, as the network of masks takes it."""
    small = image.resize((side, side), Image.Resampling.BILINEAR, reducing_gap=2.0)
    pixels = np.asarray(small, np.float32)
    normalized = (pixels / max(float(pixels.max()), 1.0) - MEAN) / STD
    return normalized.transpose(2, 0, 1)[None].astype(np.float32)


def regions(mask: Array, settings: dict[str, Any], width: int, height: int) -> list[list[float]]:
    """A box around each region of a mask, the largest region first.

    Args:
        mask: uint8 [h, w], 255 times the probability of a garment, over the whole photo.
        settings: ``salient`` of pipeline.json.
        width, height: of the photo in pixels.
    """
    connected = _connected(_opened(mask >= round(settings["threshold"] * 255), settings["hook"]))
    if not connected:
        return []
    least = max(settings["part"] * max(size for size, *_ in connected), settings["least"] * mask.size)
    across, down = width / mask.shape[1], height / mask.shape[0]
    return [
        [left * across, top * down, right * across, bottom * down]
        for size, left, top, right, bottom in sorted(connected, key=lambda region: -region[0])
        if size >= least
    ]


def _opened(inside: Array, side: int) -> Array:
    """bool [h, w] without what is thinner than a square: eroded, then dilated by it; outside there is nothing."""
    for combine in (np.minimum, np.maximum):
        for axis in (0, 1):
            shape = [(side // 2, side // 2) if at == axis else (0, 0) for at in (0, 1)]
            padded = np.pad(inside, shape)
            shifted = [np.take(padded, range(at, at + inside.shape[axis]), axis) for at in range(side)]
            inside = combine.reduce(shifted)
    return inside


def _connected(inside: Array) -> list[tuple[int, int, int, int, int]]:
    """Size in pixels, and left, top, right, bottom of each region of pixels [h, w] that touch by their sides.

    Runs of a row are joined with the runs of the row above that they touch.
    """
    parents: list[int] = []
    runs: list[tuple[int, int, int]] = []  # row, start, end

    def root(at: int) -> int:
        while parents[at] != at:
            at = parents[at]
        return at

    above: list[int] = []
    for row, line in enumerate(inside):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], line.astype(np.int8), [0]])))
        current = []
        for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            at = len(runs)
            runs.append((row, start, end))
            parents.append(at)
            current.append(at)
            for touching in above:
                if runs[touching][1] < end and start < runs[touching][2]:
                    first, second = sorted((root(touching), root(at)))
                    parents[second] = first
        above = current
    regions: dict[int, list[int]] = {}
    for at, (row, start, end) in enumerate(runs):
        known = regions.setdefault(root(at), [0, start, row, end, row + 1])
        known[0] += end - start
        known[1], known[3], known[4] = min(known[1], start), max(known[3], end), row + 1
    return [(size, left, top, right, bottom) for size, left, top, right, bottom in regions.values()]


def with_pairs(detected: Sequence[Detected], settings: dict[str, Any]) -> list[Detected]:
    """The garments, with one box around two shoes that lie side by side: a pair is one garment."""
    result: list[Detected] = []
    for row in detected:
        mate = next((at for at, earlier in enumerate(result) if _are_pair(row, earlier, settings)), None)
        if mate is None:
            result.append(row)
            continue
        superclass, confidence, box = result[mate]
        around = np.concatenate([np.minimum(box, row[2])[:2], np.maximum(box, row[2])[2:]]).tolist()
        result[mate] = superclass, (confidence + row[1]) / 2, around
    return result


def _are_pair(first: Detected, second: Detected, settings: dict[str, Any]) -> bool:
    if not first[0] == second[0] in settings["paired"]:
        return False
    small, large = sorted((box[2] - box[0]) * (box[3] - box[1]) for box in (first[2], second[2]))
    gap = max(max(first[2][at], second[2][at]) - min(first[2][at + 2], second[2][at + 2]) for at in (0, 1))
    return small >= settings["several"] * large and gap <= math.sqrt(small)
