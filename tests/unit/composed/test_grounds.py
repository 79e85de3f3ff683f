"""Grounds: their size, and that tiles meet without a seam."""

import numpy as np
import pytest
from PIL import Image

from stages.composed.grounds import GROUND_KINDS, enlarged, ground, plain, tiled

STRIP = Image.fromarray(np.tile(np.arange(0, 240, 4, dtype=np.uint8)[None, :, None], (20, 1, 3)))  # 60 x 20, a ramp


@pytest.mark.parametrize("kind", GROUND_KINDS)
@pytest.mark.parametrize("size", [(30, 40), (40, 30)])
def test_ground_covers_the_picture_and_is_the_same_for_the_same_seed(kind, size):
    made = [ground(kind, size, [STRIP], np.random.default_rng(3)) for _ in range(2)]
    assert made[0].size == size and made[0].mode == "RGB"
    assert made[0].tobytes() == made[1].tobytes()


def test_ground_is_plain_where_no_photo_gives_a_strip():
    assert (
        ground("texture", (30, 40), [], np.random.default_rng(3)).tobytes()
        == plain((30, 40), np.random.default_rng(3)).tobytes()
    )


def test_strip_is_turned_where_the_picture_is_upright():
    gray = np.asarray(enlarged(STRIP, (20, 60)), int)[:, :, 0]
    assert gray[0].max() - gray[0].min() == 0  # the ramp runs down now
    assert abs(gray[0, 0] - gray[-1, 0]) > 200


def test_tiles_are_mirrored_so_that_neighbors_are_equal_at_their_edge():
    gray = np.asarray(tiled(STRIP, (60, 90)), int)[:, :, 0]  # tiles of 20 pixels
    assert (gray[:, 19] == gray[:, 20]).all() and (gray[:, 39] == gray[:, 40]).all()
    assert (gray[19] == gray[20]).all()
    assert (gray[:, :20] == gray[:, 39:19:-1]).all()
