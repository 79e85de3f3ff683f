"""Cloth: pattern tiles of few colors, grain around a neutral level, light and folds over a panel."""

from random import Random

import numpy as np
import pytest

from stages.demo.drawing.garments import FABRICS, make_garment
from stages.demo.drawing.textures import GRAIN, LEVELS, fabric_grain, fill, pattern_tile

COLORS = ((200, 40, 80), (20, 220, 120), (10, 10, 250))


def palette_of(table):
    """The colors of a table at the neutral level of brightness."""
    return table.view(np.uint8).reshape(-1, LEVELS, 4)[:, 256, :3].tolist()


def test_plain_cloth_is_one_texel_whose_color_scales_with_the_brightness():
    tile, table = pattern_tile("pure color", COLORS, 1)
    assert tile.tolist() == [[0]]
    assert palette_of(table) == [[200, 40, 80]]
    # Level 128 halves a color and takes 16 off; level 512 doubles it and adds 32.
    levels = table.view(np.uint8).reshape(LEVELS, 4)
    assert levels[128, :3].tolist() == [84, 4, 24]
    assert levels[512, :3].tolist() == [255, 112, 192]


@pytest.mark.parametrize("seed", range(8))
def test_stripes_of_the_second_color_take_a_third_to_almost_half(seed):
    tile, table = pattern_tile("striped", COLORS, seed)
    assert 1 in tile.shape and max(tile.shape) in (32, 40, 48, 60)
    assert palette_of(table)[:2] == [list(COLORS[0]), list(COLORS[1])]
    assert 0.29 <= (tile == LEVELS).mean() <= 0.44


def test_stripes_of_many_colors_are_of_equal_width():
    tile, _ = pattern_tile("striped", (*COLORS, (1, 2, 3)), 0)
    assert [(tile == number * LEVELS).mean() for number in range(4)] == [0.25] * 4


def test_checks_mix_their_colors_where_threads_cross():
    tile, table = pattern_tile("lattice", COLORS, 0)
    assert palette_of(table) == [[200, 40, 80], [110, 130, 100], [65, 175, 110], [10, 10, 250]]
    assert tile.shape[0] == tile.shape[1] and np.array_equal(tile, tile.T)


@pytest.mark.parametrize("pattern", ["floral", "color block"])
def test_pattern_repeats_with_its_seed_and_only_then(pattern):
    first, second, third = (pattern_tile.__wrapped__(pattern, COLORS, seed)[0] for seed in (1, 1, 2))
    assert np.array_equal(first, second) and not np.array_equal(first, third)
    assert len(np.unique(first)) > 1


@pytest.mark.parametrize("fabric", FABRICS)
def test_grain_repeats_and_stays_around_the_neutral_level(fabric):
    grain = fabric_grain(fabric, 1, 2)
    assert grain.shape == (2 * GRAIN, 2 * GRAIN)
    assert np.array_equal(grain[:GRAIN, :GRAIN], grain[GRAIN:, GRAIN:])
    assert grain.mean() == pytest.approx(256, abs=12)
    assert 100 < grain.min() < grain.max() < 420


def test_fabrics_have_grains_of_their_own():
    grains = [fabric_grain(fabric, 1, 1) for fabric in FABRICS]
    assert not [1 for place, one in enumerate(grains) for other in grains[:place] if np.array_equal(one, other)]


def shades(light):
    """Mean brightness of the left, the middle and the right fifth of a plain cotton panel."""
    garment = make_garment(Random(0), "tshirt", "Men", color="Grey", fabric="cotton", pattern="pure color")
    cloth = fill(garment, (0, 0, 200, 150), (100, 75), 1024, light)
    assert cloth.shape == (150, 200, 4) and cloth.dtype == np.uint8
    return [cloth[:, start : start + 40, :3].mean() for start in (0, 80, 160)]


def test_panel_is_round_and_brightest_where_the_light_comes_from():
    left, middle, right = shades(0)
    assert middle > max(left, right) + 5
    left, _, right = shades(100)
    assert right > left + 20
    left, _, right = shades(-100)
    assert left > right + 20


def test_pattern_is_centered_on_its_anchor_and_moves_with_it():
    garment = make_garment(Random(0), "tshirt", "Men", color="Red", fabric="leather", pattern="lattice")
    period = pattern_tile("lattice", garment.colors, garment.seed)[0].shape[0]
    box = (0, 0, 300, 300)
    here, there, far = (fill(garment, box, (place, place), 1024, 0) for place in (0, period // 2, period))
    assert np.array_equal(here, far)  # by a whole period: the same cloth
    assert not np.array_equal(here, there)
