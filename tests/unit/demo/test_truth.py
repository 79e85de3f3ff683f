"""The ground truth: complete, well-formed, and what the annotations say where they are not meant to be wrong."""

from collections import Counter
from pathlib import Path

import pytest
from PIL import Image, ImageOps
from places import TABLES

from stages.contracts.tables import read_table
from stages.demo.drawing.garments import FABRICS, GARMENT_KINDS, PATTERNS
from stages.demo.drawing.palette import NAMED_COLORS
from stages.demo.sources import fashion_products
from stages.demo.sources.deepfashion_mm_release import TYPES as MM_TYPES
from stages.demo.sources.fashion_products import ARTICLES, FashionProductsDemo, look_alikes, near_colors
from stages.demo.truth import color_of, type_of
from stages.report.contact_sheet import image_paths

COLORS = {
    "Black", "White", "Blue", "Green", "Grey", "Light", "Brown", "Red", "Pink", "Purple", "Yellow", "Orange", "Multi",
}  # fmt: skip
TYPES = {
    "T-Shirts", "Shirts", "Blouses", "Tops", "Kurtas", "Kurtis", "Tunics", "Sweaters", "Cardigans", "Sweatshirts",
    "Jackets", "Blazers", "Jeans", "Trousers", "Shorts", "Skirts", "Leggings", "Jeggings", "Capris", "Track Pants",
    "Salwars", "Dresses", "Jumpsuits", "Casual Shoes", "Sports Shoes", "Formal Shoes", "Heels", "Flats", "Sandals",
    "Flip Flops", "Socks", "Caps",
}  # fmt: skip
SUPERCLASSES = {"outwear", "bottom", "dress", "top", "vest", "headwear", "footwear"}
COLUMNS = [
    "image_id", "item", "instance", "person", "view", "worn", "kind", "superclass", "gender", "type", "usage",
    "base_color", "color", "type_swapped", "color_swapped", "fabric", "pattern", "x1", "y1", "x2", "y2", "width", "height",
]  # fmt: skip


def test_rows_are_well_formed_and_sorted(source: str, drawn: Path, truth) -> None:
    assert read_table(drawn / "truth" / source / "garments.parquet").column_names == COLUMNS
    rows = truth(source)
    assert [row["image_id"] for row in rows] == sorted(row["image_id"] for row in rows)
    items = [row["item"] for row in rows if row["item"]]
    assert len(items) == len(set(items)) > 10
    for row in rows:
        assert 0 <= row["x1"] < row["x2"] <= row["width"] and 0 <= row["y1"] < row["y2"] <= row["height"]
        assert row["superclass"] in SUPERCLASSES and row["type"] in TYPES and row["color"] in COLORS
        assert row["kind"] in GARMENT_KINDS and row["fabric"] in FABRICS and row["pattern"] in PATTERNS
        assert row["gender"] in ("Men", "Women") and row["usage"] in ("Casual", "Sports", "Ethnic", "Formal")
        assert row["worn"] == (row["view"] != "flat") == (row["person"] is not None)


def test_fabrics_and_patterns_are_spelled_as_in_the_tables() -> None:
    for names, table in ((FABRICS, "fabrics.csv"), (PATTERNS, "patterns.csv")):
        spelled = {line.split(",")[1] for line in (TABLES / table).read_text().splitlines()[1:]}
        assert set(names) <= spelled


def test_an_instance_looks_the_same_in_every_photo(source: str, truth) -> None:
    seen: dict[str, tuple] = {}
    for row in truth(source):
        look = tuple(row[name] for name in ("kind", "gender", "type", "base_color", "fabric", "pattern", "usage"))
        assert seen.setdefault(row["instance"], look) == look


def test_instances_have_several_photos_where_upstream_has_them(truth) -> None:
    for source in ("deepfashion2", "deepfashion_mm"):
        shown: dict[str, set[bool]] = {}
        for row in truth(source):
            shown.setdefault(row["instance"], set()).add(row["worn"])
        assert sum(views == {True, False} for views in shown.values()) > 5


def test_size_is_that_of_the_upright_image(source: str, drawn: Path, truth) -> None:
    rows = {row["image_id"]: (row["width"], row["height"]) for row in truth(source)}
    sizes = {}
    for image_id, path in image_paths(drawn / source, set(rows)).items():
        try:
            with Image.open(path) as image:
                sizes[image_id] = ImageOps.exif_transpose(image).size
        except OSError:  # the corrupt one, if it shows a garment
            rows.pop(image_id)
    assert sizes == rows


def test_every_image_of_garments_has_its_item(drawn: Path, truth) -> None:
    for source, others in (("fashion_products", 4), ("deepfashion_mm", 0)):
        images = {path.stem for path in (drawn / source / "images").iterdir()}
        items = {row["item"] for row in truth(source)} - {None}
        assert items <= images and len(images - items) == others


@pytest.mark.parametrize(
    ("kind", "category", "expected"),
    [
        ("tank", "Tops", "Tops"),
        ("tank", "Tees_Tanks", "T-Shirts"),
        ("shirt", "Blouses_Shirts", "Blouses"),
        ("jeans", "Denim", "Jeans"),
        ("track_pants", "Pants", "Trousers"),
        ("track_pants", "Track Pants", "Track Pants"),
        ("soccer_shoe", None, "Sports Shoes"),
        ("coat", None, "Jackets"),
    ],
)
def test_type_is_upstreams_category_or_else_the_kind(kind: str, category: str | None, expected: str) -> None:
    assert type_of(kind, category) == expected


def test_every_color_name_has_a_color_but_the_four_that_the_merge_leaves_out() -> None:
    assert {name for name in NAMED_COLORS if color_of(name) is None} == {"Silver", "Bronze", "Copper", "Coffee Brown"}
    assert {color_of(name) for name in NAMED_COLORS} - {None} == COLORS


# By hand, for the types and colors that the small data set draws.
FP_TYPES = {"Tshirts": "T-Shirts", "Jeans": "Jeans", "Dresses": "Dresses", "Heels": "Heels", "Caps": "Caps"}
FP_TYPES |= {name: name for name in ("Shirts", "Tops", "Kurtas", "Sweaters", "Sweatshirts", "Jackets", "Blazers")}
FP_TYPES |= {name: name for name in ("Trousers", "Shorts", "Track Pants", "Skirts", "Leggings", "Capris", "Flats")}
FP_TYPES |= {name: name for name in ("Casual Shoes", "Sports Shoes", "Formal Shoes", "Sandals")}
LAYER_OF = {name: row[0] for name, row in MM_TYPES.items()}
REQUIRED = {"seed", "types", "others", "width", "height", "worn_percent", "usages"}


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


def test_deepfashion_mm_types_are_swapped_for_all_files_of_an_item(drawn: Path, truth) -> None:
    named, swapped = {}, {}
    for row in truth("deepfashion_mm"):
        if row["item"]:
            name = row["item"].split("-")[1]
            assert named.setdefault(row["instance"], name) == name
            assert swapped.setdefault(row["instance"], row["type_swapped"]) == row["type_swapped"]
            assert row["type_swapped"] == (name != row["instance"].split("-")[1])
            if row["type_swapped"]:
                assert type_of(row["kind"], name) != row["type"]
                assert LAYER_OF[name] == LAYER_OF[row["instance"].split("-")[1]]
        else:
            assert not row["type_swapped"]
        assert not row["color_swapped"]
    assert sum(swapped.values()) == round(0.08 * len(swapped)) > 1


def test_deepfashion_mm_texture_codes_are_the_truth(drawn: Path, truth) -> None:
    codes = {
        "fabric": ["denim", "cotton", "leather", "furry", "knitted", "chiffon"],
        "pattern": ["floral", "graphic", "striped", "pure color", "lattice", "other", "color block"],
    }
    layer = {"outwear": 2, "bottom": 1}
    for head, names in codes.items():
        text = (drawn / "deepfashion_mm" / "labels" / "texture" / f"{head}_ann.txt").read_text()
        lines = {line.split()[0].removesuffix(".jpg"): line.split()[1:] for line in text.splitlines()}
        for row in truth("deepfashion_mm"):
            if row["item"] in lines:
                code = int(lines[row["item"]][layer.get(row["superclass"], 0)])
                assert code == 7 or names[code] == row[head]


def test_deepfashion_mm_names_are_the_truth(truth) -> None:
    genders = {"MEN": "Men", "WOMEN": "Women"}
    for row in truth("deepfashion_mm"):
        if row["item"]:
            gender, _, rest = row["item"].split("-", 2)
            assert (genders[gender], rest.rsplit("_", 1)[1]) == (row["gender"], row["view"])
