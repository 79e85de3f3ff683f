"""Which group each type belongs to, by the project's own tables."""

import pytest
from places import TABLES

from stages.classifier.scores import type_groups
from stages.core.errors import StageError
from stages.labels.params import LabelParams

PARAMS = LabelParams.model_validate(
    {
        "policies": {"products": "fashion_products", "worn": "deepfashion_mm", "photos": "catalogue"},
        "gender_policy": "drop_row",
        "group_superclass": {"Topwear": "top"},
        "catalogues": {"photos": {"table": "clothing_dataset_labels.csv", "label_column": "label"}},
    }
)


def test_merged_types_belong_to_the_five_groups():
    types = ["T-Shirts", "Jackets", "Jeans", "Jumpsuits", "Heels", "Caps"]
    assert type_groups(types, ["products", "worn"], PARAMS, TABLES) == {
        "T-Shirts": "Topwear", "Jackets": "Topwear", "Jeans": "Bottomwear", "Jumpsuits": "Dress", "Heels": "Footwear",
        "Caps": "Headwear",
    }  # fmt: skip


def test_labels_of_a_catalogue_belong_to_its_tables_superclasses():
    types = ["T-Shirt", "Blazer", "Shorts", "Hat", "Shoes"]
    assert type_groups(types, ["photos"], PARAMS, TABLES) == {
        "T-Shirt": "top", "Blazer": "outwear", "Shorts": "bottom", "Hat": "headwear", "Shoes": "footwear",
    }  # fmt: skip


def test_mixed_sources_share_the_five_groups():
    # "Shorts" is a type of both tables: bottom is Bottomwear.
    types = ["Shorts", "Blazer", "T-Shirt", "T-Shirts"]
    assert type_groups(types, ["photos", "worn"], PARAMS, TABLES) == {
        "Shorts": "Bottomwear", "Blazer": "Topwear", "T-Shirt": "Topwear", "T-Shirts": "Topwear",
    }  # fmt: skip


@pytest.mark.parametrize(("types", "sources"), [(["T-Shirt"], ["worn"]), (["Not sure"], ["photos"])])
def test_type_that_no_table_of_the_sources_knows_is_refused_by_name(types, sources):
    with pytest.raises(StageError, match=f"type '{types[0]}' has 0 groups"):
        type_groups(types, sources, PARAMS, TABLES)
