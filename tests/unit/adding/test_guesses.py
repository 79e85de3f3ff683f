"""Superclasses guessed from the words of a label, and columns from what stands in them."""

import pytest
from places import TABLES

from stages.adding.columns import group_columns, image_columns, label_columns
from stages.adding.superclasses import guess, read_synonyms
from stages.core.errors import StageError
from stages.core.table_rows import Rows

SYNONYMS = read_synonyms(TABLES)


@pytest.mark.parametrize(
    ("label", "superclass"),
    [
        ("T-Shirt", "top"), ("Linen shirt", "top"), ("Tees_Tanks", "vest"), ("short sleeve top", "top"),
        ("Chinos", "bottom"), ("Summer dress", "dress"), ("dress shirt", "top"), ("shirt dress", "dress"),
        ("Denim jacket", "outwear"), ("RAINCOATS", "outwear"), ("Dress shoes", "footwear"), ("Flip Flops", "footwear"),
        ("baseball cap", "headwear"), ("Winterjacke", "outwear"), ("Sommerkleid", "dress"), ("jupe plissée", "bottom"),
        ("zapatos", "footwear"), ("Jacken", "outwear"), ("Unterhemden", "top"), ("Mützen", "headwear"), ("Apparel > Topwear > Shirts", "top"),
        ("Gift card", ""), ("Not sure", ""), ("Handbags", ""),
        ("Formal", None), ("", None), ("17", None),
    ],
)  # fmt: skip
def test_the_last_garment_in_a_label_tells_its_superclass(label, superclass):
    assert guess(label, SYNONYMS).superclass == superclass


def test_a_guess_from_a_part_of_the_label_is_told_from_one_of_all_of_it():
    assert guess("T-Shirts", SYNONYMS).sure
    assert not guess("Linen shirt", SYNONYMS).sure
    assert guess("Linen shirt", SYNONYMS).word == "shirt"


@pytest.mark.parametrize("name", ["types.csv", "deepfashion2_classes.csv", "clothing_dataset_labels.csv"])
def test_names_of_the_projects_own_tables_are_guessed_as_they_stand_there(name):
    """The table of synonyms knows most labels of published data sets: at least nine in ten, and few of them wrong."""
    import csv

    groups = {"Topwear": {"top", "outwear", "vest"}, "Bottomwear": {"bottom"}, "Dress": {"dress"},
              "Headwear": {"headwear"}, "Footwear": {"footwear"}}  # fmt: skip
    rows = list(csv.DictReader((TABLES / name).open(encoding="utf-8")))
    column = {"types.csv": "type", "deepfashion2_classes.csv": "category_name"}.get(name, "label")
    right = [
        guess(row[column], SYNONYMS).superclass in groups.get(row.get("group", ""), {row.get("superclass")})
        for row in rows
    ]
    assert sum(right) >= 0.9 * len(rows), [row[column] for row, good in zip(rows, right, strict=True) if not good]


def test_a_table_of_synonyms_with_a_fault_is_one_message(tmp_path):
    (tmp_path / "superclasses.csv").write_text("id,superclass\n0,top\n")
    (tmp_path / "superclass_synonyms.csv").write_text("words,superclass\nshirt,tops\n")
    with pytest.raises(StageError, match=r"line 2: superclass 'tops'; expected one of top, or nothing"):
        read_synonyms(tmp_path)
    (tmp_path / "superclass_synonyms.csv").write_text("words,superclass\nshirt|tee,top\nTee,top\n")
    with pytest.raises(StageError, match=r"line 3: 'Tee' stands there twice"):
        read_synonyms(tmp_path)


def table(**columns):
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return Rows(list(columns), list(enumerate(rows, start=2)), "a test")


SHOP = table(
    sku=[f"a{number // 2}" for number in range(40)],
    photo=[f"p{number}.jpg" for number in range(40)],
    title=[f"Fine shirt number {number}" for number in range(40)],
    productType=["Shirt", "Jeans", "Dress", "Shirt"] * 10,
    colour=["red", "blue", "red", "green"] * 10,
    in_stock=["yes", "no"] * 20,
    price=[str(number % 7) for number in range(40)],
)


def test_the_image_column_is_the_one_whose_values_find_files():
    assert list(image_columns(SHOP, lambda value: value.endswith(".jpg"))) == ["photo"]
    assert image_columns(SHOP, lambda value: value == "p1.jpg") == {}  # one of forty is too few


def test_of_two_columns_that_find_files_the_one_that_is_called_so_comes_first():
    two = table(code=["1", "2"], image=["1", "2"])
    assert list(image_columns(two, lambda value: True)) == ["image", "code"]


def test_the_label_column_holds_garments_or_is_called_so():
    assert label_columns(SHOP, "photo", SYNONYMS) == ["productType"]
    unknown = table(photo=["a", "b", "c", "d"], category=["x", "y", "x", "y"], size=["S", "M", "L", "S"])
    assert label_columns(unknown, "photo", SYNONYMS) == ["category"]


def test_of_two_columns_with_garments_the_finer_one_comes_first():
    both = table(photo=[str(n) for n in range(8)], masterCategory=["Topwear", "Bottomwear"] * 4,
                 articleType=["Shirts", "Jeans", "Tops", "Shorts"] * 2)  # fmt: skip
    assert label_columns(both, "photo", SYNONYMS) == ["articleType", "masterCategory"]


def test_the_group_column_is_called_so_and_has_values_that_rows_share():
    assert group_columns(SHOP, ("photo", "productType")) == ["sku"]
    alone = table(sku=[str(number) for number in range(20)], shop=["one"] * 20)
    assert group_columns(alone, ()) == []
