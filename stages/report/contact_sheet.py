"""One picture of a drawn source: a grid of photos with the true boxes of their garments.

Usage: python -m stages.run contact_sheet RAW_FOLDER TRUTH_FOLDER OUT.jpg

Pictures are chosen at an even stride over the sorted image ids. The color of a box is that of its superclass.
"""

from __future__ import annotations

import argparse
import io
import logging
import sys
from collections import defaultdict
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from stages.contracts.images import decode
from stages.contracts.tables import read_table
from stages.core.errors import StageError
from stages.demo.drawing.palette import RGB
from stages.demo.truth import FILE, TRUTH, Row

log = logging.getLogger(__name__)

COLUMNS, ROWS = 10, 4
WIDTH, TALLEST = 116, 150  # pixels: width of a photo, its largest height
CAPTION = 11  # pixels of text below a photo
MOST_BYTES = 150_000  # so that pages with several sheets load quickly
COLORS: dict[str, RGB] = {
    "outwear": (220, 30, 30),
    "bottom": (20, 90, 230),
    "dress": (190, 30, 190),
    "top": (0, 150, 60),
    "vest": (240, 130, 0),
    "headwear": (0, 160, 190),
    "footwear": (120, 80, 30),
}


def image_paths(raw: Path, image_ids: set[str]) -> dict[str, Path]:
    """Image id -> its file, in the tree of any of the sources.

    An id is the file's stem, with the split as prefix where names repeat in several splits (DeepFashion2), with class
    and split where they repeat in both (shoes), or the path below the folder of images (benchmarks).
    """
    paths: dict[str, Path] = {}
    for path in sorted(raw.rglob("*")):
        if path.suffix not in (".jpg", ".png"):
            continue
        *folders, stem = path.relative_to(raw).with_suffix("").parts
        names = ["/".join([*folders[at:], stem]) for at in range(len(folders) + 1)]
        names += ["-".join([*folders[:1], stem]), "-".join([*reversed(folders), stem])]
        paths |= {name: path for name in names if name in image_ids}
    return paths


def chosen(image_ids: list[str], count: int) -> list[str]:
    """`count` of the sorted ids at an even stride, or all of them."""
    count = min(count, len(image_ids))
    return [image_ids[number * len(image_ids) // count] for number in range(count)]


def cell(path: Path, image_id: str, rows: list[Row], height: int) -> Image.Image:
    """One photo in a cell of the given height, with its boxes and its id."""
    photo, _ = decode(path.read_bytes())
    scale = min(WIDTH / photo.width, height / photo.height)
    size = (round(photo.width * scale), round(photo.height * scale))
    place = Image.new("RGB", (WIDTH + 4, height + CAPTION + 4), (255, 255, 255))
    left = (WIDTH - size[0]) // 2
    place.paste(photo.resize(size, Image.Resampling.LANCZOS), (left, 0))
    draw = ImageDraw.Draw(place)
    for row in rows:
        x1, y1, x2, y2 = (round(row[corner] * scale) for corner in ("x1", "y1", "x2", "y2"))
        corners = (left + x1, y1, left + max(x1, x2 - 1), max(y1, y2 - 1))
        draw.rectangle(corners, outline=COLORS[row["superclass"]])
    font = ImageFont.load_default(8)
    while draw.textlength(image_id, font) > WIDTH:
        image_id = "…" + image_id.lstrip("…")[1:]
    draw.text((0, height + 1), image_id, (60, 60, 60), font)
    return place


def sheet(raw: Path, truth: Path) -> Image.Image:
    """The grid.

    Raises:
        StageError: the ground truth is missing, or none of its images is below `raw`.
    """
    rows = defaultdict(list)
    for row in read_table(truth / FILE, TRUTH).to_pylist():
        rows[row["image_id"]].append(row)
    paths = image_paths(raw, set(rows))
    if not paths:
        raise StageError(f"{raw}: no image of {truth / FILE}. Give the two outputs of one demo stage.")
    ids = chosen(sorted(paths), COLUMNS * ROWS)
    height = min(TALLEST, max(WIDTH * row["height"] // row["width"] for image_id in ids for row in rows[image_id]))
    places = [cell(paths[image_id], image_id, rows[image_id], height) for image_id in ids]
    across, down = places[0].size
    grid = Image.new("RGB", (COLUMNS * across, -(-len(ids) // COLUMNS) * down), (255, 255, 255))
    for number, place in enumerate(places):
        grid.paste(place, (number % COLUMNS * across, number // COLUMNS * down))
    return grid


def main() -> None:
    """Draw the sheet of one source."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("raw", "truth", "out"):
        parser.add_argument(name, type=Path)
    args = parser.parse_args()
    try:
        grid = sheet(args.raw, args.truth)
    except StageError as error:
        log.error(f"{error}")
        sys.exit(1)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    for quality in range(88, 20, -4):
        buffer = io.BytesIO()
        grid.save(buffer, "JPEG", quality=quality, optimize=True)
        if buffer.tell() < MOST_BYTES:
            break
    args.out.write_bytes(buffer.getvalue())
