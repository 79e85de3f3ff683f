"""The five demo sources: upstream's trees and formats, and the same bytes every time."""

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from defusedxml.ElementTree import parse
from PIL import Image, UnidentifiedImageError

from stages.core.errors import StageError
from stages.demo import deepfashion2, deepfashion_mm, fashion_products, headwear, shoes
from stages.demo.palette import BASE_COLOURS

SMALL: dict[str, tuple[Any, Any]] = {
    "deepfashion2": (
        deepfashion2,
        deepfashion2.DeepFashion2Demo(
            seed=1, train=40, validation=6, width=96, height=128, images_per_pair=2, flat_percent=60, defects=2
        ),
    ),
    "headwear": (headwear, headwear.HeadwearDemo(seed=2, images=20, width=96, height=96, flat_percent=40, defects=2)),
    "shoes": (
        shoes,
        shoes.ShoesDemo(
            seed=3,
            images=24,
            width=96,
            height=96,
            flat_percent=50,
            validation_percent=25,
            reversed_boxes=3,
            negative_boxes=2,
        ),
    ),
    "fashion_products": (
        fashion_products,
        fashion_products.FashionProductsDemo(
            seed=4,
            types={"Tshirts": 6, "Jeans": 4, "Dresses": 4, "Heels": 3, "Caps": 3},
            others=4,
            width=72,
            height=96,
            worn_percent=40,
            usages={"Casual": 1, "Sports": 1},
            other_genders=2,
            odd_labels=3,
            comma_names=1,
            missing_images=2,
        ),
    ),
    "deepfashion_mm": (
        deepfashion_mm,
        deepfashion_mm.DeepFashionMMDemo(
            seed=5,
            people=6,
            second_outfit_percent=60,
            dress_percent=34,
            outer_percent=50,
            width=75,
            height=110,
            unlabelled=2,
        ),
    ),
}


def draw(source: str, out: Path) -> Path:
    module, params = SMALL[source]
    module.main(SimpleNamespace(out=out), SimpleNamespace(demo=params))
    return out


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("demo")
    return {source: draw(source, root / source) for source in SMALL}


@pytest.mark.parametrize("source", SMALL)
def test_same_params_give_the_same_bytes(source: str, trees: dict[str, Path], tmp_path: Path) -> None:
    again = draw(source, tmp_path / source)
    first = {path.relative_to(trees[source]): path.read_bytes() for path in trees[source].rglob("*") if path.is_file()}
    second = {path.relative_to(again): path.read_bytes() for path in again.rglob("*") if path.is_file()}
    assert first == second and len(first) > 20


def test_deepfashion2_annotations_have_upstreams_keys(trees: dict[str, Path]) -> None:
    root = trees["deepfashion2"]
    names = {
        split: sorted(path.stem for path in (root / split / "annos").iterdir()) for split in ("train", "validation")
    }
    assert len(names["train"]) == 40 and names["validation"] == names["train"][:6]  # names repeat across splits
    landmarks = {1: 25, 2: 33, 3: 31, 4: 39, 5: 15, 6: 15, 7: 10, 8: 14, 9: 8, 10: 29, 11: 37, 12: 19, 13: 19}
    sources: dict[int, set[str]] = {}
    for path in sorted((root / "train" / "annos").iterdir()):
        annotation = json.loads(path.read_text())
        assert Image.open(root / "train" / "image" / f"{path.stem}.jpg").size == (96, 128)
        sources.setdefault(annotation["pair_id"], set()).add(annotation["source"])
        items = [value for key, value in annotation.items() if key.startswith("item")]
        assert items
        for item in items:
            assert set(item) == {
                "segmentation", "scale", "viewpoint", "zoom_in", "landmarks", "style", "bounding_box", "category_id",
                "occlusion", "category_name",
            }  # fmt: skip
            assert len(item["landmarks"]) == 3 * landmarks[item["category_id"]]
            assert all(isinstance(value, int) for value in item["bounding_box"])
            assert all(len(polygon) % 2 == 0 and len(polygon) >= 6 for polygon in item["segmentation"])
            assert item["style"] > 0
    assert set.union(*sources.values()) == {"shop", "user"}
    assert all(found == {"shop", "user"} for found in sources.values())


def test_deepfashion2_defects_cross_the_border_or_lack_landmarks(trees: dict[str, Path]) -> None:
    crossing = [
        path.stem
        for path in (trees["deepfashion2"] / "train" / "annos").iterdir()
        if json.loads(path.read_text())["item1"]["bounding_box"][2] > 96
    ]
    assert crossing == ["000037"]


def test_headwear_is_voc_with_its_defects(trees: dict[str, Path]) -> None:
    root = trees["headwear"]
    sizes, extensions, reversed_boxes, formats, broken = 0, 0, 0, [], 0
    for path in sorted((root / "annotations").glob("*.xml")):
        tree = parse(path).getroot()
        assert {node.findtext("name") for node in tree.findall("object")} == {"cap"}
        sizes += tree.findtext("size/width") == "0"
        extensions += tree.findtext("filename") != f"{path.stem}.jpg"
        box = [int(tree.findtext(f"object/bndbox/{key}")) for key in ("xmin", "ymin", "xmax", "ymax")]
        reversed_boxes += box[2] < box[0]
        try:
            with Image.open(root / "images" / f"{path.stem}.jpg") as image:
                formats.append(image.format)
                image.load()
        except (OSError, UnidentifiedImageError):
            broken += 1
    assert (sizes, extensions, reversed_boxes, formats.count("PNG"), broken) == (2, 2, 1, 2, 1)
    contents = [path.read_bytes() for path in (root / "images").iterdir()]
    assert len(contents) - len(set(contents)) == 1


def test_shoes_have_one_json_of_boxes_per_class(trees: dict[str, Path]) -> None:
    root, reversed_boxes, negative = trees["shoes"], 0, 0
    classes = ["boots", "flip_flops", "loafers", "sandals", "sneakers", "soccer_shoes"]
    assert sorted(path.name for path in root.glob("*.json")) == [f"annotations_{name}.json" for name in classes]
    for name in classes:
        boxes = json.loads((root / f"annotations_{name}.json").read_text())
        images = sorted(path.name for split in ("training", "validation") for path in (root / split / name).iterdir())
        assert images == sorted(boxes)
        assert len(list((root / "validation" / name).iterdir())) == 1
        for x1, y1, x2, y2 in (box for found in boxes.values() for box in found):
            reversed_boxes += x2 < x1 and y2 < y1
            negative += x1 < 0
    assert (reversed_boxes, negative) == (3, 2)


def test_fashion_products_csv_has_upstreams_header_and_defects(trees: dict[str, Path]) -> None:
    root = trees["fashion_products"]
    lines = (root / "styles.csv").read_text().splitlines()
    assert (
        lines[0] == "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,productDisplayName"
    )
    rows = [line.split(",") for line in lines[1:]]
    assert len(rows) == 24 and len({row[0] for row in rows}) == 24
    assert sum(len(row) > 10 for row in rows) == 1
    assert sum(not (root / "images" / f"{row[0]}.jpg").exists() for row in rows) == 2
    assert all(row[5] in BASE_COLOURS or row[5] == "NA" for row in rows)
    assert sum(row[3] in ("Bags", "Watches") for row in rows) == 4
    assert any(re.fullmatch(r"\d{4}\.0", row[7]) for row in rows)


def test_fashion_products_refuses_a_type_it_cannot_draw(tmp_path: Path) -> None:
    params = SMALL["fashion_products"][1].model_copy(update={"types": {"Tshirt": 3}})
    with pytest.raises(StageError, match="Tshirt"):
        fashion_products.main(SimpleNamespace(out=tmp_path / "out"), SimpleNamespace(demo=params))


def test_deepfashion_mm_names_and_label_files(trees: dict[str, Path]) -> None:
    root = trees["deepfashion_mm"]
    images = sorted(path.name for path in (root / "images").iterdir())
    pattern = re.compile(r"(MEN|WOMEN)-([A-Za-z_]+)-(id_\d{8})-(\d{2})_(\d)_(front|side|back|full|flat)\.jpg")
    parsed = [pattern.fullmatch(name) for name in images]
    assert all(parsed)
    for file, values in (
        ("shape/shape_anno_all.txt", 12),
        ("texture/fabric_ann.txt", 3),
        ("texture/pattern_ann.txt", 3),
    ):
        lines = [line.split(" ") for line in (root / "labels" / file).read_text().splitlines()]
        assert len(lines) == len(images) - 2 and {line[0] for line in lines} <= set(images)
        assert all(len(line) == 1 + values for line in lines)
    photos: dict[str, set[bytes]] = {}
    for name, match in zip(images, parsed, strict=True):
        photos.setdefault(f"{match[3]}-{match[4]}_{match[5]}", set()).add((root / "images" / name).read_bytes())
    assert all(len(contents) == 1 for contents in photos.values())  # one photo under several names
    flat = {(m[3], m[4], m[2]) for m in parsed if m[6] == "flat"}
    worn = {(m[3], m[4], m[2]) for m in parsed if m[6] == "front"}
    assert worn <= flat


def test_deepfashion_mm_gives_a_type_to_one_outfit_of_a_person_only(trees: dict[str, Path]) -> None:
    """Same person and type is the same item for retrieval, so two outfits must not share a type."""
    outfits: dict[tuple[str, str], set[str]] = {}
    for path in (trees["deepfashion_mm"] / "images").iterdir():
        _, name, rest = path.stem.split("-", 2)
        person, turn = rest.split("-")
        outfits.setdefault((person, name), set()).add(turn.split("_")[0])
    assert all(len(found) == 1 for found in outfits.values())
