"""Keep a wardrobe: photos of your clothes that are read once and searched often.

Usage: python -m stages.run wardrobe add PATH [PATH ...]       add photos, or folders with photos
       python -m stages.run wardrobe remove PATH [PATH ...]    remove them from the wardrobe; the files stay
       python -m stages.run wardrobe list [--items]            count the garments; --items lists each
       python -m stages.run wardrobe query PHOTO [--top 5] [--any-class] [--only color=Red] [--ideas] [--out match.png]

Each takes --store FOLDER (default: wardrobe/), --confidence and --json. `list` and `query` first look for photos that
are new, moved, changed or gone. Uses the models of the active profile (`make repro` first).

Exit status: 0 done or found, 1 nothing matches or the wardrobe is empty, 2 wrong usage or bad input, 130 interrupted.
"""

import argparse
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stages.app.folders import Change
from stages.app.garments import check_photo
from stages.app.items import Item, attributes_json, box_json, describe, shown_path, where
from stages.app.models import Models
from stages.app.query import (
    BAD,
    FOUND,
    NOTHING,
    SCHEMA,
    add_options,
    add_store_options,
    answer,
    change_json,
    path_json,
    print_json,
    show,
)
from stages.app.wardrobe import ProgressCallback, Wardrobe
from stages.runner.progress import track
from stages.runner.stage import new_parser, one_message

log = logging.getLogger(__name__)


def progress_bar() -> ProgressCallback:
    """A callback that shows how many photos were read, as a bar or (in a log) as lines."""
    steps: Iterator[int] | None = None

    def update(done: int, total: int, _: Path) -> None:
        nonlocal steps
        if steps is None:
            steps = iter(track(range(total), total=total, desc="read photos"))
            next(steps)
        for _step in range(1 + (done == total)):
            next(steps, None)

    return update


def item_json(item: Item) -> dict[str, Any]:
    """A garment of the wardrobe as JSON."""
    return {
        "id": item.id,
        "superclass": item.superclass,
        "confidence": item.confidence,
        "box": box_json(item.box),
        "width": item.width,
        "height": item.height,
        "attributes": attributes_json(item.attributes),
        "files": [path_json(path) for path in item.paths],
    }


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parse = new_parser(__doc__)
    verbs = parse.add_subparsers(dest="verb", required=True, metavar="{add,remove,list,query}")
    for name, does in (("add", "add photos or folders"), ("remove", "remove photos or folders; the files stay")):
        verb = verbs.add_parser(name, help=does)
        verb.add_argument("paths", type=Path, nargs="+", metavar="PATH", help="folder or photo")
        add_store_options(verb)
    verb = verbs.add_parser("list", help="print what the wardrobe has")
    verb.add_argument("--items", action="store_true", help="list every garment")
    add_store_options(verb)
    add_options(verbs.add_parser("query", help="find the garments of a photo in the wardrobe"))
    return parse


def main() -> None:
    """Run one of the four verbs, and exit with its status."""
    args = parser().parse_args()
    with one_message(BAD):
        wardrobe = Wardrobe(Models.open(confidence=args.confidence), args.store)
        status = {"add": add, "remove": remove, "list": list_, "query": query}[args.verb](args, wardrobe)
    sys.exit(status)


def add(args: argparse.Namespace, wardrobe: Wardrobe) -> int:
    """Add photos."""
    return _report(args, wardrobe.add(args.paths, progress_bar()))


def remove(args: argparse.Namespace, wardrobe: Wardrobe) -> int:
    """Remove photos; the status is NOTHING if the wardrobe had none of them."""
    change = wardrobe.remove(args.paths)
    _report(args, change)
    return FOUND if change.counts["removed"] else NOTHING


def list_(args: argparse.Namespace, wardrobe: Wardrobe) -> int:
    """Print what the wardrobe holds."""
    change, roots = wardrobe.sync(progress_bar(), wait=False), wardrobe.roots()
    items = wardrobe.items() if args.items else []
    if args.json:
        content = {"schema": SCHEMA, "wardrobe": change_json(change), "added": list(map(path_json, roots))}
        facets = {"facets": wardrobe.facets()}
        print_json(content | facets | ({"items": list(map(item_json, items))} if args.items else {}))
    else:
        print("\n".join(change.lines()))
        print("\n".join(f"added: {shown_path(path)}" for path in roots) or "nothing was added yet")
        for name, counts in wardrobe.facets().items() if change.garments else ():
            print(f"{name}: {', '.join(f'{count} {value}' for value, count in counts.items())}")
        for item in items:
            position = where(item.superclass, item.box)
            print(f"{shown_path(item.photo)}  ({position})  {describe(item.attributes)}")
    return FOUND if change.garments else NOTHING


def query(args: argparse.Namespace, wardrobe: Wardrobe) -> int:
    """Find the garments of a photo in the wardrobe."""
    check_photo(args.photo)
    change = wardrobe.sync(progress_bar(), wait=False)
    for line in change.lines():
        log.info(line)
    return show(args, wardrobe, answer(args, wardrobe), change)


def _report(args: argparse.Namespace, change: Change) -> int:
    if args.json:
        print_json({"schema": SCHEMA, "wardrobe": change_json(change)})
    else:
        print("\n".join(change.lines()))
    return FOUND if change.garments else NOTHING
