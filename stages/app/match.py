"""Find the garments of a photo among photos of your own clothes.

Usage: python -m stages.run match PHOTO --wardrobe FOLDER [--top 5] [--any-class] [--json] [--out match.png]

Prints the garments found in PHOTO, their attributes, and for each the most similar garments in FOLDER. Uses the
detectors and the classifier that the active profile has trained (`make repro` first). FOLDER is added to the store of
`seamline wardrobe`, so that a second search reads only photos that are new or changed. A file in FOLDER with the same
bytes as PHOTO does not count as a match.

Exit status: 0 a match was found, 1 nothing matches, 2 wrong usage or bad input, 130 interrupted.
"""

import logging
import sys
from pathlib import Path

from stages.app.command import progress_bar
from stages.app.garments import check_photo
from stages.app.models import Models
from stages.app.query import BAD, add_options, answer, show
from stages.app.wardrobe import Wardrobe
from stages.runner.stage import new_parser, one_message

log = logging.getLogger(__name__)


def main() -> None:
    """Parse, bring the store up to date, search, print."""
    parser = new_parser(__doc__)
    add_options(parser)
    parser.add_argument("--wardrobe", type=Path, required=True, help="folder with photos of your clothes")
    args = parser.parse_args()
    with one_message(BAD):
        wardrobe = Wardrobe(Models.open(confidence=args.confidence), args.store)
        check_photo(args.photo)  # before the wardrobe is read, which may take long
        change = wardrobe.add([args.wardrobe], progress_bar(), again=False, wait=False)
        for line in change.lines():
            log.info(line)
        result = answer(args, wardrobe, (args.wardrobe,))
        status = show(args, wardrobe, result, change)
    sys.exit(status)
