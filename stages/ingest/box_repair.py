"""Convert boxes into pixels of their images: scale, turn upright, clip at the border."""

from collections.abc import Callable
from typing import Any

from stages.contracts.ledger import Ledger
from stages.ingest.reading import numbers

CORNERS = ("x1", "y1", "x2", "y2")
Size = tuple[int, int]

SIDEWAYS = 5  # EXIF orientations from here on swap width and height
SQUARE = 256  # pixels: the side of DeepFashion's low-resolution pictures

# Share of a side: the precision of six decimals in a YOLO file. A box that ends this far outside ends at the border.
_ROUNDING = 2e-6


def corners(row: dict[str, Any]) -> list[float]:
    """[x1, y1, x2, y2] of a row."""
    return [float(row[corner]) for corner in CORNERS]


def to_pixels(
    rows: list[dict[str, Any]], units: dict[str, str], sizes: dict[str, Size], display: Size | None, ledger: Ledger
) -> list[dict[str, Any]]:
    """The rows with corners in pixels of their images.

    Args:
        rows: objects as read.
        units: object_id -> ``share`` (corners as shares of width and height), ``display`` (pixels of the picture as
            shown on a display) or ``square256`` (pixels of the picture scaled into the middle of 256 x 256, as in
            DeepFashion's low resolution); other objects are in pixels.
        sizes: image_id -> (width, height); rows of other images do not change; ``repair`` rejects them.
        display: (width, height) of that display, to which larger pictures were scaled; None: unknown, then ``display``
            means pixels.
        ledger: gets the repairs ``scaled_from_display`` and ``scaled_from_256``.
    """
    result = []
    for row in rows:
        unit, size = units.get(row["object_id"]), sizes.get(row["image_id"])
        if unit == "share" and size:
            box = [_snapped(value) * side for value, side in zip(corners(row), size * 2, strict=True)]
        elif unit == "display" and size and display and (size[0] > display[0] or size[1] > display[1]):
            scale = max(size[0] / display[0], size[1] / display[1])
            box = [value * scale for value in corners(row)]
            ledger.repair(row["object_id"], "scaled_from_display", f"{size[0]}x{size[1]}, times {scale:.4g}")
        elif unit == "square256" and size and size != (SQUARE, SQUARE):
            scale = max(size) / SQUARE
            margins = [(SQUARE * scale - side) / 2 for side in size] * 2
            box = [value * scale - margin for value, margin in zip(corners(row), margins, strict=True)]
            ledger.repair(row["object_id"], "scaled_from_256", f"{size[0]}x{size[1]}, times {scale:.4g}")
        else:
            result.append(row)
            continue
        result.append(row | dict(zip(CORNERS, box, strict=True)))
    return result


def _snapped(share: float) -> float:
    nearest = min(max(share, 0.0), 1.0)
    return nearest if abs(share - nearest) <= _ROUNDING else share


def around(values: Any) -> list[float] | None:
    """[x1, y1, x2, y2] around the points of a polygon or a rotated box: x, y, x, y, ... or [x, y], [x, y], ...

    None unless ``values`` has at least three points of finite numbers.
    """
    if isinstance(values, (list, tuple)) and values and all(isinstance(point, (list, tuple)) for point in values):
        values = [number for point in values for number in (point if len(point) == 2 else [None])]
    if not isinstance(values, (list, tuple)) or len(values) < 6 or len(values) % 2:
        return None
    points = numbers(values, len(values))
    return points and [min(points[::2]), min(points[1::2]), max(points[::2]), max(points[1::2])]


def turned(box: list[float], orientation: int, stored: Size) -> list[float]:
    """Turn a box [x1, y1, x2, y2] of a stored picture by the picture's EXIF orientation."""
    width, height = stored
    points = [_TURNED[orientation](x, y, width, height) for x, y in (box[:2], box[2:])]
    (x1, y1), (x2, y2) = points
    return [min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)]


# EXIF orientation -> position of a point of the stored picture (width x height) in the upright one.
_TURNED: dict[int, Callable[[float, float, int, int], tuple[float, float]]] = {
    2: lambda x, y, w, h: (w - x, y),
    3: lambda x, y, w, h: (w - x, h - y),
    4: lambda x, y, w, h: (x, h - y),
    5: lambda x, y, w, h: (y, x),
    6: lambda x, y, w, h: (h - y, x),
    7: lambda x, y, w, h: (h - y, w - x),
    8: lambda x, y, w, h: (y, w - x),
}


def turn(
    rows: list[dict[str, Any]],
    sizes: dict[str, Size],
    orientations: dict[str, int],
    stated: dict[str, Size],
    ledger: Ledger,
) -> tuple[list[dict[str, Any]], int]:
    """Turn boxes of stored pictures by EXIF; the rows, and the number of pictures for which it is not known.

    Boxes belong to the stored picture if the annotation's size is that of the stored picture and not that of the
    upright one, unless they only fit the upright one. If there is no such size, or both are equal, they belong to the
    upright picture.

    Args:
        rows: objects in pixels.
        sizes: image_id -> (width, height), upright.
        orientations: image_id -> EXIF orientation, of turned images.
        stated: image_id -> (width, height) in the annotation.
        ledger: gets the repair ``turned_with_image``.
    """
    reach: dict[str, Size] = {}
    for row in rows:
        if row["image_id"] in orientations:
            x, y = reach.get(row["image_id"], (0, 0))
            x1, y1, x2, y2 = corners(row)
            reach[row["image_id"]] = (max(x, int(max(x1, x2)) - 1), max(y, int(max(y1, y2)) - 1))
    turning: dict[str, Size] = {}  # image -> its stored size
    unsure = 0
    for image, (x, y) in reach.items():
        size = sizes[image]
        stored = (size[1], size[0]) if orientations[image] >= SIDEWAYS else size
        if stored == size or stated.get(image) not in (stored, size):
            unsure += 1
        elif stated[image] == stored and ((x <= stored[0] and y <= stored[1]) or x > size[0] or y > size[1]):
            turning[image] = stored
    result = []
    for row in rows:
        if stored_size := turning.get(row["image_id"]):
            key, orientation = row["object_id"], orientations[row["image_id"]]
            box = turned(upright(corners(row), key, ledger), orientation, stored_size)
            ledger.repair(key, "turned_with_image", f"EXIF orientation {orientation} of {stored_size}")
            row = row | dict(zip(CORNERS, box, strict=True))
        result.append(row)
    return result, unsure


def upright(box: list[float], key: str, ledger: Ledger) -> list[float]:
    """[x1, y1, x2, y2] with x1 <= x2 and y1 <= y2; a swap is recorded as ``reversed``."""
    x1, y1, x2, y2 = box
    if x1 <= x2 and y1 <= y2:
        return box
    ledger.repair(key, "reversed", box)
    return [min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)]


def clipped(box: list[float], width: int, height: int, key: str, ledger: Ledger) -> list[float]:
    """The part of an upright box inside the image; clipping is recorded as ``clipped``."""
    x1, y1, x2, y2 = box
    inside = [min(max(x1, 0), width), min(max(y1, 0), height), min(max(x2, 0), width), min(max(y2, 0), height)]
    if inside != box:
        ledger.repair(key, "clipped", f"{box} in an image of {width}x{height}")
    return inside


def repair(rows: list[dict[str, Any]], sizes: dict[str, Size], ledger: Ledger) -> list[dict[str, Any]]:
    """Objects whose boxes are inside their images.

    Args:
        rows: objects, in pixels.
        sizes: image_id -> (width, height) of the images that passed; objects of others are rejected.
        ledger: gets rejects (``image_rejected``, ``empty_box``, ``duplicate_box``) and repairs.
    """
    kept = []
    seen: set[tuple[str, str, tuple[float, ...]]] = set()
    for row in rows:
        key = row["object_id"]
        if row["image_id"] not in sizes:
            ledger.reject(key, "image_rejected", row["image_id"])
            continue
        raw = corners(row)
        width, height = sizes[row["image_id"]]
        x1, y1, x2, y2 = clipped(upright(raw, key, ledger), width, height, key, ledger)
        if x2 - x1 < 1 or y2 - y1 < 1:
            ledger.reject(key, "empty_box", f"{raw} in an image of {width}x{height}")
            continue
        same = (row["image_id"], row.get("class_name", ""), tuple(round(side, 3) for side in (x1, y1, x2, y2)))
        if same in seen:
            ledger.reject(key, "duplicate_box", [round(side, 1) for side in same[2]])
            continue
        seen.add(same)
        kept.append(row | {"x1": x1, "y1": y1, "x2": x2, "y2": y2})
    return kept


def extent(rows: list[dict[str, Any]], units: dict[str, str], sizes: dict[str, Size]) -> dict[str, float]:
    """Largest coordinates of boxes in pixels and largest image sizes, which show whether boxes belong to a display."""
    in_pixels = [corners(row) for row in rows if units.get(row["object_id"]) != "share"]
    if not in_pixels:
        return {}
    return {
        "largest x": max(max(box[0], box[2]) for box in in_pixels),
        "largest y": max(max(box[1], box[3]) for box in in_pixels),
        "largest width": max(width for width, _ in sizes.values()),
        "largest height": max(height for _, height in sizes.values()),
    }
