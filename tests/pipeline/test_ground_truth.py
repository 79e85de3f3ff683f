"""What cleaning and matching made of the demo, asked of the ground truth that no stage reads."""

import sys
from collections import defaultdict
from pathlib import Path

import pytest
from commands import run, succeed

from stages.core.tables import IMAGES, OBJECTS, read_shards, read_table
from stages.labels.merge_tables import read_label_tables
from stages.report.audit import audit

pytestmark = pytest.mark.slow

LABEL_SOURCES = ("fashion_products", "deepfashion_mm")
BOX_SOURCES = ("deepfashion2", "headwear", "shoes")


def venv() -> str:
    """The environment that runs these tests, for `make`."""
    return str(Path(sys.executable).parents[1])


@pytest.fixture(scope="module")
def result(demo):
    return audit(demo / "data" / "demo", read_label_tables(demo / "tables"), list(LABEL_SOURCES))


@pytest.mark.parametrize("source", LABEL_SOURCES)
def test_at_least_99_percent_of_the_labels_that_stay_are_right_and_more_than_before(result, source):
    after, before = result[source]["after"], result[source]["before"]
    right, rows = (sum(getattr(share, part) for share in after.values()) for part in ("right", "rows"))
    assert rows > 1000
    assert right / rows >= 0.99
    for head, share in before.items():
        assert after[head].value > share.value, head


@pytest.mark.parametrize("source", LABEL_SOURCES)
def test_at_least_95_percent_of_the_crops_show_the_garment_of_their_label(result, source):
    share = result[source]["crops"]["all"]
    assert share.rows > 300
    assert share.value >= 0.95


@pytest.mark.parametrize("source", BOX_SOURCES)
def test_boxes_after_repair_are_those_that_were_drawn(demo, source):
    """Reversed, negative, border-crossing, display-scaled, float and EXIF-rotated boxes included."""
    truth = {row["item"]: row for row in read_table(demo / f"data/demo/truth/{source}/garments.parquet").to_pylist()}
    boxes = read_table(demo / f"data/demo/ingested/{source}/objects.parquet", OBJECTS).to_pylist()
    assert len(boxes) > 100
    for box in boxes:
        for side in ("x1", "y1", "x2", "y2"):
            # Boxes given for a picture scaled to half its size are true to two pixels.
            assert abs(box[side] - truth[box["object_id"]][side]) <= 2, (box["object_id"], side)


@pytest.mark.parametrize("source", BOX_SOURCES)
def test_near_duplicates_never_cross_the_splits_that_detectors_train_on(demo, source):
    rows = read_shards(demo / f"data/demo/ingested/{source}", ["image_id", "cluster", "group_id", "split"]).to_pylist()
    assert set(IMAGES.names) >= set(rows[0])
    for key in ("cluster",):
        splits = defaultdict(set)
        for row in rows:
            splits[row[key]].add(row["split"])
        assert [name for name, found in splits.items() if len(found) > 1] == []
    if source == "headwear":  # the demo draws some, so that this test can fail
        assert len({row["cluster"] for row in rows}) < len(rows)


def test_audit_command_prints_the_tables(demo):
    output = succeed("python", "-m", "stages.report.audit", cwd=demo)
    assert "| fashion_products | color |" in output
    assert "| deepfashion_mm | all |" in output


def test_ingest_report_names_counts_reasons_and_examples(demo):
    output = succeed("make", "ingest-report", "SOURCE=shoes", f"VENV={venv()}", cwd=demo)
    assert "reversed" in output
    assert "missing_image" in output
    assert "961" in output  # what a complete download has


def test_ingest_report_of_an_unknown_source_is_one_message(demo):
    done = run("python", "-m", "stages.ingest.report", "gloves", cwd=demo)
    assert done.returncode != 0
    assert "gloves" in done.stderr
    assert "Traceback" not in done.stderr


def test_exported_yolo_directory_holds_every_box(demo, tmp_path):
    out = tmp_path / "yolo"
    succeed("make", "export-yolo", "DETECTOR=shoes", f"OUT={out}", f"VENV={venv()}", cwd=demo)
    lines = [line for path in (out / "labels").rglob("*.txt") for line in path.read_text().splitlines()]
    assert len(lines) == read_table(demo / "data/demo/boxes/shoes/boxes.parquet").num_rows
