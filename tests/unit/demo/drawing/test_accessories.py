"""Shoes and caps: outlines by kind, gender and view; bags and watches that are no garments."""

from random import Random

import numpy as np
import pytest

from stages.demo.drawing.accessories import cap_shape, draw_accessory, flip_flop_from_above, shoe_shape
from stages.demo.drawing.garments import GARMENT_KINDS, make_garment

SHOES = sorted(kind for kind, traits in GARMENT_KINDS.items() if traits.family == "shoe")


def shoe(kind, gender="Men", **options):
    return make_garment(Random(0), kind, gender, color="Blue", pattern="pure color", **options)


def extent(points):
    xs, ys = zip(*points, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


@pytest.mark.parametrize("kind", SHOES)
@pytest.mark.parametrize("gender", ["Men", "Women"])
def test_shoe_reaches_from_heel_to_toe_and_stands_on_the_ground(kind, gender):
    shape = shoe_shape(shoe(kind, gender), worn=False)
    x0, _, x1, y1 = extent(
        [point for points in shape.panels + [extra for extra, _ in shape.extras] for point in points]
    )
    assert -5 <= x0 <= 30 and 270 <= x1 <= 305
    assert 105 <= y1 <= 130  # the ground is at 120, a stud a little below


def test_boot_is_tall_and_a_flat_low():
    tops = {kind: extent(shoe_shape(shoe(kind), worn=False).panels[0])[1] for kind in ("boot", "sneaker", "flat")}
    assert tops["boot"] < -100 < 0 < tops["sneaker"] < tops["flat"]


def test_womens_shoes_are_cut_lower():
    men, women = (extent(shoe_shape(shoe("sneaker", gender), worn=False).panels[0])[1] for gender in ("Men", "Women"))
    # Every height above the sole at 104 shrinks by 22 %.
    assert 104 - women == pytest.approx((104 - men) * 0.78)


@pytest.mark.parametrize("kind", ["heel", "flat", "loafer"])
def test_foot_shows_in_a_low_shoe_that_is_worn(kind):
    assert len(shoe_shape(shoe(kind, "Women"), worn=True).skin) == 1
    assert shoe_shape(shoe(kind, "Women"), worn=False).skin == []


def test_soccer_shoe_has_five_studs_below_its_sole():
    extras = shoe_shape(shoe("soccer_shoe"), worn=False).extras
    assert len(extras) == 6 and {ink for _, ink in extras} == {"contrast"}
    assert sum(extent(points)[3] == 128 for points, _ in extras) == 5


def test_flip_flop_from_above_is_narrower_for_women_and_decorated_by_its_usage():
    men, women = (flip_flop_from_above(shoe("flip_flop", gender)) for gender in ("Men", "Women"))
    assert extent(women.panels[0])[3] == pytest.approx(extent(men.panels[0])[3] * 0.86)
    inks = {
        usage: {trim.ink for trim in flip_flop_from_above(shoe("flip_flop", usage=usage)).trims}
        for usage in ("Casual", "Ethnic")
    }
    assert inks["Ethnic"] - inks["Casual"] == {"gold"}


def cap(gender="Men", **options):
    return make_garment(Random(0), "cap", gender, color="Blue", pattern="pure color", **options)


def test_brim_of_a_cap_points_to_the_right_from_the_side_and_is_not_seen_from_behind():
    parts = {view: cap_shape(cap(), view).panels for view in ("front", "side", "back")}
    assert [len(parts[view]) for view in ("front", "side", "back")] == [2, 2, 1]
    assert extent(parts["side"][0])[2] == 118 and extent(parts["side"][1])[2] <= 54
    front = {(round(x, 6), round(y, 6)) for part in parts["front"] for x, y in part}
    assert front == {(-x, y) for x, y in front}


def test_womans_cap_is_lower_and_has_a_ribbon():
    men, women = cap_shape(cap(), "front"), cap_shape(cap("Women"), "front")
    assert extent(men.panels[0])[1] < extent(women.panels[0])[1]
    assert "second" in {trim.ink for trim in women.trims} - {trim.ink for trim in men.trims}


@pytest.mark.parametrize("kind", ["Bags", "Watches"])
def test_other_products_lie_in_the_middle_of_a_white_wall(kind):
    image = draw_accessory(Random(1), (72, 96), kind, "Blue")
    assert image.size == (72, 96)
    dark = np.asarray(image).astype(int).min(2) < 150
    rows, columns = np.nonzero(dark)
    assert not dark[:4].any() and not dark[:, :4].any()  # nothing at the edges
    assert abs(columns.mean() - 36) < 3 and abs(rows.mean() - 48) < 12
    assert 100 < dark.sum() < dark.size / 2
