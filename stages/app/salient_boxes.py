"""Garments of a photo as U²-Net-p sees them: a box around each salient region, with the classifier's superclass.

Profiles whose crops are cut by salient boxes (`crops.boxes: salient`) find garments in this way.
"""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from stages.contracts.boxes import Box, box_of
from stages.contracts.images import encode_jpeg
from stages.crops.crops import cut_match
from stages.crops.matching import SALIENT_BOX, Detection, area
from stages.crops.params import CropParams
from stages.salient.mask_boxes import PAIRED, SEVERAL, region_boxes

if TYPE_CHECKING:
    from stages.networks.classifier import ClassifierEncoder


def box_detection(box: Box, superclass: str, confidence: float) -> Detection:
    """A salient box as a detection."""
    corners = dict(zip(("x1", "y1", "x2", "y2"), box, strict=True))
    return {"detector": SALIENT_BOX, "superclass": superclass, "confidence": confidence} | corners


def classified(
    image: Image.Image,
    boxes: list[Box],
    encoder: "ClassifierEncoder",
    params: CropParams,
    mask: np.ndarray | None = None,
) -> list[Detection]:
    """Boxes with the classifier's superclass; those that are too small for a crop are left out.

    Args:
        mask: as of ``crop_box``.
    """
    crops = [cut_match(image, box_detection(box, "", 1.0), params, mask) for box in boxes]
    kept = [(box, encode_jpeg(crop)) for box, crop in zip(boxes, crops, strict=True) if crop is not None]
    if not kept:
        return []
    scores = encoder.superclass_probabilities([crop for _, crop in kept])
    return [box_detection(box, *_most_probable(scores, at)) for at, (box, _) in enumerate(kept)]


def _most_probable(scores: Mapping[str, np.ndarray], at: int) -> tuple[str, float]:
    best = max(scores, key=lambda name: scores[name][at])
    return best, float(scores[best][at])


def around(first: Box, second: Box) -> Box:
    """The smallest box with two boxes in it."""
    low, high = np.minimum(first, second), np.maximum(first, second)
    return float(low[0]), float(low[1]), float(high[2]), float(high[3])


def with_pairs(detections: list[Detection]) -> list[Detection]:
    """The detections, with one box around two shoes that lie side by side: a pair is one garment.

    Two boxes are a pair if they are of similar size and the gap between them is smaller than they are.
    """
    result: list[Detection] = []
    for row in detections:
        mate = next((earlier for earlier in result if _are_pair(row, earlier)), None)
        if mate is None:
            result.append(row)
            continue
        confidence = (row["confidence"] + mate["confidence"]) / 2
        result[result.index(mate)] = box_detection(around(box_of(row), box_of(mate)), row["superclass"], confidence)
    return result


def _are_pair(first: Detection, second: Detection) -> bool:
    if not first["superclass"] == second["superclass"] in PAIRED:
        return False
    small, large = sorted((area(first), area(second)))
    gap = max(
        max(first[low], second[low]) - min(first[high], second[high]) for low, high in (("x1", "x2"), ("y1", "y2"))
    )
    return small >= SEVERAL * large and gap <= math.sqrt(small)


class SalientBoxes:
    """U²-Net-p and the classifier as a detector of garments."""

    def __init__(self, params: CropParams) -> None:
        """Load the network.

        Raises:
            StageError: its package is not installed.
        """
        from stages.salient.network import load_network

        self._network, self._params = load_network(), params

    def detect(self, image: Image.Image, encoder: "ClassifierEncoder") -> tuple[list[Detection], np.ndarray | None]:
        """The garments of a photo that the classifier gives ``crops.confidence`` or more; and ``mask_of_crops``."""
        mask = self._mask(image)
        used = mask if self._params.background == "plain" else None
        detections = with_pairs(classified(image, region_boxes(mask, *image.size), encoder, self._params, used))
        return [row for row in detections if row["confidence"] >= self._params.confidence], used

    def mask_of_crops(self, image: Image.Image) -> np.ndarray | None:
        """The mask uint8 [h, w] by which crops of a photo get a plain background; None: they keep theirs."""
        return self._mask(image) if self._params.background == "plain" else None

    def _mask(self, image: Image.Image) -> np.ndarray:
        from stages.salient.network import predict_masks

        return predict_masks(self._network, [image])[0]
