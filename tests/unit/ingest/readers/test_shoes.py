"""The shoes tree: classes by folder, one JSON of boxes for each class."""

import json

import pyarrow.parquet as pq
import pytest
from trees import boxes

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


def clash(tree):
    """image1 of the sneakers in both folders, as different pictures."""
    tree.image("training/sneakers/image1.jpg", seed=21)
    tree.text("annotations_sneakers.json", json.dumps({"image1.jpg": [[1, 2, 30, 40], [5, 6, 20, 30]]}))
    return tree


def boxes_of(reading):
    return {row["object_id"]: [row[key] for key in ("x1", "y1", "x2", "y2")] for row in reading.objects}


def test_name_in_both_folders_is_ambiguous_because_nobody_knows_whose_boxes_they_are(shoes, rejects):
    reading, ledgers, account = clash(shoes).read("shoes")
    assert [row for row in rejects(account) if "sneakers" in row[1]] == [
        ("images", "training/sneakers/image1.jpg", "ambiguous_name"),
        ("images", "validation/sneakers/image1.jpg", "ambiguous_name"),
        ("objects", "annotations_sneakers.json:image1:1", "image_rejected"),
        ("objects", "annotations_sneakers.json:image1:2", "image_rejected"),
    ]
    assert not any("sneakers" in row["image_id"] for row in reading.objects)
    assert ledgers["images"]["rows_in"] == 7


@pytest.mark.parametrize("place", ["validation", "validation/sneakers"])
def test_json_inside_a_folder_speaks_of_that_folder(shoes, rejects, place):
    tree = clash(shoes)
    (tree.root / "annotations_sneakers.json").rename(tree.root / place / "annotations_sneakers.json")
    reading, _, account = tree.read("shoes")
    assert boxes_of(reading)["sneakers-validation-image1:2"] == [5, 6, 20, 30]
    assert ("images", "training/sneakers/image1.jpg", "no_annotation") in rejects(account)


def test_one_json_in_each_folder_resolves_names_that_repeat(shoes):
    tree = clash(shoes)
    tree.remove("annotations_sneakers.json")
    for place, box in (("training", [1, 1, 9, 9]), ("validation", [2, 2, 8, 8])):
        tree.text(f"{place}/annotations_sneakers.json", json.dumps({"image1.jpg": [box]}))
    boxes = boxes_of(tree.read("shoes")[0])
    assert boxes["sneakers-training-image1:1"] == [1, 1, 9, 9]
    assert boxes["sneakers-validation-image1:1"] == [2, 2, 8, 8]


def test_two_files_for_one_class_are_one_message(shoes):
    shoes.text("more/annotations_boots.json", "{}")
    with pytest.raises(StageError, match="holds boxes of class boots as well. Keep one"):
        shoes.read("shoes")


def test_two_entries_for_one_stem_are_accounted_for(shoes, rejects):
    shoes.text("annotations_boots.json", '{"image1.jpg": [[1, 1, 9, 9]], "image1.png": [[2, 2, 8, 8]]}')
    reading, _, account = shoes.read("shoes")
    assert boxes_of(reading) == {"boots-training-image1:1": [1, 1, 9, 9]}
    assert ("images", "annotations_boots.json:image1.png", "ambiguous_name") in rejects(account)
    assert ("objects", "annotations_boots.json:image1.png:1", "image_rejected") in rejects(account)


def test_entry_that_is_no_list_is_malformed(shoes, rejects):
    shoes.text("annotations_boots.json", '{"image1.jpg": "10 5 30 40"}')
    _, _, account = shoes.read("shoes")
    assert ("images", "training/boots/image1.jpg", "malformed_row") in rejects(account)


@pytest.mark.parametrize(
    "place", ["training/boots/", "training/boots/labels/", "training/labels/boots/", "labels/training/boots/"]
)
def test_yolo_file_gives_boxes_where_the_json_has_none(shoes, place):
    shoes.text(f"{place}image4.txt", "0 0.5 0.5 0.5 0.5\n")  # boots is the first class in order
    out = shoes.stage("shoes")
    rows = {row["object_id"]: row for row in pq.read_table(out / "objects.parquet").to_pylist()}
    row = rows["boots-training-image4:1"]  # 64 x 48
    assert [row[key] for key in ("class_name", "x1", "y1", "x2", "y2")] == ["boots", 16, 12, 48, 36]


def test_json_wins_over_a_yolo_file_and_that_is_counted(shoes):
    shoes.text("training/boots/image1.txt", "0 0.5 0.5 0.5 0.5\n")
    reading, _, account = shoes.read("shoes")
    assert boxes_of(reading)["boots-training-image1:1"] == [10, 5, 30, 40]
    assert [(row.key, row.what, row.detail) for row in account.ledgers["images"].repairs] == [
        ("training/boots/image1.jpg", "json_before_txt", "training/boots/image1.txt")
    ]


def test_folder_says_the_class_of_a_yolo_file(tree):
    tree.image("training/sandals/a.jpg", seed=1)
    tree.image("training/boots/b.jpg", seed=2)
    (tree.root / "validation").mkdir()
    tree.text("training/sandals/a.txt", "0 .5 .5 .5 .5\n2 .5 .5 .5 .5\n")  # 0 is boots; there is no class 2
    reading, ledgers, account = tree.read("shoes")
    assert [row["class_name"] for row in reading.objects] == ["sandals"]
    assert ledgers["objects"]["repaired"] == {"class_of_folder": 1}
    assert [row.key for row in account.ledgers["objects"].rejects] == ["training/sandals/a.txt:2"]


def test_classes_file_says_the_numbers(tree):
    tree.image("training/sandals/a.jpg", seed=1)
    (tree.root / "validation").mkdir()
    tree.text("classes.txt", "boots\nloafers\nsandals\n")
    tree.text("training/sandals/a.txt", "2 .5 .5 .5 .5\n")
    reading, ledgers, _ = tree.read("shoes")
    assert [row["class_name"] for row in reading.objects] == ["sandals"]
    assert ledgers["objects"]["repaired"] == {}


def test_yolo_file_without_an_image_is_rejected_with_its_lines(shoes, rejects):
    shoes.text("training/boots/gone.txt", "0 .5 .5 .5 .5\n")
    _, _, account = shoes.read("shoes")
    assert ("images", "training/boots/gone.txt", "missing_image") in rejects(account)
    assert ("objects", "training/boots/gone.txt:1", "image_rejected") in rejects(account)


def test_boxes_drawn_on_a_display_are_scaled_back_and_the_reach_is_noted(shoes):
    shoes.image("training/boots/image1.jpg", seed=1, size=(128, 64))  # shown as 64x32 on a display of 64x48
    out = shoes.stage("shoes", shoes={"display_width": 64, "display_height": 48})
    boxes = {row["object_id"]: row for row in pq.read_table(out / "objects.parquet").to_pylist()}
    assert [boxes["boots-training-image1:1"][key] for key in ("x1", "y1", "x2", "y2")] == [20, 10, 60, 64]
    assert [boxes["boots-training-image2:1"][key] for key in ("x1", "y1", "x2", "y2")] == [10, 5, 30, 40]
    account = json.loads((out / "account.json").read_text())
    assert account["objects"]["repaired"] == {"clipped": 2, "reversed": 1, "scaled_from_display": 1}
    assert account["notes"]["boxes and images"] == {
        "largest x": 30, "largest y": 60, "largest width": 128, "largest height": 64,
    }  # fmt: skip


def test_display_of_one_side_is_refused(shoes):
    with pytest.raises(ValueError, match="must be given together"):
        shoes.stage("shoes", shoes={"display_width": 64, "display_height": None})


def test_polygon_in_the_shoes_json_is_the_box_around_it(tree):
    for folder in ("training", "validation"):
        tree.image(f"{folder}/boots/{folder}.jpg", seed=len(folder))
    shapes = {"training.JPG": [[1, 5, 30, 8, 20, 40]], "validation": [[[1, 5], [30, 8], [20, 40]]]}
    tree.text("annotations_boots.json", json.dumps(shapes))
    out = tree.stage("shoes")
    assert list(boxes(out).values()) == [[1, 5, 30, 40], [1, 5, 30, 40]]
