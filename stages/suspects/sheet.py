"""A contact sheet of labels that are probably wrong."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from PIL import Image, ImageDraw, ImageFont

from stages.contracts.images import resized

PICTURE, CAPTION, GAP = 96, 24, 6  # pixels: side of a picture, two lines of text below it, around both
ACROSS, MOST = 6, 24  # pictures in a row, and of a sheet
FONT = 9


class SuspectCell(NamedTuple):
    """A cell of the sheet: an encoded picture, its label and the suggested one, with their probabilities."""

    picture: bytes
    label: str
    label_probability: float
    suggestion: str
    suggestion_probability: float


def contact_sheet(shown: Sequence[SuspectCell], most: int = MOST) -> Image.Image:
    """The first ``most`` suspects; below each picture its label, then the suggested one."""
    shown = shown[:most]
    wide, high = PICTURE + GAP, PICTURE + CAPTION + GAP
    sheet = Image.new("RGB", (min(len(shown), ACROSS) * wide + GAP, -(-len(shown) // ACROSS) * high + GAP), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(FONT)
    for number, suspect in enumerate(shown):
        left, top = number % ACROSS * wide + GAP, number // ACROSS * high + GAP
        sheet.paste(resized(suspect.picture, PICTURE, PICTURE), (left, top))
        lines = (
            (suspect.label, suspect.label_probability, (120, 120, 120)),
            (f"rather {suspect.suggestion}", suspect.suggestion_probability, (0, 0, 0)),
        )
        for line, (name, share, color) in enumerate(lines):
            draw.text(
                (left, top + PICTURE + line * CAPTION // 2), fitting(draw, font, name, f" {share:.2f}"), color, font
            )
    return sheet


def fitting(draw: ImageDraw.ImageDraw, font: Any, name: str, end: str) -> str:
    """``name`` and ``end``, the name cut off where both are wider than a picture."""
    text = name + end
    while draw.textlength(text, font) > PICTURE and len(name) > 1:
        name = name[:-1]
        text = f"{name}...{end}"
    return text
