"""Arithmetic of colors by hand, and walls and rooms behind the garments."""

from collections import Counter
from random import Random

import numpy as np
import pytest
from PIL import Image

from stages.demo.drawing.palette import (
    NAME_WEIGHTS,
    NAMED_COLORS,
    clamp,
    contrasting,
    distance,
    luminance,
    pick_name,
    plain_background,
    scaled,
    scene_background,
    shade_of,
)


def test_clamp_keeps_a_byte():
    assert [clamp(value) for value in (-1, 0, 77, 255, 300)] == [0, 0, 77, 255, 255]


def test_scaled_darkens_by_share_and_lightens_toward_white():
    assert scaled((100, 200, 51), 50) == (50, 100, 25)
    assert scaled((0, 100, 255), 120) == (51, 131, 255)  # a fifth of the way to 255


@pytest.mark.parametrize("name", NAMED_COLORS)
def test_luminance_is_pillows(name):
    image = Image.new("RGB", (1, 1), NAMED_COLORS[name])
    assert luminance(NAMED_COLORS[name]) == pytest.approx(image.convert("L").getpixel((0, 0)), abs=1)


def test_distance_is_squared():
    assert distance((1, 2, 3), (4, 6, 3)) == 25


def test_shade_stays_near_its_name():
    """At most 7 % darker or nearer to white, then 6 levels: 255 * 0.07 + 6 and rounding."""
    for name, color in NAMED_COLORS.items():
        for seed in range(10):
            assert np.abs(np.subtract(shade_of(Random(seed), name), color)).max() <= 25, name


def test_contrasting_color_can_be_told_from_the_first_by_its_brightness():
    for name, color in NAMED_COLORS.items():
        for seed in range(5):
            assert abs(luminance(contrasting(Random(seed), color)) - luminance(color)) > 60, name


def test_names_are_drawn_by_their_weights():
    rng = Random(0)
    drawn = Counter(pick_name(rng) for _ in range(5000))
    assert set(drawn) == set(NAME_WEIGHTS) <= set(NAMED_COLORS)
    expected = 5000 * NAME_WEIGHTS["Black"] / sum(NAME_WEIGHTS.values())
    assert drawn["Black"] == pytest.approx(expected, rel=0.2)


def test_white_wall_is_brightest_a_little_above_the_middle():
    pixels = np.asarray(plain_background(Random(0), (3, 100), white=True))
    assert (pixels == pixels[:, :1]).all()  # every row has one color
    # Row y lies |200 y / 100 - 90| from the brightest one, and loses 4 % of that.
    assert [pixels[y, 0].tolist() for y in (45, 0, 99)] == [[250] * 3, [247] * 3, [246] * 3]


def test_rooms_stand_on_a_floor_of_one_color():
    floors = {(150, 126, 102), (128, 130, 134), (186, 172, 150), (110, 118, 96), (168, 160, 158)}
    for seed in range(20):
        image = scene_background(Random(seed), (60, 200))
        assert image.size == (60, 200)
        bottom = {tuple(pixel) for pixel in np.asarray(image)[-1].tolist()}
        assert len(bottom) == 1 and bottom < floors
