"""Find garments by words among photos of your own clothes.

Usage: python -m stages.run find WORD [WORD ...] [--wardrobe FOLDER] [--top 5] [--only superclass=dress] [--json]

Prints the garments that fit the words best, of the photos in FOLDER or else in the whole wardrobe. Needs a profile with
an encoder that takes words, such as fashion_siglip (docs/find.md), and its trained detectors and classifier. The
photos are kept in the store of `seamline wardrobe`, so that a second search reads only photos that are new or changed.

Exit status: 0 a garment was found, 1 the wardrobe has none, 2 wrong usage or bad input, 130 interrupted.
"""

import argparse
import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np

from stages.app.command import progress_bar
from stages.app.folders import Change
from stages.app.items import Match, QueryGarment
from stages.app.query import (
    BAD,
    FOUND,
    NOTHING,
    SCHEMA,
    add_choice_options,
    add_store_options,
    approximate_json,
    change_json,
    filters_of,
    match_json,
    match_lines,
    print_json,
)
from stages.app.wardrobe import Wardrobe
from stages.app.words import WordModels
from stages.core.errors import StageError
from stages.core.names import plain
from stages.crops.matching import NO_DETECTOR
from stages.runner.stage import new_parser, one_message

log = logging.getLogger(__name__)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parse = new_parser(__doc__)
    parse.add_argument("words", nargs="+", metavar="WORD", help='what to look for, such as "a red striped dress"')
    parse.add_argument("--wardrobe", type=Path, help="folder with photos of your clothes (default: all that was added)")
    add_choice_options(parse)
    add_store_options(parse)
    return parse


def main() -> None:
    """Parse, bring the store up to date, search, print."""
    args = parser().parse_args()
    with one_message(BAD):
        text = plain(" ".join(" ".join(args.words).split()))
        if not text:
            raise StageError('no words to look for: seamline find "a red striped dress"')
        models = WordModels.open(confidence=args.confidence)
        within = () if args.wardrobe is None else (args.wardrobe,)
        filters = filters_of(args.only, models, within)
        query = query_of(models.vector_of(text))  # before the wardrobe is read, which may take long
        wardrobe = Wardrobe(models, args.store)
        change = (
            wardrobe.add(within, progress_bar(), again=False, wait=False)
            if within
            else wardrobe.sync(progress_bar(), wait=False)
        )
        for line in change.lines():
            log.info(line)
        matches = wardrobe.matches(query, args.top, filters)
        if args.json:
            print_json(answer_json(text, models, matches, change))
        else:
            print("\n".join(lines(text, matches, change)))
    sys.exit(FOUND if matches else NOTHING)


def query_of(vector: np.ndarray) -> QueryGarment:
    """A query for garments of every class, from the vector of the words, float32 [d]."""
    return QueryGarment(NO_DETECTOR, None, None, {}, b"", vector, np.zeros(0, np.float32))


def lines(text: str, matches: list[Match], change: Change) -> list[str]:
    """The answer as lines of text for people."""
    nothing = "no garment there passes --only" if change.garments else "no garment there (seamline wardrobe add FOLDER)"
    return [text, *(match_lines(matches) or [f"  {nothing}"])]


def answer_json(text: str, models: WordModels, matches: list[Match], change: Change) -> dict[str, Any]:
    """The answer as JSON."""
    return {
        "schema": SCHEMA,
        "words": text,
        "encoder": {"name": models.encoder_folder.name, "origin": models.origin},
        "wardrobe": change_json(change),
        "approximate": approximate_json(matches),
        "matches": [match_json(rank, match) for rank, match in enumerate(matches, start=1)],
    }
