"""Params of the data set."""

import pytest

from stages.crops.params import DatasetParams


@pytest.mark.parametrize("shares", [(0.7, 0.2, 0.2), (1.0, 0.0, 0.0), (1.2, -0.1, -0.1)])
def test_shares_that_do_not_sum_to_one_are_refused(shares):
    with pytest.raises(ValueError, match="sum to 1"):
        DatasetParams(shares=shares, upstream_splits=[], shards=1)
