"""What is kept of the figures where vectors of one encoder are compared."""

import pytest

from stages.retrieval.comparison import compared, on_and_off


def test_comparison_takes_the_views_and_only_figures_that_are_there():
    result = {"n_queries": 2, "chance": {"whole_gallery": {"hit_at_1": 0.1}},
              "whole_gallery": {"n_scored": 2, "hit_at_1": 0.5, "map": 0.6, "per_category": {}},
              "same_superclass": {"n_scored": 0}}  # fmt: skip
    assert compared(result) == {"whole_gallery": {"hit_at_1": 0.5, "map": 0.6}, "same_superclass": {}}


def test_without_plain_vectors_there_is_nothing_to_compare(tmp_path):
    assert on_and_off({}, tmp_path, lambda folder: pytest.fail("nothing to score")) is None
