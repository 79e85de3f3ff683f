"""Details over the cloth: their shapes by hand, and what a usage adds."""

from random import Random

import pytest

from stages.demo.drawing.body import FLAT_POSE, Pose, arm, body_for
from stages.demo.drawing.garments import make_garment
from stages.demo.drawing.trims import (
    along_limb,
    band,
    digit,
    embroidery,
    limb_end,
    lower_trims,
    motif,
    rounded_outline,
    torso_trims,
)

MAN = body_for("Men", "front")
STRAIGHT = arm(MAN, Pose(((0, 0), (0, 0)), ((0, 0), (0, 0))), 1)  # hangs at x = 104, from 202 to 352 and 492


def test_corners_are_cut_at_a_quarter_of_each_side():
    square = [(0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (0.0, 4.0)]
    assert rounded_outline(square, 1) == [(1, 0), (3, 0), (4, 1), (4, 3), (3, 4), (1, 4), (0, 3), (0, 1)]
    assert len(rounded_outline(square)) == 16


def test_digits_light_the_bars_of_a_seven_segment_display():
    assert [len(digit("dark", value, 0, 0, 1)) for value in range(10)] == [6, 2, 5, 5, 4, 5, 6, 3, 7, 6]
    one = digit("dark", 1, 10, 20, 5)
    assert [bar.points for bar in one] == [((20, 20), (20, 30)), ((20, 30), (20, 40))]  # the two on the right
    assert {(bar.shape, bar.ink, bar.width) for bar in one} == {("line", "dark", 3.1)}


def test_band_lies_across_and_embroidery_has_a_row_of_dots_in_its_middle():
    assert band("gold", 10, 20, 50).points == ((-50, 10), (50, 10), (50, 20), (-50, 20))
    gold, dots, edge = embroidery(500, 530, 44)
    assert gold.points[0][1] == 500 and gold.points[2][1] == 530
    assert dots.points == ((-44, 515), (-22, 515), (0, 515), (22, 515))
    assert (edge.points[0][1], edge.points[2][1]) == (495, 500)


def test_stripe_runs_down_the_outside_of_a_limb_and_a_cuff_around_its_end():
    assert along_limb("dark", 3, STRAIGHT, 0.5, 20).points == ((124, 202), (124, 277))
    assert along_limb("dark", 3, STRAIGHT, 1.5, 20).points == ((124, 202), (124, 352), (120, 422))
    # From 0.1 of the upper arm's 150 above half of it to 0.02 below; 90 outwards and 60 inwards.
    cuff = limb_end("dark", STRAIGHT, 0.5, 0.1).points
    assert [pytest.approx(point) for point in cuff] == [(194, 280), (194, 262), (44, 262), (44, 280)]


def test_prints_are_of_five_figures_and_stay_on_the_chest():
    figures = set()
    for seed in range(60):
        garment = make_garment(Random(seed), "tshirt", "Men", pattern="graphic", color="Blue")
        trims = motif(garment)
        figures.add(tuple(trim.shape for trim in trims))
        for trim in trims:
            grown = trim.width if trim.shape == "dots" else 0
            assert all(abs(x) + grown <= 60 and abs(y - 318) + grown <= 60 for x, y in trim.points)
    assert len(figures) == 5


def inks(garment, view="front"):
    return {trim.ink for trim in torso_trims(garment, body_for("Men", view), FLAT_POSE)}


@pytest.mark.parametrize(("usage", "ink"), [("Sports", "contrast"), ("Formal", "button"), ("Ethnic", "gold")])
def test_usage_shows_on_a_plain_shirt(usage, ink):
    plain, used = (
        make_garment(Random(0), "tshirt", "Men", pattern="pure color", color="Red", usage=one)
        for one in ("Casual", usage)
    )
    assert ink in inks(used) and ink not in inks(plain)


def test_buttons_are_in_front_and_not_behind_and_go_with_an_open_jacket():
    shirt = make_garment(Random(0), "shirt", "Men", pattern="pure color", color="Red")
    assert "button" in inks(shirt) and "button" not in inks(shirt, "back")
    for seed in range(20):
        jacket = make_garment(Random(seed), "jacket", "Men", pattern="pure color", color="Red")
        assert ("metal" in inks(jacket)) is not jacket.opened  # its zip


def test_trousers_have_a_waistband_where_their_waist_is():
    for gender, top in (("Men", 420), ("Women", 390)):
        trousers = make_garment(Random(0), "trousers", gender, pattern="pure color")
        assert lower_trims(trousers, body_for(gender, "front"), FLAT_POSE)[0] == band("dark", top - 4, top + 18)
