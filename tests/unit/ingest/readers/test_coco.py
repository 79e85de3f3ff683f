"""COCO JSON: one file, or one for each split."""

import json

import pytest

from stages.contracts.tables import OBJECTS, read_table
from stages.core.errors import StageError

CATEGORIES = [{"id": 3, "name": "shirt"}, {"id": 7, "name": "hat"}]


def coco(names, boxes, **changes):
    """A COCO JSON of images 64 x 48: (image's number, category, bbox) a box."""
    images = [{"id": number, "file_name": name, "width": 64, "height": 48} for number, name in enumerate(names)]
    annotations = [
        {"id": 100 + number, "image_id": image, "category_id": category, "bbox": bbox, "iscrowd": 0}
        for number, (image, category, bbox) in enumerate(boxes)
    ]
    return {"images": images, "annotations": annotations, "categories": CATEGORIES} | changes


@pytest.fixture
def draw(tree):
    def write(name, content, **read):
        tree.text(name, json.dumps(content))
        return tree.read("coco", **read) if read or read == {} else None

    return write


def test_boxes_are_corner_and_size_and_classes_are_the_categories_names(tree, draw):
    tree.image("images/a.jpg", seed=1)
    tree.image("images/b.jpg", seed=2)
    reading, ledgers, _ = draw(
        "annotations.json", coco(["a.jpg", "b.jpg"], [(0, 3, [10, 5, 20, 30]), (0, 7, [1, 2, 3, 4])])
    )
    rows = [(row["image_id"], row["class_name"], row["x1"], row["y1"], row["x2"], row["y2"]) for row in reading.objects]
    assert rows == [("images/a", "shirt", 10, 5, 30, 35), ("images/a", "hat", 1, 2, 4, 6)]
    assert [image.image_id for image in reading.images] == ["images/a", "images/b"]  # b shows nothing, and stays
    assert ledgers["images"]["rejected"] == {}


def test_roboflows_folders_and_cocos_names_tell_the_splits(tree):
    for seed, folder in enumerate(("train", "valid", "test"), start=1):
        tree.image(f"{folder}/a.jpg", seed=seed)
        tree.text(f"{folder}/_annotations.coco.json", json.dumps(coco(["a.jpg"], [(0, 3, [1, 1, 20, 20])])))
    reading, _, _ = tree.read("coco")
    assert {image.image_id: image.split for image in reading.images} == {
        "train/a": "train", "val/a": "val", "test/a": "test"
    }  # fmt: skip


def test_without_a_test_file_validation_is_the_test(tree):
    for seed, (folder, split) in enumerate((("train2017", "train"), ("val2017", "val")), start=1):
        tree.image(f"{folder}/{split}.jpg", seed=seed)
        tree.text(f"annotations/instances_{folder}.json", json.dumps(coco([f"{split}.jpg"], [(0, 3, [1, 1, 20, 20])])))
    reading, ledgers, _ = tree.read("coco", val_share=0)
    assert {image.image_id: image.split for image in reading.images} == {"train/train": "train", "val/val": "test"}
    assert ledgers["images"] == {"rows_in": 2, "rows_kept": 0, "rejected": {}, "repaired": {}}


def test_what_does_not_fit_is_on_record_and_its_image_is_no_background(tree, rejects):
    for seed, name in enumerate("abcd", start=1):
        tree.image(f"{name}.jpg", seed=seed)
    tree.image("unnamed.jpg", seed=9)
    content = coco(
        ["a.jpg", "b.jpg", "c.jpg", "gone.jpg", "a.jpg"],
        [(0, 3, [1, 1, 20, 20]), (1, 99, [1, 1, 2, 2]), (2, 3, [1, 1]), (3, 3, [1, 1, 2, 2]), (8, 3, [1, 1, 2, 2])],
    )
    content["annotations"] += [{"image_id": 0, "category_id": 3, "bbox": [0, 0, 60, 40], "iscrowd": 1}, 5]
    content["images"] += [{"id": 77}]
    tree.text("all.json", json.dumps(content))
    reading, ledgers, account = tree.read("coco")
    assert sorted(rejects(account)) == [
        ("images", "all.json:a.jpg", "duplicate_row"),
        ("images", "all.json:gone.jpg", "missing_image"),
        ("images", "all.json:images:6", "malformed_row"),
        ("images", "d.jpg", "no_annotation"),
        ("images", "unnamed.jpg", "no_annotation"),
        ("objects", "all.json:annotations:2", "malformed_box"),
        ("objects", "all.json:annotations:3", "malformed_box"),
        ("objects", "all.json:annotations:4", "image_rejected"),
        ("objects", "all.json:annotations:5", "image_rejected"),
        ("objects", "all.json:annotations:6", "malformed_box"),
        ("objects", "all.json:annotations:7", "image_rejected"),
    ]
    assert reading.lost == {"a", "b", "c"}
    assert len(reading.objects) == 1 and ledgers["objects"]["rows_in"] == 7


def test_a_segmentation_without_a_box_gives_the_box_around_it(tree):
    tree.image("a.jpg", seed=1)
    content = coco(["a.jpg"], [(0, 3, None)])
    content["annotations"][0]["segmentation"] = [[5, 6, 25, 6, 15, 36], [20, 2, 30, 2, 30, 10]]
    tree.text("all.json", json.dumps(content))
    reading, ledgers, _ = tree.read("coco")
    assert [reading.objects[0][corner] for corner in ("x1", "y1", "x2", "y2")] == [5, 2, 30, 36]
    assert ledgers["objects"]["repaired"] == {"polygon": 1}


def test_items_are_the_boxes_where_params_say_so(tree):
    tree.image("a.jpg", seed=1)
    content = coco(["a.jpg"], [(0, 3, [1, 1, 20, 20]), (0, 7, [30, 5, 20, 100]), (0, 7, [90, 90, 5, 5])])
    tree.text("all.json", json.dumps(content))
    out = tree.stage("coco", items_from_boxes=True)
    items = read_table(out / "items.parquet").to_pylist()
    assert items == [
        {"item_id": "a:1", "image_id": "a", "label": "shirt"}, {"item_id": "a:2", "image_id": "a", "label": "hat"}
    ]  # fmt: skip
    boxes = read_table(out / "objects.parquet", OBJECTS).to_pylist()
    assert [row["y2"] for row in boxes] == [21, 48]  # cut at the border; the third lies outside and is no item


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"notes.json": "{}"}, "no COCO JSON in"),
        ({"x.json": "COCO", "y.json": "COCO"}, r"several COCO files \(x.json: no split, y.json: no split\)"),
        ({"val.json": "COCO", "test.json": "COCO"}, "none for train"),
        ({"train.json": "COCO", "sub/train.json": "COCO", "val.json": "COCO"}, "several COCO files"),
    ],
)
def test_files_that_tell_no_split_are_one_message(tree, files, message):
    tree.image("a.jpg")
    for name, text in files.items():
        tree.text(name, json.dumps(coco(["a.jpg"], [])) if text == "COCO" else text)
    with pytest.raises(StageError, match=message):
        tree.read("coco")


def test_ids_that_a_table_wrote_as_floats_are_the_whole_numbers_that_they_were(tree, draw):
    """pandas does so where a column has gaps; else the picture would show nothing, and teach so."""
    tree.image("images/a.jpg", seed=1)
    content = coco(["a.jpg"], [(0, 3, [10, 5, 20, 30])])
    content["annotations"][0] |= {"image_id": 0.0, "category_id": 3.0}
    reading, ledgers, _ = draw("annotations.json", content)
    assert [(row["image_id"], row["class_name"]) for row in reading.objects] == [("images/a", "shirt")]
    assert ledgers["objects"]["rejected"] == {}
