"""DeepFashion's list files as upstream writes them: a count, a header, rows padded with spaces."""

from __future__ import annotations

from collections.abc import Sequence

from stages.demo.drawing.canvas import Box
from stages.demo.drawing.garment_kinds import GARMENT_KINDS

SQUARE = 256  # pixels: the side of upstream's low-resolution pictures
# kind -> upstream's clothes_type: 1 upper body, 2 lower body, 3 full body
LAYER_CODES = {
    kind: 3 if kind in ("dress", "jumpsuit") else 2 if cut.layer == "lower" else 1
    for kind, cut in GARMENT_KINDS.items()
}


def list_text(header: Sequence[str], rows: Sequence[Sequence[str]], count: int | None = None) -> str:
    """A list file; ``count`` instead of the number of rows, for a file that lies about it."""
    widths = [max((len(row[column]) for row in rows), default=0) + 4 for column in range(len(rows[0]) if rows else 0)]
    lines = [str(len(rows) if count is None else count)]
    lines += [" ".join(header)] if header else []
    lines += ["".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines) + "\n"


def square_box(box: Box, size: tuple[int, int]) -> list[int]:
    """The box in whole pixels of the picture scaled into the middle of 256 x 256."""
    longest = max(size)
    moved = []
    for place, corner in enumerate(box):
        margin = (longest - size[place % 2]) / 2
        moved.append(round((corner + margin) * SQUARE / longest))
    return moved
