"""Where attention lies, on boxes and maps whose shares are known by hand."""

import numpy as np
import pytest

from stages.report.attention_maps import as_markdown, coverage, in_picture, shares_on


def test_places_are_covered_by_as_much_of_a_box_as_lies_on_them():
    covered = coverage((0.25, 0.5, 0.75, 1.0), 2, 2)  # half of each place of the lower row
    assert covered == pytest.approx(np.array([[0, 0], [0.5, 0.5]]))
    assert coverage((0, 0, 1, 1), 3, 2) == pytest.approx(np.ones((3, 2)))


def test_box_moves_with_its_crop_into_the_upright_picture():
    # A crop of 20 x 20 lies in a picture of 20 x 30 with five white rows above and below it.
    assert in_picture((10, 10, 30, 30), (10, 10, 30, 30), 1.5) == pytest.approx((0, 1 / 6, 1, 5 / 6))
    # Left half of it.
    assert in_picture((10, 10, 20, 30), (10, 10, 30, 30), 1.5) == pytest.approx((0, 1 / 6, 0.5, 5 / 6))
    # A garment that reaches out of a crop of 10 x 30 in a picture of 20 x 30 is cut where the crop ends.
    assert in_picture((0, 0, 90, 90), (10, 10, 20, 40), 1.5) == pytest.approx((0.25, 0, 0.75, 1))


def test_share_of_a_map_on_the_garment_and_of_a_uniform_one():
    maps = np.zeros((1, 2, 2, 2))
    maps[0, 0, 1, 0] = 1.0  # on the garment
    maps[0, 1] = [[0.5, 0.25], [0.125, 0.125]]
    shares, uniform = shares_on(maps, [(0, 0.5, 1, 1)])
    assert shares == pytest.approx([1.0, 0.25]) and uniform == pytest.approx(0.5)
    assert "| share, validation crops | 1.000 | 0.250 | 0.500 | 0.600 |" in as_markdown(shares, uniform, 0.6)
