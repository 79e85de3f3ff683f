"""Outlines of clothes: widths and necklines by hand, and both sides alike on a body that stands straight."""

from dataclasses import replace
from random import Random

import pytest

from stages.demo.drawing.body import FLAT_POSE, body_for
from stages.demo.drawing.garments import make_garment
from stages.demo.drawing.silhouettes import (
    Trunk,
    body_half_width,
    clothing,
    legs_shape,
    mirrored,
    skirt_shape,
    torso_shape,
)

MAN, WOMAN = body_for("Men", "front"), body_for("Women", "front")


def garment(kind, gender="Men", **changes):
    return replace(make_garment(Random(0), kind, gender), **changes)


def same_on_both_sides(points):
    rounded = {(round(x, 6), round(y, 6)) for x, y in points}
    return rounded == {(-x, y) for x, y in rounded}


def test_width_of_a_body_is_linear_between_its_measures():
    # 122 at the shoulders (190), 94 at the chest (278), 86 at waist and hip.
    assert [body_half_width(MAN, y) for y in (100, 190, 234, 278, 444, 600)] == [122, 122, 108, 94, 86, 86]


def test_other_side_is_in_the_order_that_closes_an_outline():
    assert mirrored([(1.0, 2.0), (3.0, 4.0)]) == [(-3.0, 4.0), (-1.0, 2.0)]


def test_trunk_hangs_from_a_mans_chest_and_follows_a_womans_waist():
    mans = Trunk(garment("tshirt", ease=10, hem=500), MAN)
    # Chest 94 + 10; hanging from chest and hip: (94 + 86) / 2 + 10 - 10 = 90, but at least the waist's 86 + 9.
    assert [mans.half_width(y) for y in (200, 278, 388, 444, 500)] == [104, 104, 95, 95.5, 96]
    womans = Trunk(garment("tshirt", "Women", ease=10, hem=500), WOMAN)
    assert womans.half_width(388) == 71  # her waist of 62 + 9
    flared = Trunk(garment("dress", "Women", ease=10, hem=600, flare=20), WOMAN)
    assert (flared.half_width(500), flared.half_width(600)) == (102, 122)


@pytest.mark.parametrize(
    ("neckline", "view", "expected"),
    [
        ("v", "front", [(44, 168), (0, 260), (-44, 168)]),
        ("square", "front", [(58, 168), (49.3, 228), (-49.3, 228), (-58, 168)]),
        ("crew", "front", [(42, 168), (26.04, 188.28), (0, 194), (-26.04, 188.28), (-42, 168)]),
        ("v", "back", [(44, 168), (27.28, 177.36), (0, 180), (-27.28, 177.36), (-44, 168)]),  # 12 deep at most
    ],
)
def test_necklines(neckline, view, expected):
    found = Trunk(garment("tshirt", neckline=neckline), body_for("Men", view)).neck()
    assert [pytest.approx(point) for point in expected] == found


def test_shirt_has_two_sleeves_from_the_front_and_one_from_the_side():
    shirt = garment("shirt", sleeve="long")
    front = torso_shape(shirt, MAN, FLAT_POSE)
    assert len(front.panels) == 1 and len(front.sleeves) == 2
    assert same_on_both_sides(front.panels[0])
    assert same_on_both_sides(front.sleeves[0] + front.sleeves[1])
    assert len(torso_shape(shirt, body_for("Men", "side"), FLAT_POSE).sleeves) == 1
    assert torso_shape(garment("tank", sleeve="none"), MAN, FLAT_POSE).sleeves == []


def test_garment_reaches_from_the_neck_to_its_hem():
    ys = [y for _, y in torso_shape(garment("tshirt", hem=530, neckline="crew"), MAN, FLAT_POSE).panels[0]]
    assert (min(ys), max(ys)) == (168, 530)


def test_open_jacket_is_two_panels_with_a_gap_and_a_flat_one_shows_its_inside():
    jacket = garment("jacket", opened=True)
    left, right = torso_shape(jacket, MAN, FLAT_POSE).panels
    assert left == mirrored(right) and min(x for x, _ in left) > 20  # nothing of it in the middle
    assert len(torso_shape(jacket, body_for("Men", "back"), FLAT_POSE).panels) == 1  # closed from behind
    assert torso_shape(jacket, body_for("Men", "flat"), FLAT_POSE).under[0][1] == "inside"


def test_turtleneck_and_straps_are_panels_of_their_own():
    assert len(torso_shape(garment("sweater", neckline="turtle"), MAN, FLAT_POSE).panels) == 2
    assert len(torso_shape(garment("sling", "Women", sleeve="sling"), WOMAN, FLAT_POSE).panels) == 3


def test_legs_reach_as_far_as_the_hem_says():
    jeans, shorts = (
        legs_shape(garment(kind, hem=hem), MAN, FLAT_POSE) for kind, hem in (("jeans", 200), ("shorts", 50))
    )
    assert len(jeans.panels) == len(shorts.panels) == 2
    assert same_on_both_sides(jeans.panels[0] + jeans.panels[1])
    lowest = [max(y for part in shape.panels for _, y in part) for shape in (jeans, shorts)]
    # The ankle is at 500 + 232 + 215, half of the thigh at 616; legs stand a little apart.
    assert lowest == pytest.approx([947, 616], abs=8)


def test_waist_of_womens_trousers_sits_higher():
    tops = [min(y for _, y in legs_shape(garment("trousers", gender), body, FLAT_POSE).panels[0])
            for gender, body in (("Men", MAN), ("Women", WOMAN))]  # fmt: skip
    assert tops == [420, 390]


def test_skirt_is_a_panel_from_the_waist_to_a_rounded_hem():
    shape = skirt_shape(garment("skirt", "Women", hem=700, ease=8, flare=50), WOMAN)
    (panel,) = shape.panels
    # Waist 62 + 4; hip 92 + 8 + a quarter of the flare; hem 92 + 8 + 50; 8 lower in the middle.
    assert panel[:4] == [(66, 390), (112.5, 500), (150, 700), (0, 708)]
    assert same_on_both_sides(panel)


def test_clothing_draws_each_family_by_its_own_outline():
    assert len(clothing(garment("jeans"), MAN, FLAT_POSE).panels) == 2
    assert len(clothing(garment("skirt", "Women"), WOMAN, FLAT_POSE).panels) == 1
    jumpsuit = garment("jumpsuit", "Women", sleeve="short")
    assert len(clothing(jumpsuit, WOMAN, FLAT_POSE).panels) == len(torso_shape(jumpsuit, WOMAN, FLAT_POSE).panels) + 2
