"""Garments in a person's own photos: detected, cut and embedded with the trained models of the active profile."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from stages.contracts.images import decode, encode_jpeg
from stages.core.errors import StageError
from stages.crops.crops import NO_DETECTOR, cut_match
from stages.crops.params import CropParams
from stages.ingest.reading import IMAGE_SUFFIXES
from stages.networks.backbones.features import Encoder
from stages.networks.detector.model import Detector
from stages.runner.progress import say, track


@dataclass(frozen=True)
class Garment:
    """One garment of one photo; ``superclass`` is "none" when nothing was detected and the photo is the crop."""

    photo: Path
    superclass: str
    confidence: float | None
    box: tuple[int, int, int, int] | None
    crop: bytes


def photos_in(folder: Path) -> list[Path]:
    """Image files below a folder, sorted.

    Raises:
        StageError: when the folder is missing or has no image.
    """
    if not folder.is_dir():
        raise StageError(f"{folder}: no such folder. Give the folder that holds photos of your clothes.")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    if not found:
        raise StageError(f"{folder}: no image in it; expected files named {', '.join(sorted(IMAGE_SUFFIXES))}.")
    return found


def find_garments(path: Path, detectors: Sequence[Detector], params: CropParams) -> list[Garment]:
    """Garments in one photo, most confident first; the whole photo when no detector finds any.

    Raises:
        StageError: when the file is missing or not an image.
    """
    try:
        image, _ = decode(path.read_bytes())
    except FileNotFoundError:
        raise StageError(f"{path}: no such file.") from None
    except (OSError, ValueError, SyntaxError) as error:
        raise StageError(f"{path}: not a readable image ({error}).") from None
    found = [
        detection
        for detector in detectors
        for detection in detector.predict([np.asarray(image)], params.confidence, params.nms_iou)[0]
    ]
    garments = []
    for detection in sorted(found, key=lambda row: -row["confidence"]):
        crop = cut_match(image, detection, params)
        if crop is not None:
            box = tuple(round(detection[side]) for side in ("x1", "y1", "x2", "y2"))
            garments.append(Garment(path, detection["superclass"], detection["confidence"], box, encode_jpeg(crop)))
    if not garments:
        whole = cut_match(image, None, params)
        if whole is None:
            raise StageError(f"{path}: {image.width}x{image.height} pixels are too few to see a garment in.")
        garments.append(Garment(path, NO_DETECTOR, None, None, encode_jpeg(whole)))
    return garments


def read_wardrobe(folder: Path, detectors: Sequence[Detector], params: CropParams) -> list[Garment]:
    """Garments of all photos in a folder; unreadable files are named and left out."""
    garments: list[Garment] = []
    photos = photos_in(folder)
    for path in track(photos, total=len(photos), desc="read wardrobe"):
        try:
            garments += find_garments(path, detectors, params)
        except StageError as error:
            say(f"left out: {error}")
    if not garments:
        raise StageError(f"{folder}: none of {len(photos)} photos could be read.")
    return garments


def inputs(garments: Sequence[Garment], encoder: Encoder) -> tuple[torch.Tensor, list[str]]:
    """Decoded crops and their superclasses, as the encoder takes them."""
    return encoder.pixels.decode([one.crop for one in garments]), [one.superclass for one in garments]


def embed(garments: Sequence[Garment], encoder: Encoder, batch: int = 32) -> np.ndarray:
    """float32 [n, d], scaled to length 1 where the encoder compares by cosine."""
    groups = (garments[start : start + batch] for start in range(0, len(garments), batch))
    parts = [encoder.embed(*inputs(group, encoder)) for group in groups]
    vectors = np.concatenate(parts)
    if encoder.metric == "cosine":
        vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return vectors
