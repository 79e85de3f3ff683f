"""What a YOLO directory says of itself: by data.yaml, by Darknet's files, by lists of class names."""

from pathlib import Path

import pytest
from trees import account, boxes

from stages.core.errors import StageError
from stages.ingest.readers.yolo_layout import check_names, class_lists, class_names, label_folder

BOX = "0 0.5 0.5 0.4 0.4\n"


@pytest.mark.parametrize(
    ("images", "labels"),
    [("images/train", "labels/train"), ("train/images", "train/labels"), ("images/old/images/a", "images/old/labels/a"),
     ("pictures/train", "pictures/train"), (".", ".")],
)  # fmt: skip
def test_labels_lie_in_a_folder_labels_in_place_of_the_last_images(images, labels):
    assert label_folder(Path("set") / images, Path("set")) == Path("set") / labels


def test_class_lists_are_the_one_of_the_directory_or_those_of_its_folders(tree):
    tree.text("train/_darknet.labels", "top\n")
    tree.text("valid/_darknet.labels", "top\n")
    tree.text("train/a.txt", BOX)
    names = [path.relative_to(tree.root).as_posix() for path in class_lists(tree.root)]
    assert names == ["train/_darknet.labels", "valid/_darknet.labels"]
    tree.text("classes.txt", "top\n")
    assert class_lists(tree.root) == [tree.root / "classes.txt"]


def test_names_are_a_list_or_numbered_from_zero():
    assert check_names(Path("data.yaml"), {"names": ["top", "dress"]}) == ["top", "dress"]
    assert check_names(Path("data.yaml"), {"names": {"1": "dress", "0": "top"}}) == ["top", "dress"]


@pytest.mark.parametrize("names", [None, [], "top", ["top", None], {"1": "top"}, {"0": "top", "2": "dress"}])
def test_other_names_are_refused_with_what_was_found(names):
    with pytest.raises(StageError, match="data.yaml: names is .*; expected a list of class names, or 0: name"):
        check_names(Path("data.yaml"), {"names": names})


@pytest.mark.parametrize("text", ["", "\n \n", "top\ndress\ntop\n"])
def test_list_without_a_class_or_with_one_twice_is_refused(tmp_path, text):
    (tmp_path / "classes.txt").write_text(text)
    with pytest.raises(StageError, match=r"classes.txt: found .*; expected one class name a line, each once"):
        class_names(tmp_path / "classes.txt")


def test_lists_of_two_folders_that_differ_are_refused(tree):
    for folder, name in (("train", "top"), ("valid", "dress")):
        tree.text(f"{folder}/classes.txt", name)
    with pytest.raises(StageError, match="train/classes.txt, valid/classes.txt name different classes"):
        tree.read("yolo")


def test_layout_with_the_split_first_is_read(tree):
    tree.text("data.yaml", "train: ../train/images\nval: ../valid/images\nnames: [cap]\n")
    for split in ("train", "valid"):
        tree.image(f"{split}/images/a.jpg", seed=len(split))
        tree.text(f"{split}/labels/a.txt", "0 .5 .5 .5 .5")
    reading, ledgers, _ = tree.read("yolo")
    assert len(reading.objects) == 2
    assert ledgers["images"]["rejected"] == {}


def test_missing_data_yaml_is_one_message(tree):
    with pytest.raises(StageError, match="no data.yaml; found nothing. Expected data.yaml"):
        tree.read("yolo")


def test_export_of_cvat_without_data_yaml_is_read_and_split_by_hash(tree):
    tree.text("obj.data", "classes = 2\r\ntrain = data/train.txt\r\nnames = data/obj.names\r\nbackup = backup/\r\n")
    tree.text("obj.names", "top\r\ndress\r\n")
    tree.text("train.txt", "".join(f"data/obj_train_data/frame_{number}.PNG\n" for number in range(3)))
    for number in range(3):
        tree.image(f"obj_train_data/frame_{number}.PNG", seed=number, kind="PNG", size=(100, 200))
        tree.text(f"obj_train_data/frame_{number}.txt", BOX)
    reading, _, _ = tree.read("yolo")
    assert [(row["image_id"], row["class_name"]) for row in reading.objects] == [
        (f"train-frame_{number}", "top") for number in range(3)
    ]
    assert {image.split for image in reading.images} == {""}
    assert tree.stage("yolo").joinpath("account.json").read_text().count("not read") == 0


def test_export_of_label_studio_without_data_yaml_is_read_and_split_by_hash(tree):
    tree.text("classes.txt", "top\ndress\n")
    tree.text("notes.json", "{}")
    for number in range(3):
        tree.image(f"images/3f2a1b0c-IMG_{number}.jpg", seed=number, size=(100, 200))
        tree.text(f"labels/3f2a1b0c-IMG_{number}.txt", BOX.replace("0", "1", 1))
    out = tree.stage("yolo")
    assert set(boxes(out)) == {f"train-3f2a1b0c-IMG_{number}:1" for number in range(3)}
    assert account(out)["notes"]["files that are not read"] == {"notes.json": 1}
