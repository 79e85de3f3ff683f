"""Find the match of a photo among photos of your own clothes.

Usage: python -m stages.run match PHOTO --wardrobe FOLDER [--top 5] [--any-class]

Prints the garments found in PHOTO, their attributes, and for each the most similar garments in FOLDER. Uses the
detectors and the classifier that the active profile has trained (`make repro` first).
"""

import argparse
from pathlib import Path

import numpy as np

from stages.app.garments import Garment, embed, find_garments, inputs, read_wardrobe
from stages.core.determinism import seed_everything
from stages.core.errors import StageError
from stages.core.params import load_params, lookup, section
from stages.crops.crops import NO_DETECTOR
from stages.crops.params import CropParams
from stages.networks.classifier.encoder import ClassifierEncoder
from stages.networks.detector.model import load_detectors
from stages.runner.stage import new_parser, one_message


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
    params = section(CropParams, "crops", content)
    if args.confidence is not None:
        params = params.model_copy(update={"confidence": args.confidence})
    detectors = list(load_detectors(models / "detectors", list(lookup(content, "detectors"))).values())
    encoder = ClassifierEncoder(models / "encoders" / "classifier")
    queries = find_garments(args.photo, detectors, params)
    wardrobe = read_wardrobe(args.wardrobe, detectors, params)
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
            print(f"  {place}. {score:.3f}  {match.photo}  ({where})")
