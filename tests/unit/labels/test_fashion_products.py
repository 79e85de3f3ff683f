"""The three policies on small item tables as ingest gives them."""

import pandas as pd
import pytest

from stages.contracts.ledger import Account
from stages.core.errors import StageError
from stages.labels import catalogue, deepfashion_mm, fashion_products


def product(number: int, **changes: str) -> dict[str, str]:
    row = {
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


def rejects(account: Account) -> dict[str, tuple[str, str]]:
    return {row.key: (row.reason, row.detail) for row in account.ledger("items").rejects}


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


def photo(name: str, fabric: str = "7 7 7", pattern: str = "7 7 7", shape: str | None = None) -> dict[str, str | None]:
    codes = zip(("upper", "lower", "outer"), fabric.split(), pattern.split(), strict=True)
    row = {"item_id": name, "image_id": name, "shape": shape, "split": None, "group_id": "unused", "cluster": name}
    for layer, fabric_code, pattern_code in codes:
        row |= {f"fabric_{layer}": fabric_code, f"pattern_{layer}": pattern_code}
    return row


def worn(*rows: dict[str, str | None]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), dtype="str")


def test_deepfashion_item_gets_labels_from_its_name(tables, params, account):
    items = worn(photo("WOMEN-Blouses_Shirts-id_00000001-02_1_front", "5 0 7", "0 3 7", "3 1 0 0 0 0 0 0 0 4 1 1"))
    row = deepfashion_mm.label(items, tables, params, account).iloc[0]
    assert (row["gender"], row["type"], row["view"], row["colorway"]) == ("Women", "Blouses", "front", "02")
    assert (row["group_id"], row["instance"]) == ("WOMEN-id_00000001", "WOMEN-Blouses_Shirts-id_00000001")
    assert (row["superclass"], row["agrees"]) == ("top", ["top", "vest", "outwear"])
    assert (row["fabric"], row["pattern"]) == ("chiffon", "floral")
    assert account.notes["layers_fabric"] == {"one_missing": 1}
    assert account.notes["shape"] == {"annotated": 1, "missing": 0}


def test_open_jacket_over_a_top_each_take_their_own_label(tables, params, account):
    person = "id_00000007-01_1_front"
    items = worn(
        *(photo(f"MEN-{name}-{person}", "1 0 2", "2 3 3") for name in ("Jackets_Vests", "Tees_Tanks", "Denim"))
    )
    labels = deepfashion_mm.label(items, tables, params, account)
    assert list(labels["type"]) == ["Jackets", "T-Shirts", "Jeans"]
    assert list(labels["superclass"]) == ["outwear", "top", "bottom"]
    assert list(labels["fabric"]) == ["leather", "cotton", "denim"]
    assert list(labels["pattern"]) == ["pure color", "striped", "pure color"]
    assert account.notes["layers_fabric"] == {"clear": 2, "lower": 1}


def test_ambiguous_photo_is_dropped_with_all_its_items(tables, params, account):
    items = worn(
        photo("MEN-Tees_Tanks-id_00000007-01_1_front", "1 0 2", "3 3 3"),  # no outer type beside it
        photo("MEN-Denim-id_00000007-01_1_front", "1 0 2", "3 3 3"),
        photo("MEN-Tees_Tanks-id_00000007-01_2_side", "1 0 1", "2 3 4"),  # fabric equal, pattern differs
        photo("MEN-Denim-id_00000007-01_3_back", "1 0 2", "3 3 3"),  # a bottom alone is never ambiguous
    )
    labels = deepfashion_mm.label(items, tables, params, account)
    assert list(labels["item_id"]) == ["MEN-Denim-id_00000007-01_3_back"]
    assert rejects(account) == {
        "MEN-Tees_Tanks-id_00000007-01_1_front": ("ambiguous_layer", "fabric codes: upper 1, outer 2"),
        "MEN-Denim-id_00000007-01_1_front": (
            "ambiguous_layer",
            "another item of photo MEN-id_00000007-01_1 is ambiguous",
        ),
        "MEN-Tees_Tanks-id_00000007-01_2_side": ("ambiguous_layer", "pattern codes: upper 2, outer 4"),
    }
    assert account.notes["layers_fabric"] == {"dropped": 3, "lower": 1}
    assert account.notes["layers_pattern"] == {"dropped": 3, "lower": 1}


def test_file_without_texture_annotation_is_kept_with_unknown_heads(tables, params, account):
    row = photo("WOMEN-Dresses-id_00000003-01_4_full")
    row = {name: None if name.startswith(("fabric", "pattern")) else value for name, value in row.items()}
    labels = deepfashion_mm.label(worn(row), tables, params, account)
    assert labels[["fabric", "pattern"]].isna().all(axis=None)
    assert account.notes["layers_pattern"] == {"both_missing": 1}


def test_bad_names_are_rejected(tables, params, account):
    items = worn(photo("IMG_0001"), photo("MEN-Pants-id_00000002-01_1_flat"))
    assert list(deepfashion_mm.label(items, tables, params, account)["view"]) == ["flat"]
    assert rejects(account)["IMG_0001"][0] == "bad_name"


def test_only_bad_names_leave_an_empty_table(tables, params, account):
    assert deepfashion_mm.label(worn(photo("IMG_0001"), photo("IMG_0002")), tables, params, account).empty
    assert len(rejects(account)) == 2


def test_deepfashion_type_outside_the_table_stops_the_stage(tables, params, account):
    with pytest.raises(StageError, match=r"Spacesuits in the file names is not in tables/deepfashion_types\.csv"):
        deepfashion_mm.label(worn(photo("MEN-Spacesuits-id_00000002-01_1_flat")), tables, params, account)


def snapshots(*labels: str) -> pd.DataFrame:
    rows = [
        {"item_id": f"p{n}", "image_id": f"p{n}", "label": name, "split": "test", "group_id": "s1", "cluster": f"p{n}"}
        for n, name in enumerate(labels)
    ]
    return pd.DataFrame(rows, dtype="str")


def test_catalogue_label_is_the_type_and_its_table_gives_the_superclass(tables, params):
    account = Account("photos")
    labels = catalogue.label(snapshots("Longsleeve", "Not sure", "Hat", "Skip"), tables, params, account)
    assert list(labels["type"]) == ["Longsleeve", "Hat"]
    assert list(labels["superclass"]) == ["top", "headwear"]
    assert list(labels["agrees"]) == [["top"], ["headwear"]]
    assert list(labels["group_id"]) == ["s1", "s1"]
    assert rejects(account) == {"p1": ("not_a_garment", "label Not sure"), "p3": ("not_a_garment", "label Skip")}


def test_catalogue_label_outside_the_table_is_one_message(tables, params):
    with pytest.raises(StageError) as error:
        catalogue.label(snapshots("Hat", "Spacesuit"), tables, params, Account("photos"))
    message = str(error.value)
    assert "label Spacesuit is not in" in message
    assert "clothing_dataset_labels.csv" in message
    assert "Longsleeve" in message
    assert "Add a line" in message


def test_catalogue_without_a_label_table_is_one_message(tables, params):
    with pytest.raises(StageError, match=r"labels\.catalogues` has no label table for source 'wardrobe'.*photos"):
        catalogue.label(snapshots("Hat"), tables, params, Account("wardrobe"))
