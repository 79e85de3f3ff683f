"""The picture of a search."""

import pytest
from PIL import Image, ImageFont
from small_wardrobe import ColorModels, photo

from stages.app.sheet import GAP, QUERY_SIDE, SIDE, draw_sheet, fitted
from stages.app.wardrobe import Wardrobe

RED, BLUE = (200, 20, 20), (20, 20, 200)


@pytest.fixture
def wardrobe(tmp_path):
    photo(tmp_path / "clothes" / "red.png", RED, size=(300, 400))
    photo(tmp_path / "clothes" / "blue.png", BLUE, size=(300, 400))
    made = Wardrobe(ColorModels(), tmp_path / "store")
    made.add([tmp_path / "clothes"])
    return made


def near(pixel, color):
    return all(abs(a - b) < 40 for a, b in zip(pixel, color, strict=True))


def test_matches_stand_beside_their_garment_best_first(wardrobe, tmp_path):
    path = photo(tmp_path / "look.png", (210, 30, 30), BLUE, size=(300, 400))
    query = wardrobe.read_query(path)
    matches = [wardrobe.matches(one) for one in query.garments]
    sheet = draw_sheet(Image.open(path), path.name, query, matches, wardrobe)
    left, middle = 2 * GAP + QUERY_SIDE, GAP + SIDE // 2
    row = (sheet.height - 2 * GAP) // 2
    for line, colors in enumerate([(RED, RED, BLUE), (BLUE, BLUE, RED)]):
        for column, color in enumerate(colors):
            at = left + column * (SIDE + GAP) + SIDE // 2, middle + line * row
            assert near(sheet.getpixel(at), color), (line, column)


def test_photo_that_has_gone_leaves_a_gray_cell(wardrobe, tmp_path):
    path = photo(tmp_path / "look.png", RED, size=(300, 400))
    query = wardrobe.read_query(path)
    matches = [wardrobe.matches(query.garments[0]), []]
    (tmp_path / "clothes" / "red.png").unlink()
    sheet = draw_sheet(Image.open(path), path.name, query, matches, wardrobe)
    assert near(sheet.getpixel((2 * GAP + QUERY_SIDE + SIDE + GAP + SIDE // 2, GAP + SIDE // 2)), (225, 225, 225))


def test_long_text_is_cut_to_its_width():
    font = ImageFont.load_default(15)
    cut = fitted("a very long name of a file.jpg", 80, font)
    assert cut.endswith("…") and 50 < font.getlength(cut) <= 80
    assert fitted("short", 80, font) == "short"
    assert fitted("W", 1, font) == ""
