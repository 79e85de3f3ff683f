"""The upper/lower/outer policy, each branch worked by hand."""

import pandas as pd
import pytest

from stages.labels.deepfashion_mm import OUTCOMES, drop_photos, pick_layer, pick_layers, shows_one_of_each


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
