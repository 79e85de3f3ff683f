"""Standard YOLO directories, as tools export them."""

import json

import pyarrow.parquet as pq
import pytest

from stages.contracts.tables import unit_hash
from stages.core.errors import StageError
from stages.ingest.readers.yolo import parse_line

YAML = "path: .\ntrain: images/train\nval: images/val\nnames: [top, trousers]\n"
# DeepFashion2's train/000001.json (468 x 624) as its boxes are in YOLO's format (docs/datasets.md).
GOLDEN = "0 .497863 .521635 .995726 .950321\n1 .763889 .838141 .463675 .320513\n"


@pytest.fixture
def yolo(tree):
    def draw(yaml=YAML, labels=GOLDEN):
        tree.text("data.yaml", yaml)
        tree.image("images/train/000001.jpg", seed=1, size=(468, 624))
        tree.text("labels/train/000001.txt", labels)
        tree.image("images/val/000001.jpg", seed=2)
        tree.text("labels/val/000001.txt", "1 0.5 0.5 0.5 0.5\n")
        return tree

    return draw


def boxes(out):
    return {
        row["object_id"]: (row["class_name"], [row[key] for key in ("x1", "y1", "x2", "y2")])
        for row in pq.read_table(out / "objects.parquet").to_pylist()
    }


def test_shares_become_pixels(yolo):
    found = boxes(yolo().stage("yolo"))
    assert found["train-000001:1"] == ("top", pytest.approx([0, 29, 466, 622], abs=1e-3))
    assert found["train-000001:2"] == ("trousers", pytest.approx([249, 423, 466, 623], abs=1e-3))
    assert found["val-000001:1"] == ("trousers", [16, 12, 48, 36])  # the middle half of 64x48


def test_border_that_rounding_put_outside_is_no_repair(yolo):
    out = yolo(labels="0 0.5000005 0.5 1.000000 1.000000\n").stage("yolo")
    assert boxes(out)["train-000001:1"] == ("top", pytest.approx([0, 0, 468, 624], abs=1e-3))
    assert json.loads((out / "account.json").read_text())["objects"]["repaired"] == {}


def test_without_a_test_split_val_is_test_and_a_share_of_train_is_val(yolo):
    reading, _, _ = yolo().read("yolo", val_share=0.1)
    expected = "val" if unit_hash("train-000001") < 0.1 else "train"
    assert {image.image_id: image.split for image in reading.images} == {
        "train-000001": expected, "val-000001": "test",
    }  # fmt: skip


def test_own_test_split_keeps_all_three(yolo):
    tree = yolo(YAML + "test: images/test\n")
    tree.image("images/test/x.jpg", seed=4)
    reading, _, account = tree.read("yolo", val_share=0.9)
    assert [image.split for image in reading.images] == ["train", "val", "test"]
    assert account.notes["images without a label file"] == {"train": 0, "val": 0, "test": 1}


@pytest.mark.parametrize(
    "names", ["[top, trousers]", "{0: top, 1: trousers}", "\n- top\n- trousers", "{1: trousers, 0: top}"]
)
def test_names_may_be_a_list_or_numbered(yolo, names):
    reading, _, _ = yolo(f"train: images/train\nval: images/val\nnames: {names}\n").read("yolo")
    assert [row["class_name"] for row in reading.objects] == ["top", "trousers", "trousers"]


@pytest.mark.parametrize("train", ["/home/me/set/images/train", "../images/train", "images/train/", "[images/train]"])
def test_paths_of_another_machine_are_found_below_the_root(yolo, train):
    reading, _, _ = yolo(f"path: /datasets/caps\ntrain: {train}\nval: images/val\nnames: [a, b]\n").read("yolo")
    assert len(reading.images) == 2


def test_layout_with_the_split_first_is_read(tree):
    tree.text("data.yaml", "train: ../train/images\nval: ../valid/images\nnames: [cap]\n")
    for split in ("train", "valid"):
        tree.image(f"{split}/images/a.jpg", seed=len(split))
        tree.text(f"{split}/labels/a.txt", "0 .5 .5 .5 .5")
    reading, ledgers, _ = tree.read("yolo")
    assert len(reading.objects) == 2
    assert ledgers["images"]["rejected"] == {}


@pytest.mark.parametrize(
    "line",
    ["0 .5 .5 .5", "0 .5 .5 .5 .5 .5", "a .5 .5 .5 .5", "2 .5 .5 .5 .5", "-1 .5 .5 .5 .5", "0.5 .5 .5 .5 .5",
     "0 .5 .5 1.0011 .5", "0 -.0011 .5 .5 .5", "0 nan .5 .5 .5", "0 120 80 40 40"],
)  # fmt: skip
def test_malformed_line_is_rejected_with_file_and_line(yolo, rejects, line):
    reading, ledgers, account = yolo(labels=f"1 .5 .5 .5 .5\n\n{line}\n").read("yolo")
    assert rejects(account) == [("objects", "labels/train/000001.txt:3", "malformed_box")]
    assert (ledgers["objects"]["rows_in"], len(reading.objects)) == (3, 2)


@pytest.mark.parametrize("line", ["0 .5 .5 1.001 .5", "1.0 -0.001 .5 .5 .5", " 0\t.5 .5 .5 .5 "])
def test_rounding_and_blanks_are_no_defect(line):
    assert parse_line(line, 2)[2] == ""


def test_corners_of_a_line():
    assert parse_line("1 .5 .25 .5 .25", 2) == (1, [0.25, 0.125, 0.75, 0.375], "")


def test_label_without_an_image_is_rejected_with_its_lines(yolo, rejects):
    tree = yolo()
    tree.text("labels/val/gone.txt", "0 .5 .5 .5 .5\n1 .5 .5 .5 .5\n")
    _, _, account = tree.read("yolo")
    assert rejects(account) == [
        ("images", "labels/val/gone.txt", "missing_image"),
        ("objects", "labels/val/gone.txt:1", "image_rejected"),
        ("objects", "labels/val/gone.txt:2", "image_rejected"),
    ]


def test_name_in_two_folders_of_a_split_is_two_images(yolo, rejects):
    tree = yolo("train: [images/train, images/more]\nval: images/val\nnames: [a, b]\n")
    tree.image("images/more/000001.jpg", seed=8)
    tree.text("labels/more/000001.txt", "0 .5 .5 .5 .5")
    reading, _, account = tree.read("yolo")
    assert [image.image_id for image in reading.images] == [
        "train-images/train/000001", "train-images/more/000001", "val-000001",
    ]  # fmt: skip
    assert [row["image_id"] for row in reading.objects].count("train-images/more/000001") == 1
    assert rejects(account) == []


@pytest.mark.parametrize(
    ("yaml", "said"),
    [
        ("train: images/train\nval: images/val\n", "names is None; expected a list"),
        ("train: images/train\nval: images/val\nnames: {1: a}\n", "expected a list of class names"),
        ("train: images/train\nnames: [a]\n", "splits found: train; expected train and val"),
        (
            "train: images/nowhere\nval: images/val\nnames: [a]\n",
            "train is 'images/nowhere', but there is no such folder",
        ),
        ("- a", "expected names, train and val, found list"),
        ("{", "not valid YAML"),
    ],
)
def test_data_yaml_of_another_form_is_one_message(yolo, yaml, said):
    with pytest.raises(StageError, match=f"data.yaml: .*{said}"):
        yolo(yaml).read("yolo")


def test_missing_data_yaml_is_one_message(tree):
    with pytest.raises(StageError, match="no data.yaml; found nothing. Expected data.yaml"):
        tree.read("yolo")
