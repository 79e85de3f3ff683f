"""Columns of a table guessed from what stands in them."""

from places import TABLES

from stages.adding.columns import group_columns, image_columns, label_columns
from stages.adding.superclasses import read_synonyms
from stages.core.table_rows import TextTable

SYNONYMS = read_synonyms(TABLES)


def table(**columns):
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return TextTable(list(columns), list(enumerate(rows, start=2)), "a test")


SHOP = table(
    sku=[f"a{number // 2}" for number in range(40)],
    photo=[f"p{number}.jpg" for number in range(40)],
    title=[f"Fine shirt number {number}" for number in range(40)],
    productType=["Shirt", "Jeans", "Dress", "Shirt"] * 10,
    color=["red", "blue", "red", "green"] * 10,
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
    assert label_columns(SHOP, ["photo"], SYNONYMS) == ["productType"]
    unknown = table(photo=["a", "b", "c", "d"], category=["x", "y", "x", "y"], size=["S", "M", "L", "S"])
    assert label_columns(unknown, ["photo"], SYNONYMS) == ["category"]


def test_of_two_columns_with_garments_the_finer_one_comes_first():
    both = table(photo=[str(n) for n in range(8)], masterCategory=["Topwear", "Bottomwear"] * 4,
                 articleType=["Shirts", "Jeans", "Tops", "Shorts"] * 2)  # fmt: skip
    assert label_columns(both, ["photo"], SYNONYMS) == ["articleType", "masterCategory"]


def test_the_group_column_is_called_so_and_has_values_that_rows_share():
    assert group_columns(SHOP, ("photo", "productType")) == ["sku"]
    alone = table(sku=[str(number) for number in range(20)], shop=["one"] * 20)
    assert group_columns(alone, ()) == []
