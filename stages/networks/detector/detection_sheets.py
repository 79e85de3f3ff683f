"""Sheets of pictures with boxes: detections, and which of them became crops."""

from bisect import insort
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from stages.contracts.boxes import Box
from stages.core.files import digest

Color = tuple[int, int, int]
COLORS: dict[str, Color] = {
    "outwear": (230, 120, 30),
    "bottom": (40, 110, 220),
    "dress": (200, 50, 160),
    "top": (30, 160, 70),
    "vest": (130, 90, 200),
    "headwear": (210, 40, 40),
    "footwear": (20, 160, 180),
}
OTHER, TRUTH, GROUND = (200, 180, 0), (255, 255, 255), (60, 60, 60)
COLUMNS, SIDE, LINE = 4, 220, 13  # pictures in a row; pixels of a picture, and of a line of text below it


@dataclass(frozen=True)
class Outline:
    """A box in pixels of its picture, and a text (or none) for its upper left corner."""

    box: Box
    color: Color
    text: str = ""
    width: int = 2


@dataclass(frozen=True)
class Drawn:
    """A picture [height, width, 3] with its boxes drawn, scaled for the sheet, and the lines below it."""

    picture: Image.Image
    lines: tuple[str, ...] = ()


def color_of(superclass: str) -> Color:
    """The color of a superclass's boxes, the same in every sheet."""
    return COLORS.get(superclass, OTHER)


def drawn(image: np.ndarray, outlines: Sequence[Outline], lines: Sequence[str] = ()) -> Drawn:
    """Scale a picture [height, width, 3] for the sheet and draw its boxes, the last ones on top."""
    picture = Image.fromarray(image)
    scale = (SIDE - 4) / max(picture.size)
    picture = picture.resize((max(1, round(picture.width * scale)), max(1, round(picture.height * scale))))
    draw = ImageDraw.Draw(picture)
    for outline in outlines:
        x1, y1, x2, y2 = (float(side) * scale for side in outline.box)
        draw.rectangle([x1, y1, x2, y2], outline=outline.color, width=outline.width)
    texts: list[tuple[float, ...]] = []
    for outline in (outline for outline in reversed(outlines) if outline.text):
        x, y = outline.box[0] * scale + 2, max(outline.box[1] * scale - 12, 0)
        while any(_meet(draw.textbbox((x, y), outline.text), placed) for placed in texts):
            y += 1
        texts.append(draw.textbbox((x, y), outline.text))
        draw.rectangle(texts[-1], fill=outline.color)
        draw.text((x, y), outline.text, fill="white")
    return Drawn(picture, tuple(lines))


def _meet(first: tuple[float, ...], second: tuple[float, ...]) -> bool:
    return first[0] < second[2] and second[0] < first[2] and first[1] < second[3] and second[1] < first[3]


def write_sheet(cells: Sequence[Drawn], path: Path) -> None:
    """Write a grid of pictures, each with its lines below it."""
    rows = max(1, (len(cells) + COLUMNS - 1) // COLUMNS)
    height = SIDE + LINE * max((len(cell.lines) for cell in cells), default=0)
    sheet = Image.new("RGB", (COLUMNS * SIDE, rows * height), GROUND)
    draw = ImageDraw.Draw(sheet)
    for number, cell in enumerate(cells):
        left, top = number % COLUMNS * SIDE, number // COLUMNS * height
        sheet.paste(cell.picture, (left, top))
        for line, text in enumerate(cell.lines):
            while draw.textlength(text, None) > SIDE - 6:
                text = text.rstrip("…")[:-1] + "…"
            draw.text((left + 2, top + SIDE - 4 + LINE * line), text, fill="white")
    path.parent.mkdir(parents=True, exist_ok=True)
    # JPEG: the bytes of PNG may differ between CPUs, because deflate may pack differently, and these files are compared
    # by their bytes. Thin lines need color at full resolution.
    sheet.save(path, quality=80, subsampling=0)


SHOWN = 8  # items on a sheet of a kind


class Sheets:
    """Sheets of a few items of each kind: those whose ids have the smallest hashes, in any order of ``add``."""

    def __init__(self, kinds: Sequence[str]) -> None:
        """One sheet for each of ``kinds``."""
        self.cells: dict[str, list[tuple[str, Drawn]]] = {kind: [] for kind in kinds}

    def add(self, kinds: Collection[str], item_id: str, draw: Callable[[], Drawn]) -> None:
        """Draw an item if it is among the few of one of its kinds."""
        key = digest(item_id)
        sheets = [self.cells[kind] for kind in kinds]
        if sheets := [cells for cells in sheets if len(cells) < SHOWN or key < cells[-1][0]]:
            cell = draw()
            for cells in sheets:
                self._insert(cells, (key, cell))

    def merge(self, sheets: "Sheets") -> None:
        """Add the items of other sheets of the same kinds."""
        for kind, cells in self.cells.items():
            for entry in sheets.cells[kind]:
                self._insert(cells, entry)

    @staticmethod
    def _insert(cells: list[tuple[str, Drawn]], entry: tuple[str, Drawn]) -> None:
        insort(cells, entry, key=lambda cell: cell[0])
        del cells[SHOWN:]

    def write(self, folder: Path) -> list[Path]:
        """Write one sheet for each kind that has an item; their paths."""
        paths = {
            folder / f"{kind}.jpg": [cell for _, cell in entries] for kind, entries in self.cells.items() if entries
        }
        for path, cells in paths.items():
            write_sheet(cells, path)
        return list(paths)
