"""How much of system B's attention is on the garment, by the demo's ground truth.

Only ``make audit`` uses it, the one command that reads the ground truth. A garment is the box of its visible pixels, so
the background between sleeve and waist counts as garment; uniform attention is reported as the baseline.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stages.contracts.boxes import Box, box_of, padded, squared
from stages.contracts.tables import OUTCOMES, read_table


def coverage(box: Box, height: int, width: int) -> np.ndarray:
    """Share 0..1 of each of [height, width] places that a box covers; corners are shares of the picture's sides."""
    low, high = np.arange(width) / width, (np.arange(width) + 1) / width
    along_x = np.clip(np.minimum(high, box[2]) - np.maximum(low, box[0]), 0, None) * width
    low, high = np.arange(height) / height, (np.arange(height) + 1) / height
    along_y = np.clip(np.minimum(high, box[3]) - np.maximum(low, box[1]), 0, None) * height
    return along_y[:, None] * along_x[None]


def in_picture(box: Box, crop: Box, ratio: float) -> Box:
    """A box of an image as shares of the upright picture of a crop, in which the crop is centered on white.

    Args:
        box, crop: corners in pixels of the image.
        ratio: height of the picture as a multiple of its width.
    """
    wide, high = crop[2] - crop[0], (crop[3] - crop[1]) / ratio
    full = max(wide, high)
    left, top = (full - wide) / 2, (full - high) / 2
    corners = ((box[0] - crop[0] + left) / full, ((box[1] - crop[1]) / ratio + top) / full,
               (box[2] - crop[0] + left) / full, ((box[3] - crop[1]) / ratio + top) / full)  # fmt: skip
    inside = (left / full, top / full, (left + wide) / full, (top + high) / full)
    return (max(corners[0], inside[0]), max(corners[1], inside[1]),
            min(corners[2], inside[2]), min(corners[3], inside[3]))  # fmt: skip


def shares_on(maps: np.ndarray, boxes: Sequence[Box]) -> tuple[list[float], float]:
    """Mean share of each glimpse's attention inside the pictures' boxes [K], and the share of uniform attention.

    Args:
        maps: [n, K, h, w], each of sum 1.
        boxes: results of ``in_picture`` [n].
    """
    covered = np.stack([coverage(box, *maps.shape[2:]) for box in boxes])
    return (maps * covered[:, None]).sum((2, 3)).mean(0).tolist(), float(covered.mean())


def garment_boxes(data: Path, sources: Sequence[str], crops: Mapping[str, Any], ratio: float) -> dict[str, Box]:
    """Crop id -> the garment's box in the upright picture of its crop, for the crops of the drawn sources."""
    boxes = {}
    for source in sources:
        truth = {row["item"]: row for row in read_table(data / "truth" / source / "garments.parquet").to_pylist()}
        for row in read_table(data / "crops" / source / "outcomes.parquet", OUTCOMES).to_pylist():
            garment = truth.get(row["item_id"])
            if row["outcome"] != "matched" or garment is None:
                continue
            size = garment["width"], garment["height"]
            crop = padded(box_of(row), crops["padding"], *size)
            crop = squared(crop, *size) if crops["shape"] == "square" else crop
            boxes[f"{source}:{row['item_id']}"] = in_picture(box_of(garment), crop, ratio)
    return boxes


def measure(
    data: Path, encoder: Path, sources: Sequence[str], crops: Mapping[str, Any]
) -> tuple[list[float], float, float]:
    """Share of each glimpse on the garment [K], the share of uniform attention, and the mean overlap of two maps.

    Measured on the validation crops whose garment the ground truth has.
    """
    import torch

    from stages.encoders.attention import overlap
    from stages.networks.backbones.features import passes, read_crops
    from stages.networks.encoders.attention.encoder import AttentionEncoder

    attention = AttentionEncoder(encoder)
    boxes = garment_boxes(data, sources, crops, attention.pixels.height / attention.pixels.width)
    rows = read_crops(data / "dataset", "val")
    rows = rows[rows["crop_id"].isin(boxes.keys())]
    images = attention.pixels.decode(list(rows["bytes"]))
    with torch.inference_mode():
        device = next(attention.network.parameters()).device
        batches = [attention.network.glimpses_in(images[chunk].to(device)).maps for chunk in passes(images)]
        maps = torch.cat(batches).cpu()
    return *shares_on(maps.numpy(), [boxes[name] for name in rows["crop_id"]]), float(overlap(maps))


def as_markdown(shares: Sequence[float], uniform: float, shared: float) -> str:
    """The shares as a Markdown table."""
    heads = [*(f"glimpse {number}" for number in range(1, len(shares) + 1)), "uniform", "overlap of two maps"]
    values = " | ".join(f"{value:.3f}" for value in (*shares, uniform, shared))
    return "\n".join([f"| attention on the garment | {' | '.join(heads)} |", "| --- |" + " ---: |" * len(heads),
                      f"| share, validation crops | {values} |"])  # fmt: skip
