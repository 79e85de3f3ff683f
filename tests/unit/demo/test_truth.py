"""The ground truth: complete, well-formed, and what the annotations say where they are not meant to be wrong."""

from pathlib import Path

import pytest
from PIL import Image, ImageOps
from places import TABLES

from stages.contracts.tables import read_table
from stages.demo.drawing.garments import FABRICS, GARMENT_KINDS, PATTERNS
from stages.demo.drawing.palette import NAMED_COLORS
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
