"""Garments as they are cut out of test photos by U²-Net-p's masks, and the ground beside them."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy import ndimage

from stages.contracts.images import open_rgb
from stages.contracts.tables import SALIENT, iter_shards, mask_array, read_shards, read_table
from stages.core.errors import StageError
from stages.core.heads import HEADS
from stages.salient.mask_boxes import HOOK, PAIRED, PART, THRESHOLD, box_of_mask

HELD_OUT = "test"
SOFT = (0.65, 0.98)  # probabilities from which a pixel shows, and is opaque; lower ones show a rim of the old ground
HOLE = 0.01  # share of a garment up to which a hole in its mask is a button or a label, and is filled
SOLID = 128  # opacity from which a pixel counts as the garment: boxes are drawn around these pixels
MARGIN = 3  # pixels around a garment that a cutout keeps, for its soft edge
EDGE = 2  # pixels of the mask; a garment that comes so near to the photo's edge may be cropped by it
GROUND = 0.05  # highest probability of a garment in what is taken as ground
AWAY = 8  # pixels of the mask between the garment and its ground, where its shadow lies
LEAST_STRIP = 0.2  # share of the photo's sides that a strip of ground needs
SMOOTH = 20.0  # largest standard deviation of a strip's gray values; above, it may show furniture or clothes

IntBox = tuple[int, int, int, int]  # x1, y1, x2, y2 in pixels, x2 and y2 exclusive


@dataclass(frozen=True)
class Cutout:
    """A garment of a photo.

    Attributes:
        photo: source:image_id.
        superclass: of its label.
        labels: head -> class, of the heads that its label knows.
        image: RGB, the garment and ``MARGIN`` pixels around it.
        alpha: its opacity, a gray image of the same size.
    """

    photo: str
    superclass: str
    labels: Mapping[str, str]
    image: Image.Image
    alpha: Image.Image


@dataclass(frozen=True)
class Material:
    """What pictures are composed of.

    Attributes:
        cutouts: sorted by photo.
        strips: RGB images of ground without a garment, sorted by photo.
        left_out: reason -> held-out photos that give no cutout.
    """

    cutouts: list[Cutout]
    strips: list[Image.Image]
    left_out: Counter[str]


def solid_box(alpha: np.ndarray) -> IntBox | None:
    """The box around the solid pixels of opacities uint8 [h, w]; None without any."""
    rows, columns = np.nonzero(alpha >= SOLID)
    if not len(rows):
        return None
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def opacity(mask: np.ndarray, superclass: str) -> np.ndarray:
    """Opacity uint8 [h, w] of a garment: its regions of the mask as ``mask_boxes`` chooses them, with a soft edge.

    Args:
        mask: uint8 [h, w], 255 times the probability.
        superclass: of the garment; shoes keep what is thin, and others lose hooks of hangers.
    """
    hook = 0 if superclass in PAIRED else HOOK
    inside = mask >= round(THRESHOLD * 255)
    opened = ndimage.binary_opening(inside, np.ones((hook, hook))) if hook else inside
    labels, _ = ndimage.label(opened)
    sizes = np.bincount(labels.ravel())[1:]
    kept = np.isin(labels, np.flatnonzero(sizes >= PART * sizes.max(initial=1)) + 1)
    if hook:  # opening rounds corners off; what lies within half of its square comes back
        kept = ndimage.binary_dilation(kept, iterations=hook // 2) & inside
    low, high = SOFT
    soft = np.clip((mask / 255 - low) / (high - low), 0, 1) * kept
    return np.round(np.where(_small_holes(soft >= 0.5), 1, soft) * 255).astype(np.uint8)


def _small_holes(solid: np.ndarray) -> np.ndarray:
    """bool [h, w]: the holes of a garment bool [h, w] that are small, and the pixels around them."""
    labels, _ = ndimage.label(ndimage.binary_fill_holes(solid) & ~solid)
    sizes = np.bincount(labels.ravel())[1:]
    small = np.isin(labels, np.flatnonzero(sizes <= HOLE * solid.sum()) + 1)
    return ndimage.binary_dilation(small, iterations=2) & (solid | small)


def free_strip(mask: np.ndarray) -> tuple[float, float, float, float] | None:
    """The largest strip above, below, left or right of everything that may be a garment, as shares of the sides.

    Args:
        mask: uint8 [h, w], 255 times the probability.

    Returns:
        x1, y1, x2, y2 in [0, 1]; None if no strip is ``LEAST_STRIP`` wide, or nothing is in the mask.
    """
    rows, columns = np.nonzero(mask > GROUND * 255)
    if not len(rows):
        return None
    height, width = mask.shape
    left, right = (columns.min() - AWAY) / width, (columns.max() + 1 + AWAY) / width
    top, bottom = (rows.min() - AWAY) / height, (rows.max() + 1 + AWAY) / height
    strips = [(0.0, 0.0, 1.0, top), (0.0, bottom, 1.0, 1.0), (0.0, 0.0, left, 1.0), (right, 0.0, 1.0, 1.0)]
    wide = [strip for strip in strips if min(strip[2] - strip[0], strip[3] - strip[1]) >= LEAST_STRIP]
    if not wide:
        return None
    x1, y1, x2, y2 = max(wide, key=lambda strip: (strip[2] - strip[0]) * (strip[3] - strip[1]))
    return float(x1), float(y1), float(x2), float(y2)


def why_left_out(mask: np.ndarray, width: int, height: int, superclass: str) -> str:
    """Why a photo gives no cutout: a reason of ``box_of_mask``, or that its garment may be cropped; empty: it does."""
    seen = box_of_mask(mask, width, height, superclass)
    if seen.reason or seen.box is None:
        return seen.reason or "nothing_salient"
    edges = (mask[:EDGE], mask[-EDGE:], mask[:, :EDGE], mask[:, -EDGE:])
    return "at_the_edge" if any((edge >= round(THRESHOLD * 255)).any() for edge in edges) else ""


def cut_out(photo: Image.Image, mask: np.ndarray, superclass: str) -> tuple[Image.Image, Image.Image] | None:
    """The garment of a photo and its opacity, cropped to it; None where no pixel is solid.

    Args:
        photo: RGB.
        mask: uint8 [h, w] over the whole photo, whatever its proportions.
        superclass: of the garment.
    """
    alpha = Image.fromarray(opacity(mask, superclass)).resize(photo.size, Image.Resampling.BILINEAR)
    box = solid_box(np.asarray(alpha))
    if box is None:
        return None
    corners = (
        max(0, box[0] - MARGIN),
        max(0, box[1] - MARGIN),
        min(photo.width, box[2] + MARGIN),
        min(photo.height, box[3] + MARGIN),
    )
    return photo.crop(corners), alpha.crop(corners)


def strip_of(photo: Image.Image, mask: np.ndarray) -> Image.Image | None:
    """Ground of a photo beside its garment; None where there is too little, or where it is not smooth."""
    strip = free_strip(mask)
    if strip is None:
        return None
    x1, y1, x2, y2 = strip
    crop = photo.crop((
        round(x1 * photo.width), round(y1 * photo.height), round(x2 * photo.width), round(y2 * photo.height)
    ))  # fmt: skip
    return crop if np.asarray(crop.convert("L")).std() <= SMOOTH else None


def held_out_items(data: Path, source: str) -> dict[str, dict[str, Any]]:
    """image_id -> its item, of held-out photos with a single labeled item."""
    columns = ["source", "split", "image_id", "superclass", *HEADS]
    rows = read_table(data / "dataset" / "items.parquet", columns=columns).to_pylist()
    own = [row for row in rows if row["source"] == source and row["split"] == HELD_OUT]
    counts = Counter(row["image_id"] for row in own)
    return {row["image_id"]: row for row in own if counts[row["image_id"]] == 1}


def photos_of(data: Path, source: str, wanted: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    """(image_id, encoded photo) of the wanted photos of a source."""
    for shard in iter_shards(data / "ingested" / source, ["image_id", "bytes"]):
        for row in shard.to_pylist():
            if row["image_id"] in wanted:
                yield row["image_id"], row["bytes"]


def read_material(data: Path, sources: list[str]) -> Material:
    """The garments and grounds of the held-out photos of some sources.

    Args:
        data: the profile's data folder.
        sources: those of which stage `salient` has made masks.

    Raises:
        StageError: an output of a stage is missing, or no photo gives a cutout.
    """
    cutouts, strips, left_out = {}, {}, Counter[str]()
    for source in sources:
        items = held_out_items(data, source)
        names = [name for name in SALIENT.names if name in ("image_id", "mask", "width", "height")]
        seen = {row["image_id"]: row for row in read_shards(data / "salient" / source, names).to_pylist()}
        for image_id, content in photos_of(data, source, items):
            row, item = seen.get(image_id, {}), items[image_id]
            if row.get("mask") is None:
                left_out["no_mask"] += 1
                continue
            mask = mask_array(row["mask"])
            photo, name = open_rgb(content), f"{source}:{image_id}"
            strip = strip_of(photo, mask)
            if strip is not None:
                strips[name] = strip
            reason = why_left_out(mask, row["width"], row["height"], item["superclass"])
            piece = None if reason else cut_out(photo, mask, item["superclass"])
            if piece is None:
                left_out[reason or "unsure_mask"] += 1
                continue
            labels = {head: item[head] for head in HEADS if item[head] is not None}
            cutouts[name] = Cutout(name, item["superclass"], labels, *piece)
    if not cutouts:
        raise StageError(
            f"{data / 'salient'}: no held-out photo of {', '.join(sources)} has a sure mask ({dict(left_out)}), so no "
            "picture can be composed. Give the source more photos, or look at its pictures in that folder."
        )
    return Material([cutouts[name] for name in sorted(cutouts)], [strips[name] for name in sorted(strips)], left_out)
