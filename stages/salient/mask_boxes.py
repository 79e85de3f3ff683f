"""A garment's box from its mask, and whether it is sure enough to learn from. All numbers are of the whole photo.

The thresholds were measured on photos of clothing-dataset (docs/photos-experiments.md).
"""

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from stages.contracts.boxes import Box, iou

THRESHOLD = 0.5  # from which probability on a pixel belongs to the garment
LOW, HIGH = 0.25, 0.75  # two other thresholds, whose boxes are nearly the same where the network is sure
PART = 0.1  # a region with this share of the largest one's pixels is part of the garment: a shoe's other shoe
HOOK = 5  # pixels of a mask; what is thinner is the hook of a hanger, except of shoes, whose straps are thin
SEVERAL = 0.5  # two regions of which the second has this share of the first's pixels are two things ...
PAIRED = ("footwear",)  # ... but for garments that come in pairs
LEAST, MOST = 0.02, 0.97  # shares of the photo that a box may take
SURE = 0.9  # sureness from which a box is learned


class MaskBox(NamedTuple):
    """What a mask says.

    Attributes:
        box: around the garment, in pixels of the photo; None: there is nothing.
        sureness: intersection over union of the boxes at the thresholds LOW and HIGH, in [0, 1].
        reason: why the box is not sure (a reason of the ledger); empty: it is.
    """

    box: Box | None
    sureness: float
    reason: str


def regions(mask: np.ndarray, threshold: float, hook: int = 0) -> tuple[Box | None, list[float]]:
    """The box around the regions that belong together, in shares of the sides, and the size of each of these regions.

    Args:
        mask: uint8 [h, w], 255 times the probability.
        hook: pixels; what is thinner is left out.

    Returns:
        x1, y1, x2, y2 in [0, 1], or None for an empty mask; shares of the photo, largest first.
    """
    inside = mask >= round(threshold * 255)
    if hook:
        inside = ndimage.binary_opening(inside, np.ones((hook, hook)))
    labels, count = ndimage.label(inside)
    if not count:
        return None, []
    sizes = np.bincount(labels.ravel())[1:]
    kept = np.flatnonzero(sizes >= PART * sizes.max())
    rows, columns = np.nonzero(np.isin(labels, kept + 1))
    height, width = mask.shape
    box = columns.min() / width, rows.min() / height, (columns.max() + 1) / width, (rows.max() + 1) / height
    return (float(box[0]), float(box[1]), float(box[2]), float(box[3])), sorted(
        (float(size) / mask.size for size in sizes[kept]), reverse=True
    )


def box_of_mask(mask: np.ndarray, width: int, height: int, superclass: str) -> MaskBox:
    """The box of a mask, and whether it is sure.

    Args:
        mask: uint8 [h, w], 255 times the probability; it covers the whole photo, whatever its proportions.
        width, height: of the photo in pixels.
        superclass: of the garment, as a pair of shoes is one garment; empty: not known.
    """
    hook = 0 if superclass in PAIRED else HOOK
    place, sizes = regions(mask, THRESHOLD, hook)
    if place is None:
        return MaskBox(None, 0.0, "nothing_salient")
    low, high = regions(mask, LOW, hook)[0], regions(mask, HIGH, hook)[0]
    sureness = float(iou(np.array([low]), np.array([high]))[0, 0]) if low and high else 0.0
    box = place[0] * width, place[1] * height, place[2] * width, place[3] * height
    share = (place[2] - place[0]) * (place[3] - place[1])
    alike = sum(size >= SEVERAL * sizes[0] for size in sizes)
    reason = ""
    if share < LEAST:
        reason = "nothing_salient"
    elif share > MOST:
        reason = "salient_everywhere"
    elif alike > (2 if superclass in PAIRED else 1):
        reason = "several_salient"
    elif sureness < SURE:
        reason = "unsure_mask"
    return MaskBox(box, sureness, reason)


def region_boxes(mask: np.ndarray, width: int, height: int) -> list[Box]:
    """A box around each salient region, the largest region first: what stands out, if garments do not touch.

    Args:
        mask: uint8 [h, w] over the whole picture, 255 times the probability.
        width, height: of the picture in pixels.
    """
    inside = ndimage.binary_opening(mask >= round(THRESHOLD * 255), np.ones((HOOK, HOOK)))
    labels, count = ndimage.label(inside)
    if not count:
        return []
    sizes = np.bincount(labels.ravel())[1:]
    places = ndimage.find_objects(labels)
    across, down = width / mask.shape[1], height / mask.shape[0]
    boxes = []
    for at in np.argsort(-sizes, kind="stable"):
        if sizes[at] >= max(PART * sizes.max(), LEAST * mask.size):
            rows, columns = places[at]
            boxes.append((columns.start * across, rows.start * down, columns.stop * across, rows.stop * down))
    return boxes
