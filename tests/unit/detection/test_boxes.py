"""From pixel boxes of many classes to normalized boxes of few."""

import json

import pandas as pd
import pytest
from five_boxes import FIVE, stage, things
from places import TABLES

from stages.contracts.ledger import Account
from stages.contracts.tables import BOXES, OBJECTS, read_table, write_rows
from stages.core.errors import StageError
from stages.detection import boxes
from stages.detection.yolo_directory import yolo_lines

# The golden sample of docs/datasets.md, 468 x 624.
GOLDEN = things(
    ("g:1", "golden", "short sleeve top", 0, 29, 466, 622), ("g:2", "golden", "trousers", 249, 423, 466, 623)
)  # fmt: skip
SIZES = pd.DataFrame([{"image_id": "golden", "split": "train", "width": 468, "height": 624}])


def test_golden_sample_is_normalized_as_published():
    lines = yolo_lines(
        boxes.normalize(pd.DataFrame(GOLDEN).merge(SIZES)).assign(superclass=["short sleeve top", "trousers"]),
        list(boxes.read_classes(TABLES / "deepfashion2_classes.csv", "category_name")),  # the 13 classes in their order
    )
    assert lines == ["0 0.497863 0.521635 0.995726 0.950321", "7 0.763889 0.838141 0.463675 0.320513"]


def test_thirteen_classes_merge_into_five():
    merged = boxes.read_classes(TABLES / "deepfashion2_classes.csv", "category_name")
    groups = {name: sorted(key for key, value in merged.items() if value == name) for name in FIVE}
    assert groups == {
        "outwear": ["long sleeve outwear", "short sleeve outwear"],
        "dress": ["long sleeve dress", "short sleeve dress", "sling", "sling dress", "vest dress"],
        "bottom": ["shorts", "skirt", "trousers"],
        "top": ["long sleeve top", "short sleeve top"],
        "vest": ["vest"],
    }


def merged(objects, classes=None, ids=None):
    account = Account("deepfashion2")
    classes = classes or {"short sleeve top": "top", "trousers": "bottom", "bag": ""}
    return boxes.box_table(pd.DataFrame(objects), SIZES, classes, ids or {"top": 3, "bottom": 1}, account), account


def test_table_has_joint_class_ids_and_is_sorted():
    table, account = merged(list(reversed(GOLDEN)))
    assert list(table["object_id"]) == ["g:1", "g:2"]
    assert list(table["class_id"]) == [3, 1]
    assert account.ledger("boxes").summary() == {"rows_in": 2, "rows_kept": 2, "rejected": {}, "repaired": {}}


def test_class_that_is_no_garment_is_rejected():
    table, account = merged([*GOLDEN, *things(("g:3", "golden", "bag", 1, 1, 9, 9))])
    assert len(table) == 2
    assert [(row.key, row.reason, row.detail) for row in account.ledger("boxes").rejects] == [
        ("g:3", "not_a_garment", "bag")
    ]


def test_unknown_class_is_one_message_with_class_and_known_ones():
    with pytest.raises(
        StageError,
        match=r"deepfashion2: .*does not know: poncho. Known: bag, short sleeve top, trousers. .*classes_table",
    ):
        merged(things(("g:1", "golden", "poncho", 1, 1, 9, 9)))


def test_superclass_that_is_not_in_the_list_is_one_message():
    with pytest.raises(StageError, match=r"superclass scarf is not in superclasses.csv \(bottom, top\)"):
        merged(things(("g:1", "golden", "bag", 1, 1, 9, 9)), classes={"bag": "scarf"})


def test_missing_class_table_or_column_is_one_message():
    with pytest.raises(StageError, match="no such class table.*classes_table"):
        boxes.read_classes(TABLES / "none.csv", "x")
    with pytest.raises(StageError, match="no column 'class'; it has category_id, category_name, superclass"):
        boxes.read_classes(TABLES / "deepfashion2_classes.csv", "class")


def test_stage_writes_the_box_table(ingested):
    rows = read_table(stage(ingested) / "boxes.parquet", BOXES).to_pylist()
    assert rows[0] == {
        "object_id": "a:1", "image_id": "a", "split": "train", "superclass": "vest", "class_id": 4,
        "cx": 0.2, "cy": 0.2, "w": 0.2, "h": 0.2,
    }  # fmt: skip
    assert [row["object_id"] for row in rows] == ["a:1", "a:2", "b:1", "c:1"]


def test_superclass_that_the_detector_does_not_list_is_one_message(ingested):
    with pytest.raises(
        StageError, match=r"boxes of superclass vest but `detector.deepfashion2.superclasses` lists bottom, top"
    ):
        stage(ingested, superclasses=["top", "bottom"])


def test_split_without_boxes_is_one_message(ingested):
    write_rows(ingested / "objects.parquet", OBJECTS, things(("a:1", "a", "vest", 1, 1, 9, 9)))
    with pytest.raises(StageError, match="no boxes in split val; found 1 boxes"):
        stage(ingested)


def test_source_without_boxes_is_one_message(ingested):
    write_rows(ingested / "objects.parquet", OBJECTS, [])
    with pytest.raises(StageError, match="has 4 images but no boxes.*take deepfashion2 out of `detectors`"):
        stage(ingested)


def test_boxes_of_the_salient_network_are_counted_and_said_to_be_no_truth_where_they_are_scored(ingested, caplog):
    own = [("a:1", "a", "vest", 1, 1, 9, 9), ("c:1", "c", "vest", 1, 1, 9, 9)]
    drawn = [("b:salient", "b", "vest", 1, 1, 9, 9), ("empty:salient", "empty", "vest", 1, 1, 9, 9)]
    write_rows(ingested / "objects.parquet", OBJECTS, things(*own, *drawn))
    with caplog.at_level("WARNING"):
        looked = Account("deepfashion2")
    ledger = looked.ledger("salient")
    ledger.rows_in, ledger.kept = 3, 2
    ledger.reject("d", "nothing_salient")
    looked.write(ingested)
    out = stage(ingested)
    account = json.loads((out / "account.json").read_text())
    assert account["salient"] == {
        "rows_in": 3, "rows_kept": 2, "rejected": {"nothing_salient": 1}, "repaired": {}
    }  # fmt: skip
    assert account["notes"]["boxes that the salient network drew"] == {"train": 1, "val": 1}
    assert "deepfashion2: U²-Net-p drew the boxes of val, so scores there" in caplog.text


def test_account_says_nothing_of_the_salient_network_where_it_drew_nothing(ingested):
    account = json.loads((stage(ingested) / "account.json").read_text())
    assert set(account["notes"]) == {"boxes per split and class"}


NUMBERS = ["001", "1e3", "10.50", "+5", "NA", "no", "yes", "null", "", "0x1F", "1_000", "2024-01-01"]
SPOKEN = ["Jupe, longue", "caf\u00e9 cr\u00e8me", 'a "quoted" name', " leading space", "\u5e3d\u5b50", "a\tb"]


@pytest.mark.parametrize("column", ["class_name", "superclass"])
def test_names_in_tables_stay_the_text_that_they_are(tmp_path, column):
    names = [name for name in NUMBERS + SPOKEN if name]
    other = {"class_name": "superclass", "superclass": "class_name"}[column]
    frame = pd.DataFrame({column: names, other: [f"x{number}" for number in range(len(names))]})
    frame.to_csv(tmp_path / "classes.csv", index=False)
    found = boxes.read_classes(tmp_path / "classes.csv", "class_name")
    assert list(found if column == "class_name" else found.values()) == names


def test_names_compare_however_they_are_composed(tmp_path):
    (tmp_path / "classes.csv").write_text("class_name,superclass\nBlu\u0301se,top\n", encoding="utf-8-sig")
    assert boxes.read_classes(tmp_path / "classes.csv", "class_name") == {"Bl\u00fase": "top"}


def test_superclasses_that_look_like_numbers_have_their_ids(tmp_path):
    (tmp_path / "superclasses.csv").write_text("id,superclass\n0,001\n1,NA\n2,no\n")
    assert boxes.superclass_ids(tmp_path / "superclasses.csv") == {"001": 0, "NA": 1, "no": 2}


def test_a_class_table_saved_from_excel_is_read(tmp_path):
    text = "label;superclass;count\r\nM\xfctze;headwear;3\r\nKleid;dress;4\r\n"
    (tmp_path / "classes.csv").write_bytes(text.encode("cp1252"))
    assert boxes.read_classes(tmp_path / "classes.csv", "label") == {"M\xfctze": "headwear", "Kleid": "dress"}
