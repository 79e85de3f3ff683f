"""People: how often their hair is long, and what clothes leave bare, pixel by pixel."""

from random import Random

import numpy as np
import pytest
from PIL import Image

from stages.demo.drawing.body import FLAT_POSE, arm, body_for, leg
from stages.demo.drawing.canvas import Canvas, Frame
from stages.demo.drawing.garments import make_garment
from stages.demo.drawing.palette import HAIRS, SKINS, scaled
from stages.demo.drawing.people import (
    FOOT_SCALE,
    Person,
    draw_arms,
    draw_feet,
    draw_hair_behind,
    draw_head,
    draw_trunk_skin,
    random_person,
)

ONE = Person("Women", (250, 218, 194), (32, 26, 24), True, 100)
FRAME = Frame(300, 10, 0.6)  # of a canvas of 600 x 640: crown at 10, ground at 610


@pytest.fixture
def canvas():
    return Canvas((300, 320), Image.new("RGB", (300, 320), (0, 255, 0)))


def color_at(canvas, point):
    return canvas.image.getpixel(FRAME.pixel(point))


def test_looks_are_drawn_from_the_palettes_and_hair_by_gender():
    for gender, share in (("Men", 0.08), ("Women", 0.75)):
        people = [random_person(Random(f"{gender} {seed}"), gender) for seed in range(600)]
        assert {person.skin for person in people} == set(SKINS) and {person.hair for person in people} == set(HAIRS)
        assert np.mean([person.long_hair for person in people]) == pytest.approx(share, abs=0.05)
        assert (min(person.build for person in people), max(person.build for person in people)) == (92, 110)


def test_face_is_seen_from_the_front_and_hair_from_behind(canvas):
    draw_head(canvas, FRAME, ONE, "front")
    assert color_at(canvas, (24, 92)) == ONE.skin  # a cheek
    assert color_at(canvas, (0, 20)) == ONE.hair
    draw_head(canvas, FRAME, ONE, "back")
    assert color_at(canvas, (24, 92)) == ONE.hair
    assert color_at(canvas, (0, 200)) == ONE.hair  # long hair hangs over the back


def test_nose_points_to_the_right_from_the_side(canvas):
    draw_head(canvas, FRAME, ONE, "side")
    assert color_at(canvas, (50, 77)) == ONE.skin
    assert color_at(canvas, (-50, 77)) == (0, 255, 0)


def test_hair_that_falls_behind_the_shoulders_is_a_little_darker(canvas):
    draw_hair_behind(canvas, FRAME, ONE, "front")
    assert color_at(canvas, (0, 150)) == scaled(ONE.hair, 90)
    assert color_at(canvas, (0, 260)) == (0, 255, 0)


def test_trunk_is_skin_and_legs_a_shade_darker(canvas):
    body = body_for("Women", "front")
    draw_trunk_skin(canvas, FRAME, ONE, body, FLAT_POSE)
    assert color_at(canvas, (0, 400)) == ONE.skin
    knee = leg(body, FLAT_POSE, 1).joints[1]
    assert color_at(canvas, knee) == scaled(ONE.skin, 96)


def test_hands_hang_below_the_wrists_of_the_sides_that_are_asked_for(canvas):
    body = body_for("Women", "front")
    draw_arms(canvas, FRAME, ONE, body, FLAT_POSE, (1,))
    for side, expected in ((1, ONE.skin), (-1, (0, 255, 0))):
        x, y = arm(body, FLAT_POSE, side).joints[2]
        assert color_at(canvas, (x, y + 20)) == expected


def test_no_skin_shows_at_the_seam_of_a_sleeve(canvas):
    body = body_for("Women", "front")
    draw_arms(canvas, FRAME, ONE, body, FLAT_POSE, (1,), sleeved=True)
    x, y = arm(body, FLAT_POSE, 1).joints[0]
    assert color_at(canvas, (x, y)) == (0, 255, 0)
    assert color_at(canvas, arm(body, FLAT_POSE, 1).joints[1]) == ONE.skin


def test_feet_are_bare_or_in_shoes_that_count_as_a_garment(canvas):
    body = body_for("Women", "front")
    draw_feet(canvas, FRAME, ONE, body, FLAT_POSE, None, 5, "front")
    x, y = leg(body, FLAT_POSE, 1).joints[2]
    assert canvas.boxes() == {}
    assert color_at(canvas, (x, y + 20)) == scaled(ONE.skin, 96)
    boots = make_garment(Random(0), "boot", "Women", color="Blue")
    draw_feet(canvas, FRAME, ONE, body, FLAT_POSE, boots, 5, "front")
    x0, y0, x1, y1 = canvas.boxes()[5]
    # From the tip of one foot to that of the other; boots reach 150 shoe units above the ankle's.
    assert x0 < FRAME.pixel((-x, 0))[0] / 2 and x1 > FRAME.pixel((x, 0))[0] / 2
    assert y1 - y0 > (150 + 100) * FOOT_SCALE * FRAME.scale / 2
