"""The map of vectors, by hand."""

import numpy as np
import pytest

from stages.page.gallery import flat


def test_map_puts_the_first_component_across_and_is_the_same_each_time():
    # Four points on a line and a little off it: the line goes across, from one edge to the other.
    vectors = np.array([[0, 0, 0], [10, 0, 0.1], [20, 0, -0.1], [30, 0, 0]], float)
    places = flat(vectors)
    xs = [x for x, _ in places]
    assert sorted(xs) in ([12, 204, 396, 588], xs) and {min(xs), max(xs)} == {12, 588}
    assert abs(xs[1] - xs[0]) == pytest.approx(192, abs=1) and places == flat(vectors)


def test_map_of_equal_vectors_and_of_two_is_no_error():
    assert flat(np.ones((5, 4))) == [[300.0, 270.0]] * 5
    assert flat(np.zeros((2, 4))) == [[300.0, 270.0]] * 2
