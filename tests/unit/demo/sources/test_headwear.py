"""The drawn headwear: the defects of its annotations and images."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest
from defusedxml.common import EntitiesForbidden
from defusedxml.ElementTree import parse
from PIL import Image, ImageOps

CORNERS = ("x1", "y1", "x2", "y2")


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
