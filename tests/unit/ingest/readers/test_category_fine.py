"""The fine layout of Category and Attribute Prediction: files without headers that belong together line by line."""

import pyarrow.parquet as pq
import pytest

from stages.core.errors import StageError
from stages.ingest.readers.category_fine import ATTRIBUTES

NAMES = {"train": ["Striped_Tee/img_00000001", "Maxi_Dress/img_00000001"], "val": ["A_Coat/img_00000001"], "test": []}
MARKS = {"striped": 2, "short_sleeve": 8, "knit": 22}


def marks(*names):
    return " ".join("1" if name in names else "0" for name in ATTRIBUTES)


@pytest.fixture
def fine(tree):
    NAMES["test"] = ["Plain_Jeans/img_00000003"]
    for split, names in NAMES.items():
        for seed, name in enumerate(names):
            tree.image(f"img/{name}.jpg", seed=seed + 10 * len(split))
        tree.text(f"Anno_fine/{split}.txt", "".join(f"img/{name}.jpg\n" for name in names))
        tree.text(f"Anno_fine/{split}_cate.txt", "18\n41\n"[: 3 * len(names)])
        tree.text(f"Anno_fine/{split}_attr.txt", f"{marks('striped', 'knit')} \n" * len(names))
        tree.text(f"Anno_fine/{split}_bbox.txt", "001 002 030 040\n" * len(names))
        tree.text(f"Anno_fine/{split}_landmarks.txt", "1 2 3 4\n" * len(names))
    return tree


def test_the_26_attributes_stand_where_upstream_has_them():
    assert len(ATTRIBUTES) == 26
    assert {name: ATTRIBUTES.index(name) for name in MARKS} == MARKS


def test_lines_of_the_files_belong_together(fine):
    reading, ledgers, account = fine.read("category_fine")
    rows = {row["image_id"]: (row["status"], row["category"], row["attributes"]) for row in reading.items}
    assert rows == {
        "Striped_Tee/img_00000001": ("train", "Tee", "striped|knit"),
        "Maxi_Dress/img_00000001": ("train", "Dress", "striped|knit"),
        "A_Coat/img_00000001": ("val", "Tee", "striped|knit"),
        "Plain_Jeans/img_00000003": ("test", "Tee", "striped|knit"),
    }
    assert {image.split for image in reading.images} == {"train", "val", "test"}
    assert account.notes["partition"] == {"test": 1, "train": 2, "val": 1}
    assert ledgers["objects"]["rows_in"] == 4


def test_the_stage_keeps_account_of_every_line(fine):
    out = fine.stage("category_fine")
    assert pq.read_table(out / "objects.parquet").num_rows == 4
    assert pq.read_table(out / "items.parquet").num_rows == 4


@pytest.mark.parametrize("what", ["cate", "attr", "bbox"])
def test_files_of_different_length_are_one_message(fine, what):
    path = fine.root / f"Anno_fine/train_{what}.txt"
    fine.text(f"Anno_fine/train_{what}.txt", path.read_text().splitlines()[0] + "\n")
    with pytest.raises(StageError, match=rf"train_{what}.txt: 1 lines, but train.txt names 2 images"):
        fine.read("category_fine")


def test_a_blank_line_keeps_the_others_in_step(fine, rejects):
    fine.text("Anno_fine/train.txt", "\nimg/Maxi_Dress/img_00000001.jpg\n\n\n")
    reading, _, account = fine.read("category_fine")
    rows = {row["image_id"]: row["category"] for row in reading.items if row["status"] == "train"}
    assert rows == {"Maxi_Dress/img_00000001": "Dress"}
    assert ("items", "train.txt:1", "malformed_row") in rejects(account)


@pytest.mark.parametrize(("what", "line"), [("cate", "51"), ("cate", "4 5"), ("attr", "1 0"), ("attr", "2 " * 26)])
def test_malformed_line_rejects_its_image(fine, rejects, what, line):
    path = fine.root / f"Anno_fine/train_{what}.txt"
    fine.text(f"Anno_fine/train_{what}.txt", f"{line}\n{path.read_text().splitlines()[1]}\n")
    reading, ledgers, account = fine.read("category_fine")
    assert len(reading.items) == 3
    assert ("items", "train.txt:1", "malformed_row") in rejects(account)
    assert ("objects", "train_bbox.txt:1", "image_rejected") in rejects(account)
    assert ledgers["objects"]["rows_in"] == 4


def test_missing_images_repeated_names_and_malformed_boxes_are_on_record(fine, rejects):
    fine.text("Anno_fine/train.txt", "img/nobody/img_00000001.jpg\nimg/A_Coat/img_00000001.jpg\n")
    fine.text("Anno_fine/val_bbox.txt", "1 2 3\n")
    _, _, account = fine.read("category_fine")
    assert rejects(account) == [
        ("images", "img/Maxi_Dress/img_00000001", "no_annotation"),
        ("images", "img/Striped_Tee/img_00000001", "no_annotation"),
        ("items", "train.txt:1", "missing_image"),
        ("items", "val.txt:1", "duplicate_row"),
        ("objects", "train_bbox.txt:1", "image_rejected"),
        ("objects", "val_bbox.txt:1", "image_rejected"),
    ]


def test_attributes_and_boxes_may_be_missing(fine, capsys):
    for split in NAMES:
        fine.remove(f"Anno_fine/{split}_attr.txt")
        fine.remove(f"Anno_fine/{split}_bbox.txt")
    reading, _, account = fine.read("category_fine")
    assert len(reading.images) == 4 and not reading.objects
    assert {row["attributes"] for row in reading.items} == {None}
    assert account.notes["test_bbox.txt"] == {"missing": "images of test have no boxes"}
    assert capsys.readouterr().err.count("WARNING") == 6


def test_a_split_without_names_or_categories_is_one_message(fine):
    fine.remove("Anno_fine/val_cate.txt")
    with pytest.raises(StageError, match="no val_cate.txt"):
        fine.read("category_fine")
    fine.remove("Anno_fine/test.txt")
    with pytest.raises(StageError, match="no (test|val_cate).txt"):
        fine.read("category_fine")


def test_high_resolution_brings_no_boxes(fine):
    (fine.root / "img").rename(fine.root / "img_highres")
    reading, ledgers, account = fine.read("category_fine")
    assert len(reading.images) == 4 and "objects" not in ledgers
    assert "Img/img" in account.notes
