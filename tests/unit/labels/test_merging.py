"""Merging by the tables: hand-worked values of docs/methods.md."""

from pathlib import Path

import pandas as pd
import pytest
from places import TABLES

from stages.core.errors import StageError
from stages.labels.merging import (
    decode,
    merge_groups,
    read_label_tables,
    read_merge_table,
    split_names,
    unknown_names,
)


def column(*values):
    return pd.Series(values, dtype="str")


def listed(values: pd.Series) -> list:
    return [None if pd.isna(value) else value for value in values]


def test_colors_merge_into_thirteen(tables):
    published = {
        "Blue": ["Blue", "Navy Blue", "Turquoise Blue", "Teal"],
        "Green": ["Green", "Lime Green", "Fluorescent Green", "Sea Green", "Olive"],
        "Grey": ["Grey", "Charcoal", "Grey Melange", "Steel", "Metallic"],
        "Light": ["Off White", "Cream", "Nude", "Skin"],
        "Brown": ["Brown", "Beige", "Tan", "Taupe", "Mushroom Brown"],
        "Red": ["Red", "Maroon", "Burgundy"],
        "Pink": ["Pink", "Peach", "Rose", "Magenta"],
        "Purple": ["Purple", "Lavender", "Mauve"],
        "Yellow": ["Yellow", "Mustard", "Gold", "Khaki"],
        "Orange": ["Orange", "Rust"],
        "Black": ["Black"],
        "White": ["White"],
        "Multi": ["Multi"],
    }
    assert len(published) == 13
    for merged, names in published.items():
        assert set(tables.merged("color", column(*names))) == {merged}


def test_colors_outside_the_published_table_are_unknown_and_counted_by_name(tables):
    colors = column("Silver", "Silver", "NA", "Ultraviolet", "", None, "Teal")
    merged = tables.merged("color", colors)
    assert listed(merged) == [None] * 6 + ["Blue"]
    assert unknown_names(colors, merged) == {"Silver": 2, "NA": 1, "Ultraviolet": 1, "(empty)": 2}


def test_usage_keeps_four_classes(tables):
    usage = column("Casual", "Ethnic", "Formal", "Sports", "NA", "Smart Casual", "Party", "Travel", "Home", "")
    assert listed(tables.merged("usage", usage)) == ["Casual", "Ethnic", "Formal", "Sports"] + [None] * 6


def test_gender_keeps_men_and_women(tables):
    gender = column("Men", "Women", "Unisex", "Boys", "Girls", "men")
    assert listed(tables.merged("gender", gender)) == ["Men", "Women", None, None, None, None]


def test_subcategories_merge_into_five_groups(tables):
    names = column("Topwear", "Shoes", "Sandal", "Flip Flops", "Socks", "Bottomwear", "Dress", "Headwear", "Bags")
    assert listed(merge_groups(names, tables.subcategories)) == [
        "Topwear", "Footwear", "Footwear", "Footwear", "Footwear", "Bottomwear", "Dress", "Headwear", None,
    ]  # fmt: skip


def test_subcategory_outside_the_table_stops_the_stage_and_is_named(tables):
    with pytest.raises(StageError, match=r"subCategory Spacesuits is not in tables/subcategories\.csv.*Add a line"):
        merge_groups(column("Topwear", "Spacesuits"), tables.subcategories)


def test_article_types_merge_into_clothing_types(tables):
    names = column("Tshirts", "Rain Jacket", "Waistcoat", "Stockings", "Patiala", "Hat", "Shrug", "Capes", "")
    assert listed(tables.merged("type", names)) == [
        "T-Shirts", "Jackets", "Blazers", "Leggings", "Salwars", "Caps", "Cardigans", None, None,
    ]  # fmt: skip
    assert len(tables.types) == 32


def test_fabric_and_pattern_codes_get_upstreams_names(tables):
    codes = column("0", "1", "2", "3", "4", "5", "6", "7", None)
    assert listed(decode(codes, tables.targets("fabric"), "fabric")) == [
        "denim", "cotton", "leather", "furry", "knitted", "chiffon", "other", None, None,
    ]  # fmt: skip
    assert listed(decode(codes, tables.targets("pattern"), "pattern")) == [
        "floral", "graphic", "striped", "pure color", "lattice", "other", "color block", None, None,
    ]  # fmt: skip


def test_unknown_code_stops_the_stage_and_is_named(tables):
    with pytest.raises(StageError, match="fabric_upper has the code 8; expected one of: 0, 1, 2, 3, 4, 5, 6, 7"):
        decode(column("1", "8", None), tables.targets("fabric"), "fabric_upper")


def test_types_table_and_deepfashion_table_name_the_same_merges(tables):
    one_way = dict(zip(tables.deepfashion_types["type"], tables.deepfashion_types["merged_type"], strict=True))
    rows = zip(tables.types["type"], tables.types["deepfashion"], strict=True)
    assert one_way == {upstream: name for name, cell in rows for upstream in split_names(cell)}


def copy_tables(folder: Path) -> Path:
    for path in TABLES.glob("*.csv"):
        (folder / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("deepfashion_types.csv", "Denim,lower,Jeans", "Denim,lower,Jeanz", "merged_type Jeanz is not known"),
        ("deepfashion_types.csv", "Denim,lower", "Denim,below", "layer below is not known"),
        ("deepfashion_types.csv", "Jeans,bottom", "Jeans,botom", "agreeing_detections botom is not known"),
        ("deepfashion_types.csv", "Jeans,bottom", "Jeans,", "Denim has no agreeing_detections"),
        ("subcategories.csv", "Shoes,Footwear", "Shoes,Footware", "group Footware is not known"),
        ("types.csv", "Jeans,Denim", "Jeans|Shirts,Denim", "fashion_products Shirts belongs to two classes"),
        ("usage.csv", "usage,merged", "usage,target", "column merged is missing"),
        ("colors.csv", "Teal,Blue", "Black,Blue", "baseColour Black occurs more than once"),
    ],
)
def test_typo_in_a_merge_table_is_one_message_with_file_and_name(tmp_path, file, old, new, message):
    path = copy_tables(tmp_path) / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(StageError, match=message) as error:
        read_label_tables(tmp_path)
    assert str(path) in str(error.value)


def test_missing_merge_table_is_named(tmp_path):
    with pytest.raises(StageError, match=r"colors\.csv: no such file"):
        read_merge_table(tmp_path / "colors.csv", ["baseColour", "color"])


@pytest.mark.parametrize(
    ("delimiter", "encoding"), [(";", "utf-8-sig"), (";", "cp1252"), ("\t", "utf-16"), (",", "utf-8")]
)
def test_a_table_saved_from_excel_is_read_in_any_usual_form(tmp_path, delimiter, encoding):
    rows = [("label", "superclass", "count"), ("M\xfctze", "headwear", "3"), ("Kleid", "dress", "4"), ("NA", "", "1")]
    text = "".join(delimiter.join(row) + "\r\n" for row in rows)
    (tmp_path / "mine.csv").write_bytes(text.encode(encoding))
    table = read_merge_table(tmp_path / "mine.csv", ["label", "superclass"])
    assert list(zip(table["label"], table["superclass"], strict=True)) == [
        ("M\xfctze", "headwear"), ("Kleid", "dress"), ("NA", "")
    ]  # fmt: skip
