"""Every defect of the originals is there, as often as the params ask for it."""

import io
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import pytest
from defusedxml.common import EntitiesForbidden
from defusedxml.ElementTree import parse
from PIL import Image, ImageOps

from profiles import composed

CORNERS = ("x1", "y1", "x2", "y2")


def annotations(drawn: Path, split: str) -> dict[str, dict[str, Any]]:
    paths = sorted((drawn / "deepfashion2" / split / "annos").iterdir())
    return {path.stem: json.loads(path.read_text()) for path in paths}


def items(annotation: dict[str, Any]) -> list[dict[str, Any]]:
    return [value for key, value in annotation.items() if key.startswith("item")]


def test_deepfashion2_names_repeat_across_splits_and_test_has_no_annotations(drawn: Path) -> None:
    root = drawn / "deepfashion2"
    names = {
        split: sorted(path.stem for path in (root / split / "image").iterdir()) for split in ("train", "validation")
    }
    assert names["validation"] == names["train"][:6]
    assert len(list((root / "test" / "image").iterdir())) == 3
    assert not (root / "test" / "annos").exists()


def test_deepfashion2_boxes_cross_the_border_only_where_the_garment_is_cut_off(drawn: Path, truth) -> None:
    true = {row["item"]: [row[corner] for corner in CORNERS] for row in truth("deepfashion2")}
    crossing = 0
    for split in ("train", "validation"):
        for stem, annotation in annotations(drawn, split).items():
            for key, item in annotation.items():
                if key.startswith("item"):
                    box = item["bounding_box"]
                    inside = [max(0, box[0]), max(0, box[1]), min(96, box[2]), min(128, box[3])]
                    crossing += inside != box
                    assert inside == true[f"{split}-{stem}:{key}"]  # all others are the true ones
    assert crossing == 2


def test_deepfashion2_items_without_landmarks(drawn: Path) -> None:
    found = annotations(drawn, "train").values()
    assert sum(not any(item["landmarks"]) for annotation in found for item in items(annotation)) == 2
    some = [item for annotation in found for item in items(annotation) if any(item["landmarks"])]
    assert any(item["landmarks"][i : i + 3] == [0, 0, 0] for item in some for i in range(0, len(item["landmarks"]), 3))


def test_deepfashion2_keys_in_mixed_order(drawn: Path) -> None:
    found = [list(annotation) for annotation in annotations(drawn, "train").values()]
    plain = [["source", "pair_id", *[f"item{n + 1}" for n in range(len(keys) - 2)]] for keys in found]
    assert sum(keys != order for keys, order in zip(found, plain, strict=True)) == 5
    assert [set(keys) for keys in found] == [set(order) for order in plain]


def caps(drawn: Path) -> Iterator[tuple[str, Element]]:
    for path in sorted((drawn / "headwear" / "annotations").glob("*.xml")):
        try:
            yield path.stem, parse(path).getroot()
        except EntitiesForbidden:
            continue


def test_headwear_annotations_have_their_defects(drawn: Path, truth) -> None:
    true = {row["item"]: [row[corner] for corner in CORNERS] for row in truth("headwear")}
    files = {path.stem: path for path in (drawn / "headwear" / "images").iterdir()}
    found: Counter = Counter()
    for stem, tree in caps(drawn):
        assert {node.findtext("name") for node in tree.findall("object")} == {"cap"}
        found["zero size"] += (tree.findtext("size/width"), tree.findtext("size/height")) == ("0", "0")
        found["wrong extension"] += tree.findtext("filename") != files[stem].name
        found["windows path"] += tree.findtext("path", "").startswith("C:\\")
        texts = [tree.findtext(f"object/bndbox/{key}", "") for key in ("xmin", "ymin", "xmax", "ymax")]
        box = [round(float(text)) for text in texts]
        found["float"] += any("." in text for text in texts)
        if box[2] < box[0] and box[3] < box[1]:
            found["reversed"] += 1
            box = [box[2], box[3], box[0], box[1]]
        if f"{stem}:1" in true:  # the corrupt file shows nothing
            assert box == true[f"{stem}:1"]
    assert found == {"zero size": 2, "wrong extension": 2, "windows path": 4, "float": 2, "reversed": 1}


def test_headwear_hostile_xml_is_refused_by_a_careful_parser(drawn: Path, truth) -> None:
    hostile = {path.stem for path in (drawn / "headwear" / "annotations").iterdir()} - {stem for stem, _ in caps(drawn)}
    assert len(hostile) == 1
    path = drawn / "headwear" / "annotations" / f"{hostile.pop()}.xml"
    with pytest.raises(EntitiesForbidden):
        parse(path)
    rows = [row for row in truth("headwear") if row["image_id"] == path.stem]
    assert rows and all(row["item"] is None for row in rows)  # there to see, annotated by nothing


def test_headwear_images_have_their_defects(drawn: Path, truth) -> None:
    found: Counter = Counter()
    contents = []
    for path in sorted((drawn / "headwear" / "images").iterdir()):
        contents.append(path.read_bytes())
        try:
            with Image.open(path) as image:
                image.load()
        except OSError:
            found["corrupt"] += 1
            assert all(row["image_id"] != path.stem for row in truth("headwear"))
            continue
        found[f"{image.format} named {path.suffix}"] += 1
        found[image.mode] += 1
        if image.getexif().get(0x0112, 1) != 1:
            found["turned"] += 1
            upright = ImageOps.exif_transpose(image)
            row = next(row for row in truth("headwear") if row["image_id"] == path.stem)
            assert (row["width"], row["height"]) == upright.size == image.size[::-1]
    total = 30
    assert found == {
        "corrupt": 1, "turned": 1, "PNG named .jpg": 2, "JPEG named .png": 2, "PNG named .png": 1,
        "JPEG named .jpg": total - 6, "RGBA": 1, "L": 2, "RGB": total - 4,
    }  # fmt: skip
    assert len(contents) - len(set(contents)) == 1


@pytest.mark.parametrize(("name", "count"), [("headwear", 2), ("fashion_products", 2)])
def test_near_duplicates_show_the_same_garment_a_little_brighter(name: str, count: int, drawn: Path, truth) -> None:
    shown: dict[str, list[str]] = {}
    for row in truth(name):
        if row["item"]:
            shown.setdefault(row["instance"], []).append(row["image_id"])
    near = 0
    for first, *others in shown.values():
        for other in others:
            one, two = (next((drawn / name / "images").glob(f"{stem}.*")).read_bytes() for stem in (first, other))
            if one != two:
                near += 1
                levels = [
                    sum(Image.open(io.BytesIO(data)).convert("L").resize((1, 1)).getdata()) for data in (one, two)
                ]
                assert 0 <= abs(levels[0] - levels[1]) <= 3
    assert near == count


def test_shoe_boxes_have_their_defects(drawn: Path, truth) -> None:
    true = {row["item"]: [row[corner] for corner in CORNERS] for row in truth("shoes")}
    found: Counter = Counter()
    for path in (drawn / "shoes").glob("annotations_*.json"):
        shoe, boxes = path.stem.removeprefix("annotations_"), json.loads(path.read_text())
        images = {
            file.name: file
            for split in ("training", "validation")
            for file in (drawn / "shoes" / split / shoe).iterdir()
        }
        found["image without entry"] += len(set(images) - set(boxes))
        found["entry without image"] += len(set(boxes) - set(images))
        for name in set(images) & set(boxes):
            box, file = boxes[name][0], images[name]
            right = true[f"{shoe}-{file.parent.parent.name}-{file.stem}:1"]
            if Image.open(file).size == (192, 192):
                found["display scaled"] += 1
                assert all(abs(2 * shown - value) <= 1 for shown, value in zip(box, right, strict=True))
            elif box[2] < box[0]:
                found["reversed"] += 1
                assert [box[2], box[3], box[0], box[1]] == right
            elif box[0] < 0:
                found["negative"] += 1
                assert [0, *box[1:]] == right  # only where the image cuts the shoes off: clipping repairs it
            else:
                assert box == right
    assert found == {
        "reversed": 3, "negative": 2, "display scaled": 2, "image without entry": 1, "entry without image": 1,
    }  # fmt: skip


def test_fashion_products_rows_have_their_defects(drawn: Path) -> None:
    content = (drawn / "fashion_products" / "styles.csv").read_bytes()
    assert content.count(b"\r\n") == content.count(b"\n") == 27
    rows = [line.split(",") for line in content.decode().splitlines()[1:]]
    images = {path.stem for path in (drawn / "fashion_products" / "images").iterdir()}
    assert sum(len(row) > 10 for row in rows) == 1
    assert sum(row[0] not in images for row in rows) == 2
    assert 5 <= sum(row[7].endswith(".0") for row in rows) <= 7  # near duplicates repeat their row
    assert sum(row[1] not in ("Men", "Women") for row in rows if row[3] not in ("Bags", "Watches")) == 2
    assert sum(row[8] == "NA" or row[5] in ("NA", "Silver") for row in rows) == 3


def test_wrong_labels_are_at_most_half_a_percent_of_all() -> None:
    demo = composed("demo")["demo"]["fashion_products"]
    labels = 4 * sum(demo["types"].values())  # gender, type, usage and color of each product
    assert demo["wrong_labels"] <= 0.005 * labels


def label_lines(drawn: Path, file: str) -> dict[str, list[str]]:
    lines = (drawn / "deepfashion_mm" / "labels" / file).read_text().splitlines()
    return {line.split()[0].removesuffix(".jpg"): line.split()[1:] for line in lines}


def test_deepfashion_mm_files_have_their_defects(drawn: Path) -> None:
    stems = {path.stem for path in (drawn / "deepfashion_mm" / "images").iterdir()}
    for file in ("shape/shape_anno_all.txt", "texture/fabric_ann.txt", "texture/pattern_ann.txt"):
        labelled = set(label_lines(drawn, file))
        assert (len(stems - labelled), len(labelled - stems)) == (2, 2)
    assert sum(len(stem.split("-id_")[1].split("-")[0]) != 8 for stem in stems) == 1
    assert len({stem.split("-id_")[1] for stem in stems if stem.endswith("_additional")}) == 4


LAYERS = {"top": "upper", "vest": "upper", "dress": "upper", "bottom": "lower", "outwear": "outer"}


def layers_by_photo(drawn: Path, truth) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """Photo of a well-formed, labelled worn file -> layers that have a file, and layers that its label line names."""
    fabrics = label_lines(drawn, "texture/fabric_ann.txt")
    files: dict[str, set[str]] = {}
    lines: dict[str, set[str]] = {}
    for row in truth("deepfashion_mm"):
        stem = row["image_id"]
        photo = stem.split("-id_")[1]
        if row["item"] and row["worn"] and stem in fabrics and len(photo.split("-")[0]) == 8:
            files.setdefault(photo, set()).add(LAYERS[row["superclass"]])
            names = zip(("upper", "lower", "outer"), fabrics[stem], strict=True)
            lines[photo] = {name for name, code in names if code != "7"}
    return files, lines


def test_deepfashion_mm_leaves_out_labels_of_garments_that_are_shown(drawn: Path, truth) -> None:
    files, lines = layers_by_photo(drawn, truth)
    assert sum(bool(files[photo] - lines[photo]) for photo in files) == 3


def test_deepfashion_mm_loses_one_file_of_photos_with_two_layers(drawn: Path, truth) -> None:
    files, lines = layers_by_photo(drawn, truth)
    layered = [photo for photo in files if {"upper", "outer"} <= lines[photo]]
    assert sum(len(files[photo] & {"upper", "outer"}) == 1 for photo in layered) == 2
    assert sum(len(files[photo] & {"upper", "outer"}) == 2 for photo in layered) > 2
