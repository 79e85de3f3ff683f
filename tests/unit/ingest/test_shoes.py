"""The shoes tree: classes by folder, one JSON of boxes for each class."""

import json

import pyarrow.parquet as pq
import pytest

from stages.core.errors import StageError


@pytest.fixture
def shoes(tree):
    """Boots with every defect that was counted upstream, and one clean sneaker in validation."""
    for number in (1, 2, 3, 4):
        tree.image(f"training/boots/image{number}.jpg", seed=number)
    tree.image("validation/sneakers/image1.jpg", seed=11)
    boots = {
        "image1.jpg": [[10, 5, 30, 40]],
        "image2.jpg": [[30, 40, 10, 5]],  # reversed
        "image3.jpg": [[-6, -2, 20, 60]],  # negative, and below the image's 48 rows
        "image9.jpg": [[1, 1, 5, 5], [2, 2, 6, 6]],  # no such image
    }
    tree.text("annotations_boots.json", json.dumps(boots))
    tree.text("annotations_sneakers.json", json.dumps({"image1.jpg": [[1, 2, 3]]}))  # three numbers
    return tree


def test_boxes_are_read_with_the_class_of_their_file(shoes):
    reading, _, _ = shoes.read("shoes")
    assert {row["class_name"] for row in reading.objects} == {"boots"}
    assert reading.objects[0] | {} == {
        "object_id": "boots-training-image1:1", "image_id": "boots-training-image1", "class_name": "boots",
        "x1": 10, "y1": 5, "x2": 30, "y2": 40, "pair_id": None, "style": None,
    }  # fmt: skip


def test_same_name_in_two_classes_is_two_images(shoes):
    reading, _, _ = shoes.read("shoes")
    assert {"boots-training-image1", "sneakers-validation-image1"} <= {image.image_id for image in reading.images}


def test_missing_image_and_missing_annotation_are_counted(shoes, rejects):
    _, ledgers, account = shoes.read("shoes")
    assert rejects(account) == [
        ("images", "training/boots/image4.jpg", "no_annotation"),
        ("images", "annotations_boots.json:image9", "missing_image"),
        ("objects", "annotations_boots.json:image9:1", "image_rejected"),
        ("objects", "annotations_boots.json:image9:2", "image_rejected"),
        ("objects", "annotations_sneakers.json:image1:1", "malformed_box"),
    ]
    assert (ledgers["images"]["rows_in"], ledgers["objects"]["rows_in"]) == (6, 6)


def test_reversed_and_negative_boxes_are_repaired_and_counted(shoes):
    out = shoes.stage("shoes")
    boxes = {
        row["image_id"]: [row[k] for k in ("x1", "y1", "x2", "y2")]
        for row in pq.read_table(out / "objects.parquet").to_pylist()
    }
    assert boxes == {
        "boots-training-image1": [10, 5, 30, 40],
        "boots-training-image2": [10, 5, 30, 40],
        "boots-training-image3": [0, 0, 20, 48],
    }
    assert json.loads((out / "account.json").read_text())["objects"]["repaired"] == {"clipped": 1, "reversed": 1}


def test_upstream_validation_is_the_test_split(shoes):
    reading, _, _ = shoes.read("shoes")
    splits = {image.image_id: image.split for image in reading.images}
    assert splits["sneakers-validation-image1"] == "test"
    assert {split for name, split in splits.items() if "training" in name} <= {"train", "val"}


def test_images_of_a_class_without_a_json_are_accounted_for(shoes):
    """Nothing vanishes: a class folder whose annotations_<class>.json is missing holds images, too."""
    shoes.image("training/sandals/image1.jpg", seed=20)
    _, ledgers, _ = shoes.read("shoes")
    assert ledgers["images"]["rows_in"] == 7
    assert ledgers["images"]["rejected"]["no_annotation"] == 2


def test_tree_without_annotations_is_one_message(tree):
    tree.image("training/boots/image1.jpg")
    with pytest.raises(StageError, match="no annotations_<class>.json. Expected training/<class>"):
        tree.read("shoes")


@pytest.mark.parametrize(("text", "said"), [("[1]", "expected an object"), ("{", "not valid JSON")])
def test_annotation_file_of_another_form_is_one_message(shoes, text, said):
    shoes.text("annotations_boots.json", text)
    with pytest.raises(StageError, match=f"annotations_boots.json: {said}"):
        shoes.read("shoes")
