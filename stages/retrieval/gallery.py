"""The retrieval gallery: what a few queries found, right and wrong, as one picture."""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from stages.contracts.images import resized

THUMBNAIL = 72  # pixels, frame included: a row of six fits a narrow report column
FRAME = 4
GAP = 4
# Okabe and Ito's colours, told apart by colour-blind readers as well.
QUERY, RIGHT, WRONG = (120, 120, 120), (0, 158, 115), (213, 94, 0)


@dataclass(frozen=True)
class Shown:
    """One row of the picture: encoded query, encoded results with whether each is correct, best first."""

    query: bytes
    results: list[tuple[bytes, bool]]


def evenly(count: int, wanted: int) -> list[int]:
    """Up to ``wanted`` positions spread evenly over ``count``, first and last included: neither best nor worst."""
    if count <= wanted:
        return list(range(count))
    if wanted == 1:
        return [0]
    return [place * (count - 1) // (wanted - 1) for place in range(wanted)]


def framed(data: bytes, color: tuple[int, int, int]) -> Image.Image:
    """A thumbnail of an encoded image with a frame."""
    tile = Image.new("RGB", (THUMBNAIL, THUMBNAIL), color)
    inside = THUMBNAIL - 2 * FRAME
    tile.paste(resized(data, inside, inside), (FRAME, FRAME))
    return tile


def retrieval_sheet(rows: Sequence[Shown]) -> Image.Image:
    """One line for each query: the query (grey frame), then its results (green = right, vermilion = wrong)."""
    step = THUMBNAIL + GAP
    columns = 1 + max(len(row.results) for row in rows)
    # A wider gap after the query sets it apart from its results.
    sheet = Image.new("RGB", (columns * step + 2 * GAP, len(rows) * step + GAP), "white")
    for line, row in enumerate(rows):
        top = GAP + line * step
        sheet.paste(framed(row.query, QUERY), (GAP, top))
        for place, (data, correct) in enumerate(row.results, start=1):
            sheet.paste(framed(data, RIGHT if correct else WRONG), (2 * GAP + place * step, top))
    return sheet
