"""Recommendations by region: distances and the list in which regions take turns."""

import numpy as np
import pytest

from stages.networks.encoders.attention.recommend import diverse_list, region_distances


def test_region_distances_by_a_slow_loop():
    draw = np.random.default_rng(0)
    query, gallery = draw.normal(size=(2, 3)), draw.normal(size=(4, 2, 3))
    expected = [[min(np.linalg.norm(region - other) for other in picture) for picture in gallery] for region in query]
    assert region_distances(query, gallery) == pytest.approx(np.array(expected))


def test_regions_take_turns_and_no_picture_comes_twice():
    distances = np.array([[1.0, 2, 3, 4], [1.0, 9, 2, 9]])
    # Region 0: a. Region 1: a is taken, so c. Region 0: b. Region 1: b and d are equal, b is taken: d.
    assert diverse_list(distances, list("abcd"), 4) == [("a", 0), ("c", 1), ("b", 0), ("d", 1)]
    assert diverse_list(distances[:1], list("abcd"), 9) == [("a", 0), ("b", 0), ("c", 0), ("d", 0)]
    assert diverse_list(np.ones((1, 3)), ["z", "x", "y"], 2) == [("x", 0), ("y", 0)]  # equals by id
