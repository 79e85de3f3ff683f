"""A garment drawn on a person and flat is the same item, and its box is where it is."""

from random import Random

import numpy as np
import pytest

from stages.demo.drawing.garments import GARMENT_KINDS, Garment, make_garment
from stages.demo.drawing.palette import SKINS, plain_background
from stages.demo.drawing.people import Person, random_person
from stages.demo.drawing.photo import Photo, flat_photo, worn_photo

SIZE = (150, 220)


def middle_color(photo: Photo, index: int) -> np.ndarray:
    """Mean color of the middle of a garment's box, where the background does not reach."""
    x0, y0, x1, y1 = photo.boxes[index]
    width, height = x1 - x0, y1 - y0
    pixels = np.asarray(photo.image)[
        y0 + height * 3 // 10 : y1 - height * 3 // 10, x0 + width * 3 // 10 : x1 - width * 3 // 10
    ]
    return pixels.reshape(-1, 3).mean(axis=0)


def plain(kind: str, gender: str, color: str, fabric: str = "cotton") -> Garment:
    return make_garment(Random(f"{kind} {color}"), kind, gender, color=color, fabric=fabric, pattern="pure color")


@pytest.mark.parametrize("kind", ["tshirt", "shirt", "sweater", "dress", "skirt", "kurta"])
@pytest.mark.parametrize("color", ["Red", "Navy Blue", "Yellow"])
def test_worn_and_flat_views_of_an_item_have_close_colors(kind: str, color: str) -> None:
    garment = plain(kind, "Women", color)
    person = Person("Women", SKINS[1], (32, 26, 24), False, 100)
    worn = worn_photo(Random(1), SIZE, person, [garment], "front")
    flat = flat_photo(Random(2), SIZE, garment)
    assert np.abs(middle_color(worn, 0) - middle_color(flat, 0)).max() < 26


def test_two_colors_are_further_apart_than_two_views() -> None:
    red, blue = (flat_photo(Random(3), SIZE, plain("tshirt", "Men", color)) for color in ("Red", "Blue"))
    assert np.abs(middle_color(red, 0) - middle_color(blue, 0)).max() > 80


@pytest.mark.parametrize("kind", ["tshirt", "trousers", "dress", "boot", "cap"])
def test_flat_box_contains_the_garment_tightly(kind: str) -> None:
    """Saturated red on a white wall: the box measured from the pixels agrees with the drawn one."""
    garment = plain(kind, "Men", "Red")
    photo = flat_photo(Random(4), SIZE, garment, plain_background(Random(4), SIZE, white=True))
    pixels = np.asarray(photo.image).astype(int)
    rows, columns = np.nonzero(pixels[:, :, 0] - pixels[:, :, 1] > 50)
    x0, y0, x1, y1 = photo.boxes[0]
    assert x0 <= columns.min() and columns.max() < x1
    assert y0 <= rows.min() and rows.max() < y1
    # soles are not red and may end the box lower than the cloth
    slack = 12 if GARMENT_KINDS[kind].family == "shoe" else 3
    assert columns.min() - x0 <= 3 and x1 - 1 - columns.max() <= 3
    assert rows.min() - y0 <= (12 if kind in ("tshirt", "dress") else 3) and y1 - 1 - rows.max() <= slack


@pytest.mark.parametrize("view", ["front", "side", "back"])
@pytest.mark.parametrize("kind", sorted(GARMENT_KINDS))
def test_every_kind_is_drawn_from_every_view_inside_the_image(kind: str, view: str) -> None:
    rng = Random(f"{kind} {view}")
    garment = make_garment(rng, kind, "Women")
    photo = worn_photo(rng, (120, 180), random_person(rng, "Women"), [garment], view)
    x0, y0, x1, y1 = photo.boxes[0]
    assert 0 <= x0 < x1 <= 120 and 0 <= y0 < y1 <= 180
    assert photo.shows(0) or GARMENT_KINDS[kind].layer in ("feet", "head")


def test_a_hidden_garment_has_no_box_or_is_not_shown() -> None:
    rng = Random(5)
    coat = make_garment(rng, "coat", "Men")
    tee = make_garment(rng, "tank", "Men")
    closed = Garment(**{**vars(coat), "opened": False})
    photo = worn_photo(rng, SIZE, random_person(rng, "Men"), [tee, closed], "back")
    assert not photo.shows(0) and photo.shows(1)


def test_gender_shows_in_the_cut() -> None:
    """A woman's T-shirt is narrower at the waist than at the hem, a man's is not."""
    widths = {}
    for gender in ("Men", "Women"):
        garment = Garment(
            **{**vars(plain("tshirt", gender, "Red")), "seed": 1, "hem": 530, "ease": 12, "neckline": "crew"}
        )
        photo = flat_photo(Random(6), (200, 200), garment, plain_background(Random(6), (200, 200), white=True), fill=90)
        pixels = np.asarray(photo.image).astype(int)
        red = pixels[:, :, 0] - pixels[:, :, 1] > 50
        _, y0, _, y1 = photo.boxes[0]
        waist, hem = y0 + (y1 - y0) * 60 // 100, y1 - 6
        widths[gender] = red[waist].sum() / red[hem].sum()
    assert widths["Women"] < 0.9 < widths["Men"]
