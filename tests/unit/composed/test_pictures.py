"""The truth of composed pictures, worked out by hand on cutouts that are full rectangles."""

from collections import Counter

import numpy as np
import pytest
from PIL import Image

from stages.composed.cutouts import Cutout, Material
from stages.composed.pictures import (
    APART,
    FLAT_LAY,
    LEAST_HIDDEN,
    MOST_HIDDEN,
    NONE,
    OVERLAPPING,
    Composer,
    Deck,
    compose,
    fitted,
    grown,
    mirrored,
    overlapping,
    pasted,
    pulled,
    shaken,
    truth_of,
    visible_truth,
)
from stages.core.errors import StageError


def cutout(name="a", superclass="top", size=(20, 40), color="red"):
    """A garment that fills its picture."""
    return Cutout(name, superclass, {"type": "Shirt"}, Image.new("RGB", size, color), Image.new("L", size, 255))


def solid(*box, size=(10, 10)):
    result = np.zeros(size[::-1], bool)
    x1, y1, x2, y2 = box
    result[y1:y2, x1:x2] = True
    return result


def test_box_is_around_what_the_later_garment_does_not_hide():
    lower, upper = solid(0, 0, 10, 4), solid(6, 0, 10, 10)
    assert visible_truth([lower, upper]) == [((0, 0, 6, 4), pytest.approx(0.4)), ((6, 0, 10, 10), 0.0)]
    assert visible_truth([upper, lower]) == [((6, 4, 10, 10), pytest.approx(0.4)), ((0, 0, 10, 4), 0.0)]


def test_garment_below_another_has_no_box_and_a_hole_leaves_the_box_as_it_is():
    assert visible_truth([solid(2, 2, 4, 4), solid(0, 0, 5, 5)]) == [(None, 1.0), ((0, 0, 5, 5), 0.0)]
    assert visible_truth([solid(0, 0, 10, 10), solid(4, 4, 6, 6)])[0] == ((0, 0, 10, 10), pytest.approx(0.04))
    assert visible_truth([]) == []


def test_garment_is_scaled_into_its_slot_and_centered():
    # A slot of 50 x 40 pixels at (10, 20): 20 x 40 fits without a change, and is centered at (35, 40).
    piece = fitted(cutout(), (0.1, 0.2, 0.6, 0.6), (100, 100))
    assert truth_of([piece], (100, 100))[0].box == (25, 20, 45, 60)
    # Half as high: half the size.
    assert truth_of([fitted(cutout(), (0.1, 0.2, 0.6, 0.4), (100, 100))], (100, 100))[0].box == (30, 20, 40, 40)
    # It is enlarged to twice its size at most.
    assert truth_of([fitted(cutout(size=(10, 10)), (0, 0, 1, 1), (100, 100))], (100, 100))[0].box == (40, 40, 60, 60)


def test_turned_garment_has_the_box_of_its_turned_pixels():
    piece = fitted(cutout(), (0, 0, 1, 1), (40, 40), angle=90)
    assert truth_of([piece], (40, 40))[0].box == (0, 10, 40, 30)


def test_cutout_without_a_solid_pixel_is_refused():
    empty = Cutout("shop:x", "top", {}, Image.new("RGB", (4, 4)), Image.new("L", (4, 4)))
    with pytest.raises(StageError, match="shop:x: its mask has no solid pixel"):
        fitted(empty, (0, 0, 1, 1), (10, 10))


def test_pasted_pixels_are_the_garments_and_the_rest_is_at_most_darkened_by_its_shadow():
    base = Image.new("RGB", (60, 60), (200, 200, 200))
    piece = fitted(cutout(size=(20, 20)), (1 / 3, 1 / 3, 2 / 3, 2 / 3), (60, 60))
    pixels = np.asarray(pasted(base, [piece], np.random.default_rng(0)), int)
    inside = np.zeros((60, 60), bool)
    inside[20:40, 20:40] = True
    assert (pixels[inside] == (255, 0, 0)).all()
    assert pixels[~inside].max() == 200
    assert pixels[41, 35].max() < 200  # below it: light comes from above


def test_soft_edge_mixes_garment_and_ground():
    soft = Cutout("a", "top", {}, Image.new("RGB", (20, 20), (100, 100, 100)), Image.new("L", (20, 20), 128))
    piece = fitted(soft, (0, 0, 1, 1), (20, 20))
    pixels = np.asarray(pasted(Image.new("RGB", (20, 20)), [piece], np.random.default_rng(0)))
    assert (pixels == 50).all()  # 128 / 255 of 100


def test_slots():
    assert mirrored((0.1, 0.2, 0.4, 0.6)) == (0.6, 0.2, 0.9, 0.6)
    assert grown((0.4, 0.4, 0.6, 0.6), 1.5) == pytest.approx((0.35, 0.35, 0.65, 0.65))
    assert grown((0.0, 0.4, 0.2, 0.6), 1.5)[0] == 0.01
    x1, y1, x2, y2 = shaken((0.2, 0.2, 0.8, 0.8), np.random.default_rng(0))
    assert 0.2 <= x1 < x2 <= 0.8 and 0.2 <= y1 < y2 <= 0.8 and x2 - x1 >= 0.6 * 0.85


def test_garments_move_together_until_they_overlap():
    # 40 x 80 pixels each, centered at 27.5 and 72.5 of 100: apart even where slots grow.
    size, slots = (100, 100), [(0.05, 0.1, 0.5, 0.9), (0.5, 0.1, 0.95, 0.9)]
    pieces = overlapping([cutout("a", size=(40, 80)), cutout("b", size=(40, 80))], slots, size)
    lower, upper = truth_of(pieces, size)
    assert upper.hidden == 0 and LEAST_HIDDEN <= lower.hidden <= MOST_HIDDEN
    assert lower.box[2] == upper.box[0]  # what is visible of the lower one ends where the upper one begins
    apart = [(0.0, 0.0, 0.01, 0.01), (0.99, 0.99, 1.0, 1.0)]
    assert overlapping([cutout("a", size=(1, 1)), cutout("b", size=(1, 1))], apart, size) is None


def test_piece_is_pulled_to_the_center_by_a_share_of_the_way():
    piece = fitted(cutout(size=(20, 20)), (0.0, 0.0, 0.2, 0.4), (100, 100))  # centered at (10, 20)
    moved = pulled(piece, 0.5, (100, 100))
    assert truth_of([moved], (100, 100))[0].box == (20, 25, 40, 45)


def test_deck_deals_every_cutout_before_any_again():
    deck = Deck([cutout(str(number)) for number in range(5)], np.random.default_rng(0))
    dealt = [deck.deal().photo for _ in range(10)]
    assert sorted(dealt[:5]) == sorted(dealt[5:]) == list("01234")


@pytest.fixture(scope="module")
def material():
    """Three garments of each of four classes, and a ground."""
    shapes = {"top": (240, 210), "bottom": (150, 270), "footwear": (180, 120), "dress": (180, 330)}
    cutouts = [
        cutout(f"shop:{name}{number}", name, (width + number, height), color=(90, 60, 40 * number))
        for name, (width, height) in shapes.items()
        for number in range(3)
    ]
    return Material(cutouts, [Image.new("RGB", (40, 60), "tan")], Counter())


COUNTS = {APART: 6, OVERLAPPING: 4, FLAT_LAY: 3, NONE: 3}


@pytest.fixture(scope="module")
def pictures(material):
    return list(compose(material, 0, COUNTS))


def meet(first, second):
    return first[0] < second[2] and second[0] < first[2] and first[1] < second[3] and second[1] < first[3]


def test_kinds_have_their_numbers_of_pictures_and_garments(pictures):
    assert Counter(picture.kind for picture in pictures) == COUNTS
    of_kind = {kind: [len(picture.garments) for picture in pictures if picture.kind == kind] for kind in COUNTS}
    # Outfits that these classes allow, in turn: of top and bottom, the same with shoes, dress and shoes.
    assert of_kind[APART] == [2, 3, 2, 2, 3, 2]
    assert of_kind[FLAT_LAY] == [1, 2, 3]
    assert of_kind[NONE] == [0, 0, 0]


def test_garments_apart_are_whole_and_their_boxes_do_not_meet(pictures):
    for picture in pictures:
        if picture.kind in (APART, FLAT_LAY):
            boxes = [garment.box for garment in picture.garments]
            assert not [1 for at, box in enumerate(boxes) for later in boxes[at + 1 :] if meet(box, later)]
            assert {garment.hidden for garment in picture.garments} == {0.0}


def test_garments_that_overlap_hide_little_of_each_other(pictures):
    for picture in pictures:
        if picture.kind == OVERLAPPING:
            assert LEAST_HIDDEN <= max(garment.hidden for garment in picture.garments) <= MOST_HIDDEN


def test_garments_of_a_picture_are_of_different_photos_and_inside_of_it(pictures):
    for picture in pictures:
        assert len({garment.photo for garment in picture.garments}) == len(picture.garments)
        for x1, y1, x2, y2 in (garment.box for garment in picture.garments):
            assert 0 <= x1 < x2 <= picture.image.width and 0 <= y1 < y2 <= picture.image.height


def test_same_seed_gives_the_same_bytes_and_another_seed_others(material, pictures):
    counts = {APART: 2, OVERLAPPING: 1, FLAT_LAY: 1, NONE: 1}
    first, again, unlike = (list(compose(material, seed, counts)) for seed in (0, 0, 1))
    assert [picture.image.tobytes() for picture in first] == [picture.image.tobytes() for picture in again]
    assert [picture.garments for picture in first] == [picture.garments for picture in again]
    assert [picture.image.tobytes() for picture in first] != [picture.image.tobytes() for picture in unlike]
    assert first[0].image.tobytes() == pictures[0].image.tobytes()


def test_material_without_the_classes_of_an_outfit_is_refused():
    with pytest.raises(StageError, match="show headwear alone; expected the classes of an outfit"):
        Composer(Material([cutout(superclass="headwear")], [], Counter()), 0)
