"""Section ``labels``: the policy and the table of a source, or one message."""

import pytest

from stages.core.errors import StageError


def test_source_has_its_policy_and_a_catalogue_its_table(params):
    assert params.policy_of("deepfashion_mm") == "deepfashion_mm"
    assert params.policy_of("photos") == "catalogue"
    assert params.catalogue_of("photos").table == "clothing_dataset_labels.csv"


def test_source_that_the_params_do_not_name_is_one_message_with_what_to_add(params):
    with pytest.raises(
        StageError, match=r"no policy for source 'hats'; it has: deepfashion_mm, .*Add `hats: catalogue`"
    ):
        params.policy_of("hats")
    with pytest.raises(StageError, match=r"no label table for source 'hats'; it has: photos. Add `hats: \{table: NAME"):
        params.catalogue_of("hats")
