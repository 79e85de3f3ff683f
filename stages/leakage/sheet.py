"""A contact sheet of pairs: a held-out garment beside the training garment that looks most like it."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from PIL import Image, ImageDraw, ImageFont

from stages.contracts.images import resized
from stages.leakage.rows import Picture, RowTable, read_rows
from stages.leakage.same_item import Suspect

PICTURE, CAPTION, GAP = 96, 36, 8  # pixels: side of a picture, three lines of text below a pair, around it
ACROSS, MOST = 4, 24  # pairs in a row, and of a sheet
FONT = 9


class HasTables(Protocol):
    """A set with the tables of its rows."""

    tables: list[RowTable]


def shown_pairs(found: Sequence[Suspect]) -> list[Suspect]:
    """The first pairs, each once: benchmarks over one source share rows."""
    once = {(one.held_out, one.training): one for one in reversed(found)}
    kept = set(map(id, once.values()))
    return [one for one in found if id(one) in kept][:MOST]


def bytes_of(sets: Mapping[str, HasTables], wanted: set[tuple[str, Picture]]) -> dict[tuple[str, Picture], bytes]:
    """(set, (source, name of a row)) -> its encoded picture, of the wanted rows."""
    result = {}
    for name in sorted({name for name, _ in wanted}):
        for table in sets[name].tables:
            for rows in read_rows(table.path, table.key, table.split):
                keys = (((name, (table.pictures[row.name][0], row.name)), row.data) for row in rows)
                result |= {key: data for key, data in keys if key in wanted}
    return result


def pair_sheet(sets: Mapping[str, HasTables], found: Sequence[Suspect]) -> Image.Image:
    """The first pairs: on the left the held-out row; below, where both are from, and their cosine.

    Args:
        sets: all sets that ``found`` names.
        found: at least one suspect, the most similar first.
    """
    pairs = shown_pairs(found)
    ends = [((one.held_out_set, one.held_out), (one.training_set, one.training)) for one in pairs]
    data = bytes_of(sets, {end for pair in ends for end in pair})
    wide, high = 2 * PICTURE + GAP, PICTURE + CAPTION + GAP
    sheet = Image.new("RGB", (min(len(pairs), ACROSS) * wide + GAP, -(-len(pairs) // ACROSS) * high + GAP), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(FONT)
    for number, (one, pair) in enumerate(zip(pairs, ends, strict=True)):
        left, top = number % ACROSS * wide + GAP, number // ACROSS * high + GAP
        for place, end in enumerate(pair):
            sheet.paste(resized(data[end], PICTURE, PICTURE), (left + place * PICTURE, top))
        lines = (
            f"{one.cosine:.3f} {one.held_out_set}",
            f"held out {one.held_out[1]}",
            f"training {one.training[1]}",
        )
        for line, text in enumerate(lines):
            while draw.textlength(text, font) > 2 * PICTURE:
                text = text[:-1]
            draw.text((left, top + PICTURE + line * CAPTION // 3), text, "black", font)
    return sheet
