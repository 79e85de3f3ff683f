"""The drawn Fashion Products: upstream's CSV, its defects, and which labels are wrong."""

from collections import Counter
from pathlib import Path

import pytest
from pydantic import ValidationError

from stages.demo.drawing.palette import NAMED_COLORS
from stages.demo.sources import fashion_products
from stages.demo.sources.fashion_products import ARTICLES, FashionProductsDemo, look_alikes, near_colors
from stages.demo.truth import color_of


def test_fashion_products_rows_have_their_defects(drawn: Path) -> None:
    content = (drawn / "fashion_products" / "styles.csv").read_bytes()
    assert content.count(b"\r\n") == content.count(b"\n") == 32
    rows = [line.split(",") for line in content.decode().splitlines()[1:]]
    images = {path.stem for path in (drawn / "fashion_products" / "images").iterdir()}
    assert sum(len(row) > 10 for row in rows) == 1
    assert sum(row[0] not in images for row in rows) == 2
    assert 5 <= sum(row[7].endswith(".0") for row in rows) <= 7  # near duplicates repeat their row
    assert sum(row[1] not in ("Men", "Women") for row in rows if row[3] not in ("Bags", "Watches")) == 2
    assert sum(row[8] == "NA" or row[5] in ("NA", "Silver") for row in rows) == 3


def test_fashion_products_csv_has_upstreams_header(drawn: Path) -> None:
    lines = (drawn / "fashion_products" / "styles.csv").read_text().splitlines()
    assert (
        lines[0] == "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,productDisplayName"
    )
    rows = [line.split(",") for line in lines[1:]]
    assert len(rows) == 31 and len({row[0] for row in rows}) == 31  # 29 products, 2 of them twice
    assert all(row[5] in NAMED_COLORS or row[5] == "NA" for row in rows)
    assert sum(row[3] in ("Bags", "Watches") for row in rows) == 4


def test_fashion_products_refuses_a_type_it_cannot_draw(counts) -> None:
    plain = counts("fashion_products").model_dump() | {"types": {"Tshirt": 3}}
    with pytest.raises(ValidationError, match="cannot draw Tshirt; known: Blazers"):
        FashionProductsDemo.model_validate(plain)


def test_fashion_products_refuses_commas_in_a_column_that_is_not_there(counts) -> None:
    plain = counts("fashion_products").model_dump() | {"product_names": False}
    with pytest.raises(ValidationError, match="comma_names"):
        FashionProductsDemo.model_validate(plain)


def test_fashion_products_can_lack_the_last_column_and_have_unix_line_ends(redraw, tmp_path: Path) -> None:
    redraw("fashion_products", tmp_path, product_names=False, comma_names=0, crlf=False)
    content = (tmp_path / "fashion_products" / "styles.csv").read_bytes()
    assert b"\r" not in content
    assert {line.count(b",") for line in content.splitlines()} == {8}
    assert content.startswith(b"id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage\n")


# By hand, for the types and colors that the small data set draws.
FP_TYPES = {"Tshirts": "T-Shirts", "Jeans": "Jeans", "Dresses": "Dresses", "Heels": "Heels", "Caps": "Caps"}
FP_TYPES |= {name: name for name in ("Shirts", "Tops", "Kurtas", "Sweaters", "Sweatshirts", "Jackets", "Blazers")}
FP_TYPES |= {name: name for name in ("Trousers", "Shorts", "Track Pants", "Skirts", "Leggings", "Capris", "Flats")}
FP_TYPES |= {name: name for name in ("Casual Shoes", "Sports Shoes", "Formal Shoes", "Sandals")}
REQUIRED = {"seed", "types", "accessories", "width", "height", "worn_percent", "usages"}


def test_fashion_products_labels_are_the_truth_but_for_the_wrong_ones(drawn: Path, truth) -> None:
    true = {row["item"]: row for row in truth("fashion_products") if row["item"]}
    wrong: Counter = Counter()
    for line in (drawn / "fashion_products" / "styles.csv").read_text().splitlines()[1:]:
        item, gender, _, sub, article, color, _, _, usage = line.split(",")[:9]
        if item not in true:
            continue
        row = true[item]
        assert gender in (row["gender"], "Unisex", "Boys", "Girls")
        assert usage in (row["usage"], "NA")
        type_wrong = FP_TYPES[article] != row["type"]
        color_wrong = color not in (row["base_color"], "NA", "Silver")
        if color_wrong:
            assert color_of(color) != row["color"]  # another name of the same color would be right
        assert (type_wrong, color_wrong) == (row["type_swapped"], row["color_swapped"])
        assert not (type_wrong and color_wrong)
        assert sub == ARTICLES[article][1]  # the subcategory goes with the type
        wrong += Counter(type=type_wrong, color=color_wrong)
    assert wrong == {"type": 3, "color": 3}  # 12 % of 25 products


def test_wrong_types_are_those_of_the_same_group() -> None:
    """An annotator takes a shirt for a T-shirt, not for a shoe."""
    sold = ["Tshirts", "Shirts", "Jeans", "Skirts", "Dresses", "Heels", "Sandals", "Sports Shoes", "Caps"]
    assert look_alikes("Shirts", "Men", sold) == ["Tshirts"]
    assert look_alikes("Heels", "Women", sold) == ["Sandals", "Sports Shoes"]
    assert look_alikes("Sandals", "Men", sold) == ["Sports Shoes"]  # no men's heels
    assert look_alikes("Caps", "Men", sold) == look_alikes("Dresses", "Women", sold) == []


def test_wrong_colors_are_near_ones_of_another_class() -> None:
    assert set(near_colors("Black")) >= {"Navy Blue", "Charcoal"}  # (34, 34, 38) beside (28, 38, 88), (66, 68, 74)
    assert not set(near_colors("Black")) & {"Yellow", "White", "Pink", "Black"}
    assert "Maroon" not in near_colors("Red")  # another name of the same class


def test_label_noise_is_three_percent_by_default(counts) -> None:
    demo = FashionProductsDemo(
        **counts("fashion_products").model_dump(include=REQUIRED) | {"types": {"Tshirts": 200, "Tops": 200}}
    )
    defects = Counter(defect for product in fashion_products.jobs(demo) for defect in product.defects)
    assert (defects["wrong_types"], defects["wrong_colors"]) == (12, 12)
    assert defects["odd_labels"] == 11
