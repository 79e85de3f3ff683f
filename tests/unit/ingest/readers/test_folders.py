"""A folder for each class."""

import pytest

from stages.contracts.tables import read_table, unit_hash
from stages.core.errors import StageError


def test_the_folders_name_is_the_label_and_names_may_repeat_across_folders(tree):
    for seed, name in enumerate(("Dress/1.jpg", "T-Shirt/1.jpg", "T-Shirt/more/2.png"), start=1):
        tree.image(name, seed=seed)
    reading, ledgers, _ = tree.read("folders")
    labels = {item["item_id"]: item["label"] for item in reading.items}
    assert labels == {"Dress/1": "Dress", "T-Shirt/1": "T-Shirt", "T-Shirt/more/2": "T-Shirt"}
    assert [image.split for image in reading.images] == ["", "", ""]
    assert ledgers["items"]["rows_in"] == 3


def test_folders_of_three_splits_are_the_splits(tree):
    for seed, name in enumerate(("train/Hat/1.jpg", "valid/Hat/1.jpg", "test/Hat/1.jpg"), start=1):
        tree.image(name, seed=seed)
    reading, _, _ = tree.read("folders")
    assert {image.image_id: image.split for image in reading.images} == {
        "train/Hat/1": "train", "val/Hat/1": "val", "test/Hat/1": "test"
    }  # fmt: skip


def test_without_a_test_folder_validation_is_the_test_and_a_share_of_train_validates(tree):
    for seed in range(1, 41):
        tree.image(f"train/Hat/{seed}.jpg", seed=seed)
    tree.image("val/Hat/1.jpg", seed=99)
    reading, _, _ = tree.read("folders", val_share=0.5)
    splits = {image.image_id: image.split for image in reading.images}
    assert splits["val/Hat/1"] == "test"
    assert all(
        splits[f"train/Hat/{seed}"] == ("val" if unit_hash(f"train/Hat/{seed}") < 0.5 else "train")
        for seed in range(1, 41)
    )


def test_a_class_that_is_called_train_alone_is_a_class(tree):
    tree.image("train/1.jpg", seed=1)
    tree.image("boat/1.jpg", seed=2)
    reading, _, _ = tree.read("folders")
    assert {item["label"] for item in reading.items} == {"train", "boat"}


def test_files_beside_the_folders_and_what_does_not_decode_end_in_the_account(tree):
    tree.image("Hat/1.jpg", seed=1)
    tree.image("loose.jpg", seed=2)
    tree.text("Hat/2.jpg", "no picture")
    tree.text("Hat/3.jxl", "a phone's")
    out = tree.stage("folders")
    rejects = {(row["key"], row["reason"]) for row in read_table(out / "rejects.parquet").to_pylist()}
    assert {("Hat/2", "corrupt_image"), ("Hat/3.jxl", "unread_format")} <= rejects
    assert read_table(out / "items.parquet").to_pylist() == [
        {"item_id": "Hat/1", "image_id": "Hat/1", "label": "Hat"}
    ]  # fmt: skip


def test_no_folder_of_images_is_one_message(tree):
    tree.image("loose.jpg")
    (tree.root / "Hat").mkdir()
    with pytest.raises(StageError, match=r"no images in its folders Hat. Expected <class>"):
        tree.read("folders")
