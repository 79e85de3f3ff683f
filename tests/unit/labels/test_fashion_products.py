"""The policy of Fashion Products on small item tables as ingest gives them."""

import pandas as pd
import pytest
from small import rejects

from stages.core.errors import StageError
from stages.labels import fashion_products


def product(number: int, **changes: str) -> dict[str, str]:
    row = dict.fromkeys(fashion_products.COLUMNS, "") | {
        "item_id": str(number),
        "image_id": str(number),
        "gender": "Men",
        "subCategory": "Topwear",
        "articleType": "Shirts",
        "baseColour": "Navy Blue",
        "usage": "Casual",
        "split": "train",
        "group_id": "unused",
        "cluster": f"cluster {number}",
    }
    return row | changes


def products(*changes: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame([product(number, **row) for number, row in enumerate(changes)], dtype="str")


def test_product_gets_merged_labels(tables, params, account):
    row = fashion_products.label(products({}), tables, params, account).iloc[0]
    assert (row["gender"], row["type"], row["usage"], row["color"]) == ("Men", "Shirts", "Casual", "Blue")
    assert (row["superclass"], row["agrees"]) == ("top", ["outwear", "top", "vest"])
    assert (row["group_id"], row["view"], row["split"]) == ("cluster 0", "product", "train")
    assert rejects(account) == {}


@pytest.mark.parametrize(
    ("subcategory", "superclass"),
    [("Bottomwear", "bottom"), ("Dress", "dress"), ("Headwear", "headwear"), ("Socks", "footwear")],
)
def test_group_with_one_superclass_gets_it(tables, params, account, subcategory, superclass):
    row = fashion_products.label(products({"subCategory": subcategory}), tables, params, account).iloc[0]
    assert (row["superclass"], row["agrees"]) == (superclass, [superclass])


@pytest.mark.parametrize(
    ("article", "superclass"),
    [
        ("Jackets", "outwear"),  # as DeepFashion's Jackets_Coats
        ("Shrug", "outwear"),  # a cardigan
        ("Tshirts", "top"),
        ("Kurtas", "top"),  # DeepFashion has none: labels.group_superclass
        ("Waist Pouch", "top"),  # in no table
        ("Jeans", "top"),  # a bottom cannot be Topwear: its subCategory decides, as it chooses the detector
    ],
)
def test_type_tells_which_of_a_groups_superclasses_it_is(tables, params, account, article, superclass):
    row = fashion_products.label(products({"articleType": article}), tables, params, account).iloc[0]
    assert (row["superclass"], row["agrees"]) == (superclass, ["outwear", "top", "vest"])


def test_rows_that_are_no_garment_are_rejected_with_the_value(tables, params, account):
    items = products({}, {"subCategory": "Bags"}, {"articleType": "Dupatta"}, {"subCategory": "Ties", "gender": "Boys"})
    labels = fashion_products.label(items, tables, params, account)
    assert list(labels["item_id"]) == ["0"]
    assert rejects(account) == {
        "1": ("not_a_garment", "subCategory Bags"),
        "2": ("not_a_garment", "articleType Dupatta"),
        "3": ("not_a_garment", "subCategory Ties"),
    }


def test_gender_policy_drop_row_leaves_out_unisex_and_kids(tables, params, account):
    items = products({}, {"gender": "Unisex"}, {"gender": "Girls"}, {"gender": "Women"})
    labels = fashion_products.label(items, tables, params, account)
    assert list(labels["gender"]) == ["Men", "Women"]
    assert rejects(account) == {
        "1": ("gender_left_out", "gender Unisex"),
        "2": ("gender_left_out", "gender Girls"),
    }


def test_gender_policy_unknown_keeps_the_row_and_counts_it(tables, params, account):
    keeping = params.model_copy(update={"gender_policy": "unknown"})
    labels = fashion_products.label(products({}, {"gender": "Unisex"}), tables, keeping, account)
    assert len(labels) == 2
    assert pd.isna(labels["gender"][1])
    assert rejects(account) == {}
    assert account.notes["unknown_gender"] == {"Unisex": 1}


def test_values_that_become_unknown_are_counted_among_kept_rows(tables, params, account):
    items = products(
        {"baseColour": "Silver", "usage": "NA", "articleType": "Capes"}, {"baseColour": "NA", "subCategory": "Bags"}
    )
    labels = fashion_products.label(items, tables, params, account)
    assert labels[["type", "usage", "color"]].isna().all(axis=None)
    assert account.notes["unknown_color"] == {"Silver": 1}
    assert account.notes["unknown_usage"] == {"NA": 1}
    assert account.notes["unknown_type"] == {"Capes": 1}


def test_type_in_a_foreign_group_stays_and_is_counted(tables, params, account):
    labels = fashion_products.label(
        products({"subCategory": "Socks", "articleType": "Stockings"}), tables, params, account
    )
    assert (labels["type"][0], labels["superclass"][0]) == ("Leggings", "footwear")
    assert account.notes["type_outside_its_group"] == {"Leggings in Footwear": 1}


def test_group_with_several_superclasses_needs_one_by_param(tables, params, account):
    without = params.model_copy(update={"group_superclass": {}})
    with pytest.raises(StageError, match=r"labels\.group_superclass\.Topwear.*outwear, top, vest"):
        fashion_products.label(products({}), tables, without, account)
