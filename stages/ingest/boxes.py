"""Repair of pixel boxes: reversed corners are swapped, what hangs over the border is cut off."""

from typing import Any

from stages.core.accounts import Ledger


def upright(box: list[float], ledger: Ledger) -> list[float]:
    """[x1, y1, x2, y2] with x1 <= x2 and y1 <= y2; a swap is counted as ``reversed``."""
    x1, y1, x2, y2 = box
    if x1 <= x2 and y1 <= y2:
        return box
    ledger.repaired["reversed"] += 1
    return [min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)]


def clipped(box: list[float], width: int, height: int, ledger: Ledger) -> list[float]:
    """The part of an upright box inside the image; a cut is counted as ``clipped``."""
    x1, y1, x2, y2 = box
    inside = [min(max(x1, 0), width), min(max(y1, 0), height), min(max(x2, 0), width), min(max(y2, 0), height)]
    if inside != box:
        ledger.repaired["clipped"] += 1
    return inside


def repair(rows: list[dict[str, Any]], sizes: dict[str, tuple[int, int]], ledger: Ledger) -> list[dict[str, Any]]:
    """Objects whose boxes are inside their images.

    Args:
        rows: objects as read, in pixels.
        sizes: image_id -> (width, height) of the images that passed; objects of others are rejected.
        ledger: gets rejects (``image_rejected``, ``empty_box``) and repairs.
    """
    kept = []
    for row in rows:
        if row["image_id"] not in sizes:
            ledger.reject(row["object_id"], "image_rejected", row["image_id"])
            continue
        raw = [float(row[corner]) for corner in ("x1", "y1", "x2", "y2")]
        width, height = sizes[row["image_id"]]
        x1, y1, x2, y2 = clipped(upright(raw, ledger), width, height, ledger)
        if x2 - x1 < 1 or y2 - y1 < 1:
            ledger.reject(row["object_id"], "empty_box", f"{raw} in an image of {width}x{height}")
            continue
        kept.append(row | {"x1": x1, "y1": y1, "x2": x2, "y2": y2})
    return kept
