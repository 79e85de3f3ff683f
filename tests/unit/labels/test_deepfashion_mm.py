"""The policy of DeepFashion-MultiModal: file names, layers, shapes, and small item tables as ingest gives them."""

import pandas as pd
import pytest
from small import rejects

from stages.core.errors import StageError
from stages.labels import deepfashion_mm
from stages.labels.deepfashion_mm import (
    OUTCOMES,
    POSITIONS,
    drop_photos,
    parse_name,
    parse_names,
    parse_shapes,
    pick_layer,
    pick_layers,
    shows_one_of_each,
)


def test_name_of_the_data_sets_readme_is_taken_apart():
    assert parse_name("WOMEN-Blouses_Shirts-id_00000001-02_1_front") == {
        "gender": "WOMEN",
        "type": "Blouses_Shirts",
        "id": "00000001",
        "n1": "02",
        "n2": "1",
        "pos": "front",
    }


@pytest.mark.parametrize("position", ["front", "side", "back", "full", "additional", "flat"])
def test_every_position_is_parsed(position):
    assert len(POSITIONS) == 6
    assert parse_name(f"MEN-Denim-id_00000080-01_7_{position}")["pos"] == position


@pytest.mark.parametrize(
    "name",
    [
        "KIDS-Denim-id_00000080-01_7_front",  # gender
        "MEN--id_00000080-01_7_front",  # no type
        "MEN-Denim-id_0000080-01_7_front",  # seven digits
        "MEN-Denim-id_00000080-01_front",  # no n2
        "MEN-Denim-id_00000080-01_7_top",  # position
        "MEN-Denim-id_00000080-01_7_front.jpg",  # a file name, not its stem
        "MEN-Denim-id_00000080-01_7_front\n",
        "men-Denim-id_00000080-01_7_front",
        "",
    ],
)
def test_other_names_are_not_parsed(name):
    assert parse_name(name) is None


def test_keys_of_person_item_and_photo():
    row = parse_names(pd.Series(["WOMEN-Blouses_Shirts-id_00000001-02_1_front"])).iloc[0]
    assert row["person"] == "WOMEN-id_00000001"
    assert row["instance"] == "WOMEN-Blouses_Shirts-id_00000001"
    assert row["photo"] == "WOMEN-id_00000001-02_1"


def test_bad_name_gives_a_row_of_nulls():
    rows = parse_names(pd.Series(["nonsense", "MEN-Pants-id_00000002-01_1_back"]))
    assert rows.loc[0].isna().all()
    assert rows.loc[1].notna().all()


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


@pytest.mark.parametrize(
    ("layer", "clear", "upper", "lower", "outer", "value", "outcome"),
    [
        ("lower", False, "cotton", "denim", "leather", "denim", "lower"),
        ("lower", True, "cotton", None, "leather", None, "lower"),
        ("outer", True, "cotton", "denim", "leather", "leather", "clear"),
        ("upper", True, "cotton", "denim", "leather", "cotton", "clear"),
        ("upper", True, None, "denim", "leather", None, "clear"),  # the other garment's label is not its own
        ("upper", False, "cotton", None, None, "cotton", "one_missing"),
        ("upper", False, None, None, "leather", "leather", "one_missing"),
        ("outer", False, "cotton", None, None, "cotton", "one_missing"),
        ("outer", False, None, "denim", None, None, "both_missing"),
        ("upper", False, "cotton", None, "cotton", "cotton", "equal"),
        ("upper", False, "cotton", None, "leather", None, "dropped"),
        ("outer", False, "cotton", None, "leather", None, "dropped"),
    ],
)
def test_label_of_each_branch(layer, clear, upper, lower, outer, value, outcome):
    assert pick_layer(layer, clear, upper, lower, outer) == (value, outcome)
    assert outcome in OUTCOMES


@pytest.mark.parametrize(
    ("shown", "clear"),
    [
        ([("Jackets_Coats", "outer"), ("Tees_Tanks", "upper")], True),
        ([("Jackets_Coats", "outer"), ("Tees_Tanks", "upper"), ("Pants", "lower")], True),
        ([("Jackets_Coats", "outer"), ("Jackets_Coats", "outer"), ("Tees_Tanks", "upper")], True),  # one type twice
        ([("Tees_Tanks", "upper"), ("Pants", "lower")], False),
        ([("Jackets_Coats", "outer"), ("Pants", "lower")], False),
        ([("Jackets_Coats", "outer"), ("Cardigans", "outer"), ("Tees_Tanks", "upper")], False),
        ([("Jackets_Coats", "outer"), ("Sweaters", "upper"), ("Tees_Tanks", "upper")], False),
        ([("Pants", "lower")], False),
    ],
)
def test_photo_is_clear_with_exactly_one_outer_and_one_upper_type(shown, clear):
    types, layers = zip(*shown, strict=True)
    photos = pd.Series(["photo"] * len(shown))
    assert set(shows_one_of_each(photos, pd.Series(types), pd.Series(layers))) == {clear}


def test_photos_do_not_mix():
    photos = pd.Series(["a", "b", "c", "c"])
    types = pd.Series(["Cardigans", "Dresses", "Cardigans", "Dresses"])
    layers = pd.Series(["outer", "upper", "outer", "upper"])
    assert list(shows_one_of_each(photos, types, layers)) == [False, False, True, True]


def test_columns_are_picked_row_by_row():
    labels = pd.DataFrame({"upper": ["cotton", None], "lower": ["denim", None], "outer": [None, None]}, dtype="str")
    picked = pick_layers(pd.Series(["lower", "upper"]), pd.Series([False, False]), labels)
    assert list(picked["outcome"]) == ["lower", "both_missing"]
    assert picked["value"][0] == "denim"
    assert pd.isna(picked["value"][1])


def test_undecided_item_drops_every_item_of_its_photo_and_no_other():
    photos = pd.Series(["a", "a", "b", "c"])
    fabric = pd.Series(["dropped", "lower", "lower", "equal"])
    pattern = pd.Series(["equal", "lower", "lower", "dropped"])
    assert list(drop_photos(photos, fabric, pattern)) == [True, True, False, True]
    assert list(drop_photos(photos, fabric)) == [True, True, False, False]


HIGHEST = "5 4 3 2 4 2 2 2 4 6 2 2"


def test_codes_get_their_attributes_and_missing_rows_are_left_out():
    shapes = parse_shapes(pd.Series(["3 1 0 1 2 0 1 0 1 4 0 1", None], index=["a", "b"]))
    assert list(shapes.index) == ["a"]
    row = shapes.loc["a"]
    assert (row["sleeve"], row["hat"], row["glasses"], row["neckline"], row["outer_is_cardigan"]) == (3, 1, 2, 4, 0)


def test_highest_codes_of_upstreams_readme_are_accepted():
    assert len(parse_shapes(pd.Series([HIGHEST]))) == 1


def test_no_annotation_at_all_is_an_empty_table():
    assert parse_shapes(pd.Series([None, None], dtype="str")).empty


def test_gapped_neckline_numbering_is_refused():
    with pytest.raises(StageError, match=r"neckline 7 \(at most 6\)"):
        parse_shapes(pd.Series([HIGHEST, "0 0 0 0 0 0 0 0 0 7 0 0"]))


@pytest.mark.parametrize("cell", ["1 2 3", "0 0 0 0 0 0 0 0 0 0 0 x", ""])
def test_row_without_twelve_numbers_is_refused_with_its_item(cell):
    with pytest.raises(StageError, match="item photo-7.*expected 12 numbers"):
        parse_shapes(pd.Series([cell], index=["photo-7"]))
