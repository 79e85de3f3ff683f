"""A search from the command line: options, the answer as lines, JSON or a picture, and the exit status.

`make match` and `seamline wardrobe query` both use it; they differ in which photos they search.
"""

import argparse
import base64
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.app.folders import Change
from stages.app.items import Match, QueryGarment, QueryPhoto, attributes_json, box_json, describe, shown_path, where
from stages.app.models import Models
from stages.app.search import Filters
from stages.app.sheet import SHEET_SUFFIXES, write_sheet
from stages.app.wardrobe import DEFAULT_STORE, Wardrobe
from stages.core.errors import StageError, shown

SCHEMA = 1  # version of the JSON: raised when a key is removed or changes its meaning, not when one is added
FOUND, NOTHING, BAD = 0, 1, 2
EXIT_CODES = "Exit status: 0 a match was found, 1 nothing matches, 2 wrong usage or bad input, 130 interrupted."


@dataclass(frozen=True)
class Answer:
    """A query photo and, for each of its garments, the matches, best first."""

    photo: Path
    query: QueryPhoto
    matches: list[list[Match]]


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


def wanted(text: str) -> tuple[str, str]:
    """``color=Red`` as a pair."""
    head, sign, name = text.partition("=")
    if not (head and sign and name):
        raise argparse.ArgumentTypeError(f"expected something like color=Red, found {text}")
    return head, name


def picture_file(text: str) -> Path:
    """The path of a picture to write."""
    if Path(text).suffix.lower() not in SHEET_SUFFIXES:
        raise argparse.ArgumentTypeError(f"expected a file named {' or '.join(SHEET_SUFFIXES)}, found {text}")
    return Path(text)


def add_store_options(parser: argparse.ArgumentParser) -> None:
    """Options of every command that opens the store."""
    parser.add_argument(
        "--store", type=Path, default=DEFAULT_STORE, help="the wardrobe's folder (default: %(default)s)"
    )
    parser.add_argument("--confidence", type=share, help="smallest detection confidence (default: params crops)")
    parser.add_argument("--json", action="store_true", help="print JSON (docs/wardrobe.md) instead of lines")


def add_choice_options(parser: argparse.ArgumentParser) -> None:
    """Options that say how many matches are listed, and which garments compete."""
    parser.add_argument("--top", type=count, default=5, help="how many matches of each garment (default: %(default)s)")
    parser.add_argument(
        "--only", type=wanted, action="append", default=[], metavar="HEAD=NAME",
        help="only garments with that attribute, such as color=Red or superclass=top; may be repeated",
    )  # fmt: skip


def add_options(parser: argparse.ArgumentParser) -> None:
    """The photo and the options of a search."""
    parser.add_argument("photo", type=Path, help="the photo with the garments to search for")
    add_store_options(parser)
    add_choice_options(parser)
    parser.add_argument("--any-class", action="store_true", help="also list garments of other classes")
    parser.add_argument("--ideas", action="store_true", help="list different ideas, not the most similar garments")
    parser.add_argument("--out", type=picture_file, help="also write a picture for people, such as match.png")


def filters_of(pairs: list[tuple[str, str]], models: Models, within: tuple[Path, ...]) -> Filters:
    """The filters that ``--only`` names.

    Raises:
        StageError: an unknown head or name.
    """
    known = {"superclass": [*models.superclasses, "none"], **models.heads}
    chosen: dict[str, set[str]] = {}
    for head, name in pairs:
        if name not in known.get(head, ()):
            names = (
                f"after {head}= one of {shown(known[head], 99)}" if head in known else f"first one of {shown(known)}"
            )
            raise StageError(f"--only {head}={name}: expected {names}.")
        chosen.setdefault(head, set()).add(name)
    superclasses = frozenset(chosen.pop("superclass", ()))
    return Filters(superclasses, {head: frozenset(names) for head, names in chosen.items()}, within)


def answer(args: argparse.Namespace, wardrobe: Wardrobe, within: tuple[Path, ...] = ()) -> Answer:
    """Search for each garment of ``args.photo`` among the photos below ``within``, or in the whole wardrobe.

    Raises:
        StageError: as ``Wardrobe.read_query``, or a filter that does not exist.
    """
    filters = filters_of(args.only, wardrobe.models, within)
    query = wardrobe.read_query(args.photo)
    search = wardrobe.ideas if args.ideas else wardrobe.matches
    matches = [search(garment, args.top, filters, args.any_class, query.sha256) for garment in query.garments]
    return Answer(args.photo, query, matches)


def path_json(path: Path) -> dict[str, Any]:
    """A path as JSON: ``path``, and ``path_base64`` with its bytes where they are no UTF-8 (else null)."""
    raw = os.fsencode(path)
    try:
        return {"path": raw.decode("utf-8"), "path_base64": None}
    except UnicodeDecodeError:
        return {"path": raw.decode("utf-8", "backslashreplace"), "path_base64": base64.b64encode(raw).decode()}


def change_json(change: Change) -> dict[str, Any]:
    """The changes of the wardrobe as JSON."""
    return {
        "photos": change.photos,
        "garments": change.garments,
        "counts": change.counts,
        "broken": [{**path_json(photo.path), "reason": photo.reason} for photo in change.broken],
        "left_out": change.left_out,
        "missing": [path_json(path) for path in change.missing],
        "busy": change.busy,
    }


def match_json(rank: int, match: Match) -> dict[str, Any]:
    """A match as JSON."""
    return {
        "rank": rank,
        "id": match.item.id,
        "similarity": round(match.similarity, 6),
        "why": match.why or None,
        "superclass": match.item.superclass,
        "confidence": match.item.confidence,
        "box": box_json(match.item.box),
        "attributes": attributes_json(match.item.attributes),
        "files": [path_json(path) for path in match.item.paths],
    }


def approximate_json(matches: list[Match]) -> dict[str, float] | None:
    """Recall of a search by an index as JSON; None for an exact one."""
    return None if not matches or matches[0].recall is None else {"recall": matches[0].recall}


def answer_json(result: Answer, change: Change) -> dict[str, Any]:
    """The answer to a photo as JSON."""
    return {
        "schema": SCHEMA,
        "photo": {
            **path_json(result.photo),
            "sha256": result.query.sha256,
            "width": result.query.width,
            "height": result.query.height,
        },
        "wardrobe": change_json(change),
        "garments": [
            {
                "superclass": garment.superclass,
                "confidence": garment.confidence,
                "box": box_json(garment.box),
                "attributes": attributes_json(garment.attributes),
                "approximate": approximate_json(matches),
                "matches": [match_json(rank, match) for rank, match in enumerate(matches, start=1)],
            }
            for garment, matches in zip(result.query.garments, result.matches, strict=True)
        ],
    }


def garment_line(garment: QueryGarment) -> str:
    """``top 91% at (1, 2, 3, 4)``, or that nothing was detected."""
    if garment.box is None:
        return "no garment detected: the whole photo is taken as one"
    return f"{garment.superclass} {garment.confidence:.0%} at {garment.box}"


def lines(result: Answer) -> list[str]:
    """The answer as lines of text for people."""
    text = []
    for garment, matches in zip(result.query.garments, result.matches, strict=True):
        text += ["", garment_line(garment), f"  {describe(garment.attributes)}"]
        if not matches:
            text.append(f"  no {garment.superclass} in the wardrobe matches (--any-class searches everything)")
        text += match_lines(matches)
    return text


def match_lines(matches: list[Match]) -> list[str]:
    """Matches as lines of text for people."""
    text = []
    if approximate := approximate_json(matches):
        text.append(f"  approximate: an index finds {approximate['recall']:.0%} of the nearest (docs/gallery.md)")
    for place, match in enumerate(matches, start=1):
        why = f"  by {match.why}" if match.why else ""
        position = where(match.item.superclass, match.item.box)
        more = f" and {len(match.item.paths) - 1} copies" if len(match.item.paths) > 1 else ""
        text.append(f"  {place}. {match.similarity:.3f}  {shown_path(match.item.photo)}{more}  ({position}){why}")
    return text


def print_json(content: dict[str, Any]) -> None:
    """Print JSON in ASCII: every terminal can show it, whatever the names of files hold."""
    print(json.dumps(content, indent=1, allow_nan=False))


def show(args: argparse.Namespace, wardrobe: Wardrobe, result: Answer, change: Change) -> int:
    """Print the answer, write its picture if ``--out`` asks for one, and return the exit status."""
    if args.json:
        print_json(answer_json(result, change))
    else:
        print("\n".join(lines(result)))
    if args.out is not None:
        write_sheet(args.out, result.photo, result.query, result.matches, wardrobe)
    return FOUND if any(result.matches) else NOTHING
