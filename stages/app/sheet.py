"""A search as one picture: the query photo with its boxes, and a row with the matches of each garment."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from stages.app.garments import read_file, read_photo
from stages.app.items import Match, QueryGarment, QueryPhoto, shown_path
from stages.app.wardrobe import Wardrobe
from stages.core.errors import StageError
from stages.networks.detector.detection_sheets import color_of

SHEET_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
SIDE, GAP, TEXT = 200, 16, 15  # pixels of a cell, between cells, and of a line of text
QUERY_SIDE, QUERY_HEIGHT = 320, 480
INK, GRAY = (30, 30, 30), (110, 110, 110)
MOST = 8  # matches in a row
MISSING = (225, 225, 225)


def write_sheet(
    path: Path, photo: Path, query: QueryPhoto, matches: Sequence[Sequence[Match]], wardrobe: Wardrobe
) -> None:
    """Draw the search and write it to ``path``.

    Raises:
        StageError: the picture cannot be written there.
    """
    sheet = draw_sheet(read_photo(read_file(photo), photo), photo.name, query, matches, wardrobe)
    try:
        sheet.save(path, quality=90)
    except OSError as error:
        raise StageError(f"{path}: {error.strerror or error}.") from None


def draw_sheet(
    image: Image.Image, name: str, query: QueryPhoto, matches: Sequence[Sequence[Match]], wardrobe: Wardrobe
) -> Image.Image:
    """The picture: the query photo on the left, a row for each garment on the right.

    Args:
        image: the query photo, upright.
        name: of its file.
        matches: of each garment of ``query``, best first; the first ``MOST`` are drawn.
    """
    shown = [row[:MOST] for row in matches]
    columns = 1 + max([1, *map(len, shown)])
    row_height = SIDE + 4 * (TEXT + 4) + GAP
    share = min(QUERY_SIDE / image.width, QUERY_HEIGHT / image.height)
    thumbnail = image.resize((max(1, round(image.width * share)), max(1, round(image.height * share))))
    height = max(thumbnail.height + 2 * TEXT + 2 * GAP, row_height * len(shown)) + 2 * GAP
    width = 3 * GAP + QUERY_SIDE + columns * (SIDE + GAP)
    sheet = Image.new("RGB", (width, height), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(TEXT)
    sheet.paste(thumbnail, (GAP, GAP))
    for garment in reversed(query.garments):
        if garment.box is not None:
            corners = [GAP + round(side * share) for side in garment.box]
            pen.rectangle(corners, outline=color_of(garment.superclass), width=3)
    pen.text((GAP, 2 * GAP + thumbnail.height), fitted(shown_path(name), QUERY_SIDE, font), GRAY, font)
    for row, (garment, garment_matches) in enumerate(zip(query.garments, shown, strict=True)):
        left, top = 2 * GAP + QUERY_SIDE, GAP + row * row_height
        _garment(sheet, pen, font, garment, left, top)
        if not garment_matches:
            pen.text((left + SIDE + GAP, top + SIDE // 2), "nothing matches", GRAY, font)
        for place, match in enumerate(garment_matches, start=1):
            _match(sheet, pen, font, match, place, left + place * (SIDE + GAP), top, wardrobe)
    return sheet


Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def fitted(text: str, width: int, font: Font) -> str:
    """The text, shortened so that it is at most ``width`` pixels wide."""
    while text and font.getlength(text) > width:
        text = text.rstrip("…")[:-1] + "…" if len(text) > 1 else ""
    return text


def _cell(sheet: Image.Image, picture: Image.Image, left: int, top: int) -> tuple[int, int, int, int]:
    """Paste a picture into the middle of its cell, as large as it fits; its corners on the sheet."""
    scale = SIDE / max(picture.size)
    picture = picture.resize((max(1, round(picture.width * scale)), max(1, round(picture.height * scale))))
    x, y = left + (SIDE - picture.width) // 2, top + (SIDE - picture.height) // 2
    sheet.paste(picture, (x, y))
    return x, y, x + picture.width - 1, y + picture.height - 1


def _garment(
    sheet: Image.Image, pen: ImageDraw.ImageDraw, font: Font, garment: QueryGarment, left: int, top: int
) -> None:
    place = _cell(sheet, Image.open(BytesIO(garment.crop)), left, top)
    pen.rectangle(place, outline=color_of(garment.superclass), width=3)
    sure = f" {garment.confidence:.0%}" if garment.confidence is not None else ""
    title = "whole photo" if garment.box is None else f"{garment.superclass}{sure}"
    values = [
        f"{head}: {attribute.name if attribute.sure else 'not sure'}" for head, attribute in garment.attributes.items()
    ]
    texts = [title, ", ".join(values[:2]), ", ".join(values[2:])]
    for number, text in enumerate(texts):
        at = left, top + SIDE + 4 + number * (TEXT + 4)
        pen.text(at, fitted(text, SIDE, font), INK if number == 0 else GRAY, font)


def _match(
    sheet: Image.Image,
    pen: ImageDraw.ImageDraw,
    font: Font,
    match: Match,
    place: int,
    left: int,
    top: int,
    wardrobe: Wardrobe,
) -> None:
    picture: Image.Image
    try:
        picture = Image.open(BytesIO(wardrobe.picture(match.item, SIDE)))
    except StageError:  # the file was deleted after the last scan
        picture = Image.new("RGB", (SIDE, SIDE), MISSING)
    _cell(sheet, picture, left, top)
    item = match.item
    texts = [
        f"{place}. {match.similarity:.3f}" + (f"  by {match.why}" if match.why else ""),
        ", ".join(attribute.name for attribute in item.attributes.values() if attribute.sure) or "not sure",
        shown_path(item.photo.name),
    ]
    for number, text in enumerate(texts):
        at = left, top + SIDE + 4 + number * (TEXT + 4)
        pen.text(at, fitted(text, SIDE, font), INK if number == 0 else GRAY, font)
