"""A detector's data as a standard YOLO directory."""

import pytest
import yaml
from five_boxes import FIVE, stage

from stages.contracts.tables import BOXES, UNBOXED, read_table, write_rows
from stages.detection.yolo_directory import cached_yolo_directory, write_yolo_directory


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
