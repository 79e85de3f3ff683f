"""A contact sheet of pairs: a held-out garment next to the training garment that looks most like it."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from PIL import Image, ImageDraw, ImageFont

from stages.contracts.images import resized
from stages.leakage.rows import RowTable, read_rows
from stages.leakage.same_item import Suspect

PICTURE, CAPTION, GAP = 96, 36, 8  # pixels: side of a picture, three lines of text below a pair, around it
ACROSS, MOST = 4, 24  # pairs in a row, and of a sheet
FONT = 9
REPEATED = 8  # times that a pair may be listed, at most about as many as sets share rows


class HasTables(Protocol):
    """A set with the tables of its rows."""

    tables: list[RowTable]


def bytes_of(sets: Mapping[str, HasTables], wanted: set[tuple[str, str]]) -> dict[tuple[str, str], bytes]:
    """(set, name of a row) -> its encoded picture, of the wanted rows."""
    result: dict[tuple[str, str], bytes] = {}
    for name in sorted({name for name, _ in wanted}):
        for table in sets[name].tables:
            for rows in read_rows(table.path, table.key, table.split):
                result |= {(name, row.name): row.data for row in rows if (name, row.name) in wanted}
    return result


def shown_pairs(sets: Mapping[str, HasTables], suspects: Sequence[Suspect]) -> list[tuple[Suspect, bytes, bytes]]:
    """The first pairs with their two pictures; equal pictures are shown once, as benchmarks over one source share rows.

    Args:
        sets, suspects: see ``pair_sheet``.
    """
    first = suspects[: MOST * REPEATED]
    ends = [((suspect.held_out_set, suspect.held_out), (suspect.training_set, suspect.training)) for suspect in first]
    data = bytes_of(sets, {end for pair in ends for end in pair})
    once: dict[tuple[bytes, bytes], Suspect] = {}
    for suspect, (left, right) in zip(first, ends, strict=True):
        once.setdefault((data[left], data[right]), suspect)
    return [(suspect, *pictures) for pictures, suspect in once.items()][:MOST]


def pair_sheet(sets: Mapping[str, HasTables], suspects: Sequence[Suspect]) -> Image.Image:
    """The first pairs: on the left the held-out row; below, where both are from, and their cosine.

    Args:
        sets: all sets that ``suspects`` names.
        suspects: at least one suspect, the most similar first.
    """
    pairs = shown_pairs(sets, suspects)
    wide, high = 2 * PICTURE + GAP, PICTURE + CAPTION + GAP
    sheet = Image.new("RGB", (min(len(pairs), ACROSS) * wide + GAP, -(-len(pairs) // ACROSS) * high + GAP), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(FONT)
    for number, (suspect, *pictures) in enumerate(pairs):
        left, top = number % ACROSS * wide + GAP, number // ACROSS * high + GAP
        for place, picture in enumerate(pictures):
            sheet.paste(resized(picture, PICTURE, PICTURE), (left + place * PICTURE, top))
        lines = (
            f"{suspect.cosine:.3f} {suspect.held_out_set}",
            f"held out {suspect.held_out}",
            f"training {suspect.training}",
        )
        for line, text in enumerate(lines):
            while draw.textlength(text, font) > 2 * PICTURE:
                text = text[:-1]
            draw.text((left, top + PICTURE + line * CAPTION // 3), text, "black", font)
    return sheet
