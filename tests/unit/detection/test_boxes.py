"""From pixel boxes of many classes to normalised boxes of few."""

import shutil
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import yaml
from PIL import Image
from places import TABLES

from stages.contracts.images import encode_jpeg
from stages.contracts.ledger import Account
from stages.contracts.tables import BOXES, IMAGES, OBJECTS, UNBOXED, read_table, write_rows, write_shards
from stages.core.errors import StageError
from stages.detection import boxes, export_yolo
from stages.detection.params import DetectorParams
from stages.detection.yolo_directory import cached_yolo_directory, write_yolo_directory, yolo_lines

FIVE = ["outwear", "bottom", "dress", "top", "vest"]


def params(**changes):
    values = yaml.safe_load((TABLES.parent / "params.yaml").read_text())["detector"]["deepfashion2"]
    return DetectorParams.model_validate(values | {"superclasses": FIVE} | changes)


def things(*rows):
    names = ("object_id", "image_id", "class_name", "x1", "y1", "x2", "y2")
    return [dict(zip(names, row, strict=True)) | {"pair_id": None, "style": None} for row in rows]


# The golden sample of docs/datasets.md, 468 x 624.
GOLDEN = things(
    ("g:1", "golden", "short sleeve top", 0, 29, 466, 622), ("g:2", "golden", "trousers", 249, 423, 466, 623)
)  # fmt: skip
SIZES = pd.DataFrame([{"image_id": "golden", "split": "train", "width": 468, "height": 624}])


def test_golden_sample_is_normalised_as_published():
    lines = yolo_lines(
        boxes.normalise(pd.DataFrame(GOLDEN).merge(SIZES)).assign(superclass=["short sleeve top", "trousers"]),
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


@pytest.fixture
def ingested(tmp_path):
    """Three images with a box, one in each split, and one train image without."""
    jpeg = encode_jpeg(Image.new("RGB", (100, 200), "gray"))
    images = [
        {"image_id": name, "source": "s", "split": split, "group_id": name, "cluster": name, "width": 100, "height": 200, "sha256": "", "bytes": jpeg}
        for name, split in (("a", "train"), ("b", "val"), ("c", "test"), ("empty", "train"))
    ]  # fmt: skip
    write_shards(tmp_path / "ingested", IMAGES, images, "image_id", 2)
    rows = [(f"{name}:1", name, "vest", 10, 20, 30, 60) for name in "abc"] + [("a:2", "a", "skirt", 0, 0, 100, 200)]
    write_rows(tmp_path / "ingested/objects.parquet", OBJECTS, things(*rows))
    return tmp_path / "ingested"


def stage(ingested, **changes):
    args = Namespace(detector="deepfashion2", ingested=ingested, tables=TABLES, out=ingested.parent / "boxes")
    boxes.main(args, SimpleNamespace(detector=params(**changes)))
    return args.out


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


@pytest.mark.parametrize("background", [True, False])
def test_yolo_directory_is_a_standard_one(ingested, background):
    data = write_yolo_directory(ingested, stage(ingested), FIVE, background, ingested.parent / "yolo")
    root = data.parent
    files = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.*"))
    expected = [f"{kind}/{split}/{name}" for kind, end in (("images", "jpg"), ("labels", "txt")) for split, name in
                (("test", f"c.{end}"), ("train", f"a.{end}"), ("val", f"b.{end}"))]  # fmt: skip
    if background:
        expected += ["images/train/empty.jpg", "labels/train/empty.txt"]
        assert (root / "labels/train/empty.txt").read_text() == ""
    assert files == sorted(["data.yaml", *expected])
    # Class numbers are positions in the detector's own list, not joint ids.
    assert (root / "labels/train/a.txt").read_text() == (
        "4 0.200000 0.200000 0.200000 0.200000\n1 0.500000 0.500000 1.000000 1.000000\n"
    )
    content = yaml.safe_load(data.read_text())
    assert content["names"] == dict(enumerate(FIVE))
    assert (content["train"], content["val"], content["test"]) == ("images/train", "images/val", "images/test")


def test_yolo_directory_is_reused_until_its_inputs_change(ingested):
    table, work = stage(ingested), ingested.parent / "work"
    first = cached_yolo_directory(ingested, table, FIVE, True, work)
    marked = first.parent / "mark"
    marked.touch()
    assert cached_yolo_directory(ingested, table, FIVE, True, work) == first
    assert marked.exists()
    assert cached_yolo_directory(ingested, table, FIVE, False, work) != first
    assert cached_yolo_directory(ingested, table, FIVE[::-1], True, work) != first
    write_rows(table / "boxes.parquet", BOXES, read_table(table / "boxes.parquet").to_pylist()[:3])
    assert cached_yolo_directory(ingested, table, FIVE, True, work) != first


def test_image_whose_boxes_were_all_rejected_is_left_out_and_the_directory_is_another(ingested):
    table, work = stage(ingested), ingested.parent / "work"
    before = cached_yolo_directory(ingested, table, FIVE, True, work)
    assert (before.parent / "images/train/empty.jpg").is_file()
    write_rows(ingested / "unboxed.parquet", UNBOXED, [{"image_id": "empty"}])
    after = cached_yolo_directory(ingested, table, FIVE, True, work)
    assert after != before
    assert sorted(path.name for path in (after.parent / "images/train").iterdir()) == ["a.jpg"]
    assert sorted(path.name for path in (after.parent / "labels/train").iterdir()) == ["a.txt"]


def test_params_reach_ultralytics_under_its_names():
    arguments = params(epochs=7, patience=0, image_size=96).ultralytics()
    assert (arguments["epochs"], arguments["patience"], arguments["imgsz"], arguments["lr0"]) == (7, 7, 96, 0.002)
    assert arguments["hsv_h"] == 0.015


def exported(ingested, monkeypatch):
    """What the command writes for a profile that has ingested ``ingested``, and the detector's params."""
    monkeypatch.chdir(ingested.parent)
    detector = params().model_dump(mode="json")
    Path("params.yaml").write_text(yaml.safe_dump({"profile": "mine", "detector": {"deepfashion2": detector}}))
    shutil.copytree(ingested, "data/mine/ingested/deepfashion2")
    shutil.copytree(stage(ingested), "data/mine/boxes/deepfashion2")
    monkeypatch.setattr("sys.argv", ["export_yolo", "deepfashion2", "moved/later"])
    export_yolo.main()
    return Path("moved/later").rename("moved/now")


def test_exported_directory_is_read_back_by_ultralytics_with_the_same_boxes_and_names(ingested, monkeypatch):
    """An independent reader; the directory was moved after it was written, as a user may do."""
    from ultralytics.data.dataset import YOLODataset
    from ultralytics.data.utils import check_det_dataset

    root = exported(ingested, monkeypatch)
    data = check_det_dataset(str((root / "data.yaml").absolute()), autodownload=False)
    assert data["names"] == dict(enumerate(FIVE))
    found = {}
    for split in ("train", "val", "test"):
        for row in YOLODataset(img_path=data[split], data=data, imgsz=32, task="detect").labels:
            image = Path(row["im_file"]).stem
            for number, box in zip(row["cls"][:, 0], row["bboxes"], strict=True):
                found.setdefault((split, image, data["names"][int(number)]), []).append(box.tolist())
    table = read_table(stage(ingested) / "boxes.parquet", BOXES).to_pylist()
    assert len(table) == sum(map(len, found.values())) == 4
    for row in table:
        (box,) = found[row["split"], row["image_id"], row["superclass"]]
        assert box == pytest.approx([row["cx"], row["cy"], row["w"], row["h"]], abs=1e-6)


def test_export_into_a_folder_with_files_is_one_message(ingested, monkeypatch, capsys):
    exported(ingested, monkeypatch)
    monkeypatch.setattr("sys.argv", ["export_yolo", "deepfashion2", "moved/now"])
    with pytest.raises(SystemExit):
        export_yolo.main()
    assert "moved/now: is there already and not an empty folder" in capsys.readouterr().err


def test_export_of_an_unknown_detector_is_one_message(ingested, monkeypatch, capsys):
    exported(ingested, monkeypatch)
    monkeypatch.setattr("sys.argv", ["export_yolo", "gloves", "elsewhere"])
    with pytest.raises(SystemExit):
        export_yolo.main()
    assert "`detector.gloves` is missing" in capsys.readouterr().err


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
