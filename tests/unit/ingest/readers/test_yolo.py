"""YOLO directories as tools export them and as people bring them: shapes, lists, subfolders, paths of other machines."""

import json

import pyarrow.parquet as pq
import pytest
from trees import account, boxes

from stages.contracts.tables import BOXES, unit_hash, write_rows
from stages.core.errors import StageError
from stages.detection.yolo_directory import write_yolo_directory
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


def named_boxes(out):
    return {
        row["object_id"]: (row["class_name"], [row[key] for key in ("x1", "y1", "x2", "y2")])
        for row in pq.read_table(out / "objects.parquet").to_pylist()
    }


def export(ingested, folder):
    """Write the boxes of an ingested source, all of one class, as a YOLO directory ``folder/export``."""
    rows = [
        {"object_id": key, "image_id": key.rsplit(":", 1)[0], "split": key.split("-")[0], "superclass": "top",
         "class_id": 0, "cx": 0.5, "cy": 0.5, "w": 0.4, "h": 0.4} for key in boxes(ingested)
    ]  # fmt: skip
    write_rows(folder / "boxes.parquet", BOXES, rows)
    write_yolo_directory(ingested, folder, ["top"], True, folder / "export")


def test_shares_become_pixels(yolo):
    found = named_boxes(yolo().stage("yolo"))
    assert found["train-000001:1"] == ("top", pytest.approx([0, 29, 466, 622], abs=1e-3))
    assert found["train-000001:2"] == ("trousers", pytest.approx([249, 423, 466, 623], abs=1e-3))
    assert found["val-000001:1"] == ("trousers", [16, 12, 48, 36])  # the middle half of 64x48


def test_border_that_rounding_put_outside_is_no_repair(yolo):
    out = yolo(labels="0 0.5000005 0.5 1.000000 1.000000\n").stage("yolo")
    assert named_boxes(out)["train-000001:1"] == ("top", pytest.approx([0, 0, 468, 624], abs=1e-3))
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


BOX = "0 0.5 0.5 0.4 0.4\n"  # of 100 x 200 pixels: 30, 60, 70, 140
THREE = "train: images/train\nval: images/val\ntest: images/test\nnames: [top, dress]\n"
ONE_OF_EACH = {"train": 1, "val": 1, "test": 1}


@pytest.fixture
def directory(tree):
    """Draws images/<split>/<split><n>.jpg of 100 x 200 pixels with labels, and a data.yaml."""

    def draw(label=lambda split, number: BOX, yaml=THREE, splits=ONE_OF_EACH):
        tree.text("data.yaml", yaml)
        for seed, split in enumerate(splits):
            for number in range(splits[split]):
                tree.image(f"images/{split}/{split}{number}.jpg", seed=100 * seed + number, size=(100, 200))
                if (text := label(split, number)) is not None:
                    tree.text(f"labels/{split}/{split}{number}.txt", text)
        return tree

    return draw


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("1 0.20 0.10 0.80 0.10 0.80 0.60 0.50 0.70 0.20 0.60", [20, 20, 80, 140]),
        ("0 0.2 0.3 0.6 0.1 0.7 0.4 0.3 0.6", [20, 20, 70, 120]),  # a rotated box: four corners
        ("0 0.1 0.2 0.4 0.2 0.25 0.5", [10, 40, 40, 100]),
        ("0, 0.2, 0.3, 0.6, 0.1, 0.7, 0.4, 0.3, 0.6", [20, 20, 70, 120]),
    ],
)
def test_polygon_and_rotated_box_are_the_box_around_them(directory, line, expected):
    out = directory(lambda split, number: line).stage("yolo")
    assert boxes(out)["train-train0:1"] == expected
    assert account(out)["objects"]["repaired"] == {"polygon": 3}


def test_corner_of_a_rotated_box_outside_the_image_is_cut_off(directory):
    out = directory(lambda split, number: "0 -0.1 0.3 0.6 0.1 0.7 0.4 0.3 0.6").stage("yolo")
    assert boxes(out)["train-train0:1"] == [0, 20, 70, 120]
    assert account(out)["objects"]["repaired"] == {"clipped": 3, "polygon": 3}


def test_polygon_in_pixels_is_another_format(directory):
    tree = directory(lambda split, number: "0 20 30 60 10 70 40 30 60" if split == "train" else BOX)
    out = tree.stage("yolo")
    assert account(out)["objects"]["rejected"] == {"malformed_box": 1}


def test_pose_is_its_box(directory):
    yaml = THREE + "kpt_shape: [2, 2]\n"
    out = directory(lambda split, number: "0 0.5 0.5 0.4 0.4 0.1 0.1 0.9 0.9", yaml).stage("yolo")
    assert boxes(out)["train-train0:1"] == [30, 60, 70, 140]


@pytest.mark.parametrize(
    "line",
    ["0, 0.5, 0.5, 0.4, 0.4", "0,0.5,0.5,0.4,0.4", "0;0,5;0,5;0,4;0,4", "0 0,5 0,5 0,4 0,4", "0\t0.5,0.5,0.4,0.4"],
)
def test_commas_between_and_inside_numbers_are_read(directory, line):
    out = directory(lambda split, number: line).stage("yolo")
    assert boxes(out)["train-train0:1"] == [30, 60, 70, 140]
    assert account(out)["objects"]["repaired"] == {"commas": 3}


BAD = {"zero area": "0 0.5 0.5 0 0.4", "class": "7 0.5 0.5 0.4 0.4", "text": "cap 0.5", "range": "0 5 5 4 4"}


@pytest.mark.parametrize("line", BAD.values(), ids=BAD)
def test_image_whose_boxes_were_all_rejected_is_no_background(directory, tmp_path, line):
    labels = {0: BOX, 1: "", 2: None, 3: f"{line}\n", 4: f"{BOX}{line}\n"}
    out = directory(lambda split, number: labels[number], splits={**ONE_OF_EACH, "train": 5}).stage("yolo")
    assert account(out)["notes"]["images whose boxes were all rejected, so no detector learns from them"] == {
        "images": 1
    }
    assert account(out)["images"]["rows_kept"] == 7  # it is still a picture for everything else
    export(out, tmp_path)
    there = {path.name: path.read_text() for path in sorted((tmp_path / "export/labels/train").iterdir())}
    assert sorted(there) == ["train-train0.txt", "train-train1.txt", "train-train2.txt", "train-train4.txt"]
    assert [name for name, text in there.items() if not text] == ["train-train1.txt", "train-train2.txt"]


def test_export_of_ids_with_folders_is_flat_and_keeps_them_apart(directory, tmp_path):
    tree = directory()
    for name in ("shop/1", "shop__1"):
        tree.image(f"images/train/{name}.jpg", seed=len(name) + 40)
        tree.text(f"labels/train/{name}.txt", BOX)
    out = tree.stage("yolo")
    export(out, tmp_path)
    images = {path.stem for path in (tmp_path / "export/images/train").iterdir()}
    assert len(images) == 3
    assert images == {path.stem for path in (tmp_path / "export/labels/train").iterdir()}


@pytest.mark.parametrize(
    "entry", ["images/{0}/{0}0.jpg", "./images/{0}/{0}0.jpg", "/home/me/set/images/{0}/{0}0.jpg",
              "C:\\set\\images\\{0}\\{0}0.jpg", "../images/{0}/{0}0.JPG"],
)  # fmt: skip
def test_split_may_be_a_list_of_images(directory, entry):
    tree = directory(yaml="path: ./\ntrain: train.txt\nval: val.txt\ntest: test.txt\nnames: {0: top}\n")
    for split in ONE_OF_EACH:
        tree.text(f"{split}.txt", entry.format(split) + "\r\n")
    out = tree.stage("yolo")
    assert boxes(out) == {f"{split}-{split}0:1": [30, 60, 70, 140] for split in ONE_OF_EACH}
    assert "files that are not read" not in account(out)["notes"]


def test_list_may_name_lists_and_folders_and_itself(directory):
    tree = directory(yaml="train: all.txt\nval: [images/val]\ntest: images/test\nnames: [top]\n")
    tree.text("all.txt", "all.txt\nmore/rest.txt\n")
    tree.text("more/rest.txt", "images/train\n")
    assert set(boxes(tree.stage("yolo"))) == {"train-train0:1", "val-val0:1", "test-test0:1"}


def test_list_takes_no_image_of_another_split_for_one_that_is_gone(directory, rejects):
    tree = directory(yaml="train: train.txt\nval: images/val\ntest: images/test\nnames: [top]\n")
    tree.text("train.txt", "images/train/train0.jpg\nimages/train/val0.jpg\n")
    reading, _, account = tree.read("yolo")
    assert [image.image_id for image in reading.images] == ["train-train0", "val-val0", "test-test0"]
    assert rejects(account) == [("images", "train.txt:2", "missing_image")]


def test_equal_names_in_subfolders_are_images_of_their_own(directory):
    tree = directory()
    for split in ONE_OF_EACH:
        for number, shop in enumerate(("shop_a", "shop_b", "shop_a/deep")):
            tree.image(f"images/{split}/{shop}/1.jpg", seed=ord(split[1]) * 10 + number, size=(100, 200))
            tree.text(f"labels/{split}/{shop}/1.txt", BOX)
    out = tree.stage("yolo")
    assert account(out)["images"] == {"rows_in": 12, "rows_kept": 12, "rejected": {}, "repaired": {}}
    assert boxes(out)["val-shop_a/deep/1:1"] == [30, 60, 70, 140]
    assert len(boxes(out)) == 12


def test_same_box_of_the_same_class_counts_once(directory):
    text = BOX + BOX + "0 0.500000 0.5000000 0.4 0.40\n" + BOX.replace("0 ", "1 ", 1) + "0 0.25 0.25 0.1 0.1\n"
    out = directory(lambda split, number: text).stage("yolo")
    assert [key for key in boxes(out) if key.startswith("val")] == ["val-val0:1", "val-val0:4", "val-val0:5"]
    assert account(out)["objects"]["rejected"] == {"duplicate_box": 6}


@pytest.mark.parametrize(
    "yaml",
    [
        "path: C:\\Users\\me\\set\ntrain: images\\train\nval: images\\val\ntest: images\\test\nnames: ['top']\n",
        "train: C:\\a\\images\\train\nval: D:/images/val\ntest: ..\\images\\test\nnames: ['top']\n",
        "train: \\\\server\\share\\images\\train\nval: .\\images\\val\ntest: images/test/\nnames: ['top']\n",
        "train: Images\\Train\nval: IMAGES/val\ntest: images/test\nnames: ['top']\n",
        "train: images/train\nvalid: images/val\ntest: images/test\nnames: ['top']\n",
    ],
)
def test_paths_that_windows_wrote_are_found(directory, yaml):
    out = directory(lambda split, number: BOX.replace("\n", "\r\n"), yaml).stage("yolo")
    assert boxes(out) == {f"{split}-{split}0:1": [30, 60, 70, 140] for split in ONE_OF_EACH}


def test_what_a_labeling_tool_leaves_is_named_as_ignored_once(directory):
    tree = directory()
    for split in ONE_OF_EACH:
        tree.text(f"labels/{split}/classes.txt", "top\n")
    for name in ("labels/train.cache", "images/train/Thumbs.db", ".DS_Store", "images/._a.jpg", "labels/train/._b.txt",
                 "notes.json", "__MACOSX/images/x.jpg", "README.md", "images/val/report.pdf", "old/y.jpg"):  # fmt: skip
        tree.text(name, b"\0")
    out = tree.stage("yolo")
    assert account(out)["images"]["rejected"] == account(out)["objects"]["rejected"] == {}
    assert account(out)["notes"]["files that are not read"] == {
        "classes.txt": 3, "*.cache": 1, "Thumbs.db": 1, ".DS_Store": 1, "._*": 2, "notes.json": 1, "__MACOSX/": 1,
        ".md": 1, ".pdf": 1, ".jpg outside of what is read": 1,
    }  # fmt: skip


def test_label_files_are_found_in_other_capitals_decomposed_and_with_the_images_suffix(directory):
    tree = directory(lambda split, number: None)
    tree.text("labels/train/TRAIN0.TXT", BOX)
    tree.text("labels/val/val0.jpg.txt", BOX)
    tree.image("images/test/Blu\u0301se.jpg", seed=77, size=(100, 200))
    tree.text("labels/test/Bl\u00fase.txt", BOX)
    assert set(boxes(tree.stage("yolo"))) == {"train-train0:1", "val-val0:1", "test-Bl\u00fase:1"}


@pytest.mark.parametrize("name", ["001", "1e3", "10.50", "+5", "NA", "no", "yes", "0x10", "null", "2024-01-01"])
def test_class_name_stays_the_text_that_it_is(directory, name):
    yaml = THREE.replace("[top, dress]", f"{{0: {name}, 1: dress}}")
    reading, _, _ = directory(yaml=yaml).read("yolo")
    assert {row["class_name"] for row in reading.objects} == {name}


def test_two_splits_of_one_folder_have_the_same_boxes(directory):
    tree = directory(yaml="train: images/train\nval: images/train\ntest: images/test\nnames: [top]\n")
    reading, _, account = tree.read("yolo")
    assert account.notes["images without a label file"] == {"train": 0, "val": 0, "test": 0}
    assert len(reading.objects) == 3


def test_folder_that_is_a_link_is_read_and_loops_end(directory, tmp_path):
    tree = directory()
    (tree.root / "images/train").rename(tmp_path / "disk")
    (tree.root / "images/train").symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "loop").symlink_to(tmp_path / "disk")
    (tree.root / "images" / "val" / "up").symlink_to(tree.root)
    (tree.root / "images" / "val" / "gone.jpg").symlink_to("nowhere.jpg")
    out = tree.stage("yolo")
    assert set(boxes(out)) == {"train-train0:1", "val-val0:1", "test-test0:1"}
    assert account(out)["images"]["rejected"] == {"broken_link": 1}


def test_what_roboflow_exports_is_read_and_its_notes_are_companions(tree):
    tree.text("data.yaml", "train: ../train/images\nval: ../valid/images\ntest: ../test/images\n\nnc: 2\n"
                           "names: ['Jupe, longue', 'caf\u00e9 cr\u00e8me']\n\nroboflow:\n  version: 3\n")  # fmt: skip
    for name in ("README.dataset.txt", "README.roboflow.txt"):
        tree.text(name, "Exported")
    for seed, split in enumerate(("train", "valid", "test")):
        name = f"caps_jpg.rf.{seed}a1b2"
        tree.image(f"{split}/images/{name}.jpg", seed=seed, size=(100, 200))
        tree.text(f"{split}/labels/{name}.txt", f"{seed % 2}{BOX[1:]}")
    out = tree.stage("yolo")
    rows = pq.read_table(out / "objects.parquet").to_pylist()
    assert [row["class_name"] for row in rows] == ["Jupe, longue", "Jupe, longue", "caf\u00e9 cr\u00e8me"]
    assert account(out)["images"] == {"rows_in": 3, "rows_kept": 3, "rejected": {}, "repaired": {}}
    assert account(out)["notes"]["files that are not read"] == {"README.dataset.txt": 1, "README.roboflow.txt": 1}


def test_missing_test_split_that_data_yaml_names_all_the_same_is_no_split(directory, capsys):
    tree = directory(yaml="train: ../train/images\nval: ../images/val\ntest: ../test/images\nnames: [top]\n",
                     splits={"val": 2})  # fmt: skip
    tree.image("train/images/a.jpg", seed=30, size=(100, 200))
    tree.text("train/labels/a.txt", BOX)
    reading, _, _ = tree.read("yolo")
    assert {image.image_id: image.ours for image in reading.images} == {
        "train-a": True, "val-val0": False, "val-val1": False,
    }  # fmt: skip
    assert "test is '../test/images', which is not there: read as a set without a test split" in capsys.readouterr().err


def test_paths_that_start_with_a_projects_name_are_found(directory):
    yaml = "train: my-project-3/images/train\nval: my-project-3/images/val\ntest: ../images/test\nnames: [top]\n"
    assert len(boxes(directory(yaml=yaml).stage("yolo"))) == 3


def test_lists_and_labels_that_windows_wrote_in_utf_16_are_read(directory):
    tree = directory(yaml="train: train.txt\nval: images/val\ntest: images/test\nnames: [top]\n")
    tree.text("train.txt", "images\\train\\train0.jpg\r\n".encode("utf-16"))
    tree.text("labels/val/val0.txt", BOX.encode("utf-16"))
    assert set(boxes(tree.stage("yolo"))) == {"train-train0:1", "val-val0:1", "test-test0:1"}
