"""Find the match of a photo among photos of your own clothes.

Usage: python -m stages.run match PHOTO --wardrobe FOLDER [--top 5] [--any-class]

Prints the garments found in PHOTO, their attributes, and for each the most similar garments in FOLDER. Uses the
detectors and the classifier that the active profile has trained (`make repro` first).
"""

import argparse
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from stages.contracts.images import IMAGE_SUFFIXES, decode, encode_jpeg
from stages.core.determinism import seed_everything
from stages.core.errors import StageError, shown
from stages.core.names import plain
from stages.core.params import load_params, lookup, section
from stages.crops.crops import cut_match
from stages.crops.matching import NO_DETECTOR, elsewhere
from stages.crops.params import CropParams
from stages.ingest.files import BROKEN, CLOSED, is_image, is_unread, walk
from stages.ingest.lookup import UNREAD_SAID
from stages.networks.backbones.features import Encoder
from stages.networks.classifier import ClassifierEncoder
from stages.networks.detector.model import Detector, load_detectors
from stages.networks.detector.params import NmsParams
from stages.runner.progress import track
from stages.runner.stage import new_parser, one_message

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Garment:
    """One garment of one photo; ``superclass`` is "none" when nothing was detected and the photo is the crop."""

    photo: Path
    superclass: str
    confidence: float | None
    box: tuple[int, int, int, int] | None
    crop: bytes


def photos_in(folder: Path) -> list[Path]:
    """Image files below a folder, sorted, over links too. What looks like a photo and is not read is said aloud.

    Raises:
        StageError: when the folder is missing or has no image.
    """
    if not folder.is_dir():
        said = "is no folder" if folder.exists() else "no such folder"
        raise StageError(f"{folder}: {said}. Give the folder that holds photos of your clothes.")
    found = []
    left_out: Counter[str] = Counter()
    for path, _, kind in walk(folder):
        if not kind and is_image(path):
            found.append(path)
        elif kind in (BROKEN, CLOSED):
            left_out[kind] += 1
        elif not kind:
            left_out[f"{path.suffix.lower() or 'no suffix'}{f' ({UNREAD_SAID})' if is_unread(path) else ''}"] += 1
    if left_out:
        parts = ", ".join(f"{count} {kind}" for kind, count in sorted(left_out.items()))
        log.info(f"{folder}: {len(found)} photos; left out: {parts}")
    if not found:
        raise StageError(f"{folder}: no image in it; expected files named {', '.join(sorted(IMAGE_SUFFIXES))}.")
    return sorted(found)


def find_garments(path: Path, detectors: Sequence[Detector], params: CropParams, nms: NmsParams) -> list[Garment]:
    """Garments in one photo, most confident first; the whole photo when no detector finds any.

    Boxes that overlap by more than ``nms.iou`` are one garment, of the class that is surest.

    Raises:
        StageError: when the file is missing or not an image.
    """
    try:
        image, _ = decode(path.read_bytes())
    except FileNotFoundError:
        raise StageError(f"{path}: no such file.") from None
    except (OSError, ValueError, SyntaxError) as error:
        raise StageError(f"{path}: {UNREAD_SAID if is_unread(path) else error}.") from None
    found = [
        detection
        for detector in detectors
        for detection in detector.predict([np.asarray(image)], params.confidence, nms)[0]
    ]
    garments = []
    found.sort(key=lambda row: -row["confidence"])
    while found:
        detection = found[0]
        found = elsewhere(found, detection, nms.iou)
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


def same_photo(photo: Path) -> Callable[[Path], bool]:
    """Whether a file holds the very bytes of ``photo``: then it is no match of it, but the photo itself."""
    size, content = photo.stat().st_size, photo.read_bytes()
    return lambda path: path.stat().st_size == size and path.read_bytes() == content


def read_wardrobe(
    folder: Path, photo: Path, detectors: Sequence[Detector], params: CropParams, nms: NmsParams
) -> list[Garment]:
    """Garments of all photos in a folder but ``photo`` itself; unreadable files are named and left out."""
    garments: list[Garment] = []
    found, itself = photos_in(folder), same_photo(photo)
    photos = [path for path in found if not itself(path)]
    if own := sorted(set(found) - set(photos)):
        log.info(f"{photo} lies in the wardrobe itself, as {shown(own)}: left out, the next best matches follow")
    if not photos:
        raise StageError(f"{folder}: holds no other photo than {photo} itself. Add photos of your clothes.")
    for path in track(photos, total=len(photos), desc="read wardrobe"):
        try:
            garments += find_garments(path, detectors, params, nms)
        except StageError as error:
            log.info(f"left out: {error}")
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


def rank(
    query: np.ndarray, superclass: str, wardrobe: list[Garment], vectors: np.ndarray, any_class: bool
) -> list[tuple[Garment, float]]:
    """Wardrobe garments by cosine similarity, best first.

    Only garments of the query's superclass (and photos in which nothing was detected) compete, unless
    ``any_class`` or the query's own class is unknown.
    """
    free = any_class or superclass == NO_DETECTOR
    rows = [n for n, one in enumerate(wardrobe) if free or one.superclass in (superclass, NO_DETECTOR)]
    scores = vectors[rows] @ query
    order = sorted(range(len(rows)), key=lambda place: (-scores[place], str(wardrobe[rows[place]].photo)))
    return [(wardrobe[rows[place]], float(scores[place])) for place in order]


def describe(attributes: dict[str, tuple[str, float]]) -> str:
    """``color Blue 91 %, type T-Shirts 80 %``."""
    return ", ".join(f"{head} {name} {share:.0%}" for head, (name, share) in attributes.items())


def count(text: str) -> int:
    """A number above 0, as argparse wants types."""
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"expected a number above 0, found {text}")
    return number


def share(text: str) -> float:
    """A number from 0 to 1, as argparse wants types."""
    if not 0 <= (number := float(text)) <= 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 1, found {text}")
    return number


def main() -> None:
    """Parse, find, print."""
    parser = new_parser(__doc__)
    parser.add_argument("photo", type=Path)
    parser.add_argument("--wardrobe", type=Path, required=True, help="folder with photos of your clothes")
    parser.add_argument("--top", type=count, default=5, help="matches to print for each garment")
    parser.add_argument("--confidence", type=share, help="smallest detection confidence (default: crops.confidence)")
    parser.add_argument("--any-class", action="store_true", help="let garments of other classes compete too")
    args = parser.parse_args()
    with one_message():
        print_matches(args)


def print_matches(args: argparse.Namespace) -> None:
    """The whole job.

    Raises:
        StageError: on a missing model, photo or folder.
    """
    content = load_params()
    models = Path("models") / str(lookup(content, "profile"))
    if not (models / "encoders" / "classifier" / "encoder.json").is_file():
        raise StageError(f"{models}: no trained classifier there. Run `make repro` first (or `dvc pull`).")
    seed_everything(0)
    params, nms = section(CropParams, "crops", content), section(NmsParams, "nms", content)
    if args.confidence is not None:
        params = params.model_copy(update={"confidence": args.confidence})
    detectors = list(load_detectors(models / "detectors", list(lookup(content, "detectors"))).values())
    encoder = ClassifierEncoder(models / "encoders" / "classifier")
    queries = find_garments(args.photo, detectors, params, nms)
    wardrobe = read_wardrobe(args.wardrobe, args.photo, detectors, params, nms)
    vectors, wanted = embed(wardrobe, encoder), embed(queries, encoder)
    attributes = encoder.attributes(*inputs(queries, encoder))
    for garment, query, known in zip(queries, wanted, attributes, strict=True):
        if garment.box is None:
            print(f"\nno garment detected: the whole photo is taken as one\n  {describe(known)}")
        else:
            print(f"\n{garment.superclass} {garment.confidence:.0%} at {garment.box}\n  {describe(known)}")
        matches = rank(query, garment.superclass, wardrobe, vectors, args.any_class)
        if not matches:
            print(f"  no {garment.superclass} in the wardrobe (--any-class searches everything)")
        for place, (match, score) in enumerate(matches[: args.top], start=1):
            where = "whole photo" if match.box is None else f"{match.superclass} at {match.box}"
            print(f"  {place}. {score:.3f}  {plain(str(match.photo))}  ({where})")
