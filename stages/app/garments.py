"""From a photo to its garments and their vectors: pure functions of the photo, the networks and params."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from stages.contracts.images import TooManyPixels, check, decode, encode_jpeg
from stages.core.errors import StageError, shown
from stages.crops.crops import cut_match
from stages.crops.matching import NO_DETECTOR, Detection, elsewhere
from stages.crops.params import CropParams
from stages.ingest.files import is_unread
from stages.ingest.lookup import UNREAD_MESSAGE
from stages.networks.detector.model import Detector
from stages.networks.detector.params import NmsParams

if TYPE_CHECKING:  # torch is imported with the first network: most commands of the wardrobe need none
    import torch

    from stages.networks.backbones.features import Encoder

Box = tuple[int, int, int, int]  # x1, y1, x2, y2 in pixels of the upright photo, x2 and y2 exclusive
MAX_PIXELS = 120_000_000  # the largest phones take 108 million; each takes 3 bytes, twice
LEAST_SALIENT = 0.1  # share of a drawn box that must be salient for its crop to get a plain background
UPLOAD = Path("the photo")  # stands for the name of a photo that comes as bytes


@dataclass(frozen=True)
class Garment:
    """One garment of one photo.

    Attributes:
        superclass: the detected class; "none" if nothing was detected and the crop is the whole photo.
        confidence: the detector's; None if the crop is the whole photo, or if a person drew the box.
        box: None if the crop is the whole photo.
        crop: JPEG.
    """

    photo: Path
    superclass: str
    confidence: float | None
    box: Box | None
    crop: bytes


def read_photo(data: bytes, name: Path = UPLOAD) -> Image.Image:
    """A photo, upright and RGB.

    Args:
        name: of the file, for messages.

    Raises:
        StageError: the bytes are no image of a supported format, or it has more than ``MAX_PIXELS`` pixels.
    """
    try:
        return decode(data, MAX_PIXELS)[0]
    except TooManyPixels as error:
        raise StageError(f"{name}: {error}. Save it smaller.") from None
    except (OSError, ValueError, SyntaxError) as error:
        raise StageError(f"{name}: {UNREAD_MESSAGE if is_unread(name) else error}.") from None


def read_file(path: Path) -> bytes:
    """The bytes of a photo.

    Raises:
        StageError: the file is missing or cannot be opened.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise StageError(f"{path}: no such file.") from None
    except OSError as error:
        raise StageError(f"{path}: {error.strerror or error}.") from None


def check_photo(path: Path) -> None:
    """Refuse a file that is no photo, in a fraction of the time that decoding takes.

    Raises:
        StageError: as ``read_file`` and ``read_photo``.
    """
    data = read_file(path)
    try:
        check(data, MAX_PIXELS)
    except (OSError, ValueError, SyntaxError):
        read_photo(data, path)  # raises the error with a message for people


def find_garments(path: Path, detectors: Sequence[Detector], params: CropParams, nms: NmsParams) -> list[Garment]:
    """Garments in the photo of a file; see ``garments_in``.

    Raises:
        StageError: the file is missing, is not an image, or has too few pixels.
    """
    return garments_in(read_photo(read_file(path), path), detectors, params, nms, path)


def garments_in(
    image: Image.Image, detectors: Sequence[Detector], params: CropParams, nms: NmsParams, name: Path = UPLOAD
) -> list[Garment]:
    """Garments in one photo; see ``cut_detections``."""
    return cut_detections(image, detect(image, detectors, params, nms), params, nms, name)


def detect(image: Image.Image, detectors: Sequence[Detector], params: CropParams, nms: NmsParams) -> list[Detection]:
    """The boxes of all detectors in one photo."""
    pixels = np.asarray(image)
    return [row for detector in detectors for row in detector.predict([pixels], params.confidence, nms)[0]]


def cut_detections(
    image: Image.Image,
    detections: list[Detection],
    params: CropParams,
    nms: NmsParams,
    name: Path = UPLOAD,
    mask: np.ndarray | None = None,
) -> list[Garment]:
    """The garments at some boxes of a photo, most confident first; the whole photo if there is none.

    Boxes that overlap by more than ``nms.iou`` are one garment, of the class with the highest confidence.

    Args:
        mask: of the garments, where crops have a plain background; see ``crop_box``.

    Raises:
        StageError: the photo has too few pixels.
    """
    garments = []
    detections = sorted(detections, key=lambda row: -row["confidence"])
    while detections:
        detection = detections[0]
        detections = elsewhere(detections, detection, nms.iou)
        crop = cut_match(image, detection, params, mask)
        if crop is not None:
            x1, y1, x2, y2 = (round(detection[side]) for side in ("x1", "y1", "x2", "y2"))
            box = x1, y1, x2, y2
            garments.append(Garment(name, detection["superclass"], detection["confidence"], box, encode_jpeg(crop)))
    return garments or [_whole(image, params, name)]


def _whole(image: Image.Image, params: CropParams, name: Path, superclass: str = NO_DETECTOR) -> Garment:
    crop = cut_match(image, None, params)
    if crop is None:
        raise StageError(f"{name}: {image.width}x{image.height} pixels are too few to see a garment in.")
    return Garment(name, superclass, None, None, encode_jpeg(crop))


def garment_at(
    image: Image.Image,
    box: Box | None,
    superclass: str,
    superclasses: Sequence[str],
    params: CropParams,
    name: Path = UPLOAD,
    mask: np.ndarray | None = None,
) -> Garment:
    """The garment at a box that a person drew (None: the whole photo), with the superclass that they chose.

    A box that extends beyond the photo is cropped to it.

    Args:
        mask: as for ``cut_detections``. Where nearly nothing in the box is salient, the background stays, as the
            garment would go with it.

    Raises:
        StageError: no such class, or the box has too few pixels of the photo.
    """
    if superclass not in (*superclasses, NO_DETECTOR):
        raise StageError(f"no class {superclass!r}; expected one of {shown([*superclasses, NO_DETECTOR])}.")
    if box is None:
        return _whole(image, params, name, superclass)
    limits = (image.width, image.height, image.width, image.height)
    x1, y1, x2, y2 = (min(max(0, side), limit) for side, limit in zip(box, limits, strict=True))
    detection: dict[str, Any] = {"x1": x1, "y1": y1, "x2": x2, "y2": y2}
    if mask is not None and salient_share(mask, (x1, y1, x2, y2), image.size) < LEAST_SALIENT:
        mask = None
    crop = cut_match(image, detection, params, mask) if x1 < x2 and y1 < y2 else None
    if crop is None:
        raise StageError(
            f"the box {box} has too few pixels of the photo, which is {image.width}x{image.height}; its sides need "
            f"{params.min_side} or more. Draw it larger."
        )
    return Garment(name, superclass, None, (x1, y1, x2, y2), encode_jpeg(crop))


def salient_share(mask: np.ndarray, box: Box, size: tuple[int, int]) -> float:
    """The share of a box's pixels that a mask takes for a garment; 0 for an empty box.

    Args:
        mask: uint8 [h, w], 255 times the probability, over the whole photo.
        box: in pixels of the photo.
        size: width and height of the photo.
    """
    across, down = mask.shape[1] / size[0], mask.shape[0] / size[1]
    rows = slice(int(box[1] * down), math.ceil(box[3] * down))
    inside = mask[rows, int(box[0] * across) : math.ceil(box[2] * across)]
    return float((inside >= 128).mean()) if inside.size else 0.0


def inputs(garments: Sequence[Garment], encoder: "Encoder") -> tuple["torch.Tensor", list[str]]:
    """Decoded crops and their superclasses, as the encoder takes them."""
    return encoder.pixels.decode([garment.crop for garment in garments]), [garment.superclass for garment in garments]


def unit(vectors: np.ndarray, metric: str) -> np.ndarray:
    """Vectors [n, d], scaled to length 1 where ``metric`` is cosine."""
    if metric != "cosine":
        return vectors
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def embed(garments: Sequence[Garment], encoder: "Encoder", batch: int = 32) -> np.ndarray:
    """float32 [n, d], scaled to length 1 where the encoder compares by cosine."""
    groups = (garments[start : start + batch] for start in range(0, len(garments), batch))
    return unit(np.concatenate([encoder.embed(*inputs(group, encoder)) for group in groups]), encoder.metric)
