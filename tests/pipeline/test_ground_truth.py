"""What cleaning and matching made of the demo, asked of the ground truth that no stage reads."""

import sys
from collections import defaultdict
from pathlib import Path

import pytest
import yaml
from commands import run, succeed

from stages.contracts.tables import IMAGES, OBJECTS, read_shards, read_table
from stages.core.params import load_params, section
from stages.demo.truth import NOISY_HEADS
from stages.labels.merging import read_label_tables
from stages.leakage.same_item import LeakageParams
from stages.report import item_leaks, label_errors
from stages.report.attention_maps import measure
from stages.report.audit import audit, label_shares, planted_errors

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
def test_at_least_99_percent_of_the_labels_that_stay_and_have_no_planted_error_are_right(result, source):
    for head, share in result[source]["after"].items():
        assert share.value >= 0.99, head
    assert sum(share.rows for share in result[source]["after"].values()) > 1000


def test_planted_errors_come_through_cleaning(result):
    """Three percent of the types, and of the colors where upstream labels them; no policy can see them."""
    for source, head in (("fashion_products", "type"), ("fashion_products", "color"), ("deepfashion_mm", "type")):
        assert 0.02 <= result[source]["planted"][head].value <= 0.04, (source, head)
    assert result["deepfashion_mm"]["planted"]["color"].right == 0


def test_the_layer_policy_puts_labels_right_that_were_wrong(result):
    """On the same rows: cleaning Fashion Products leaves out, cleaning layers corrects."""
    for head in ("fabric", "pattern"):
        before, after = (result["deepfashion_mm"][name][head] for name in ("before, kept", "after"))
        assert after.right > before.right + 300
    for head in ("gender", "type", "usage", "color"):
        parts = result["fashion_products"]
        assert parts["after"][head].value > parts["before"][head].value


def test_corrections_by_hand_put_the_wrong_labels_right(demo, tmp_path):
    """The annotators' wrong labels, found by the truth, corrected through relabel.csv as a person would.

    A finder that names the labels which differ from the truth has precision and recall 1 against the planted ones.
    """
    truth = {
        row["item"]: row
        for row in read_table(demo / "data/demo/truth/fashion_products/garments.parquet").to_pylist()
        if row["item"]
    }
    before = read_table(demo / "data/demo/labels/fashion_products/labels.parquet").to_pylist()
    found = [
        (row["item_id"], head)
        for row in before
        for head in NOISY_HEADS
        if row[head] not in (None, truth[row["item_id"]][head])
    ]
    planted = planted_errors(before, truth)
    assert {(item, head) for head, items in planted.items() for item in items} == set(found)
    assert min(len(items) for items in planted.values()) >= 5
    lines = ["source,item_id,column,value,reason"]
    lines += [f"fashion_products,{item},{head},{truth[item][head]},wrong" for item, head in found]
    (tmp_path / "relabel.csv").write_text("\n".join(lines) + "\n")
    succeed("python", "-m", "stages.run", "labels", "fashion_products", "data/demo/ingested/fashion_products", "tables",
            str(tmp_path / "relabel.csv"), str(tmp_path / "out"), cwd=demo, SEAMLINE_TRACKING="off")  # fmt: skip
    labels = read_table(tmp_path / "out" / "labels.parquet").to_pylist()
    shares = label_shares(labels, truth)
    assert all(share.right == share.rows for share in shares.values())
    assert planted_errors(labels, truth) == {"type": set(), "color": set()}


@pytest.mark.parametrize("source", LABEL_SOURCES)
def test_most_crops_show_the_garment_of_their_label(result, source):
    """A detector that has learned for half a minute takes some vests for tops; 99 and 94 % today."""
    share = result[source]["crops"]["all"]
    assert share.rows > 300
    assert share.value >= 0.95


@pytest.mark.parametrize("source", BOX_SOURCES)
def test_boxes_after_repair_are_those_that_were_drawn(demo, source):
    """Reversed, negative, border-crossing, display-scaled, float and EXIF-rotated boxes included."""
    truth = {row["item"]: row for row in read_table(demo / f"data/demo/truth/{source}/garments.parquet").to_pylist()}
    boxes = read_table(demo / f"data/demo/ingested/{source}/objects.parquet", OBJECTS).to_pylist()
    rejects = read_table(demo / f"data/demo/ingested/{source}/rejects.parquet").to_pylist()
    gone = {row["key"].rsplit(".", 1)[0] for row in rejects if row["table"] == "images"}
    lost = set(truth) - {None} - {box["object_id"] for box in boxes}
    # No box is lost but with its image: a copy, or one without an annotation.
    assert {name.rsplit(":", 1)[0] for name in lost} <= gone
    assert len(boxes) > 100
    for box in boxes:
        for side in ("x1", "y1", "x2", "y2"):
            # Boxes given for a picture scaled to half its size are true to two pixels.
            assert abs(box[side] - truth[box["object_id"]][side]) <= 2, (box["object_id"], side)


@pytest.mark.parametrize("source", BOX_SOURCES)
def test_near_duplicates_never_cross_the_splits_that_detectors_train_on(demo, source):
    rows = read_shards(demo / f"data/demo/ingested/{source}", ["image_id", "cluster", "group_id", "split"]).to_pylist()
    assert set(IMAGES.names) >= set(rows[0])
    for key in ("cluster", "group_id"):
        splits = defaultdict(set)
        for row in rows:
            splits[row[key]].add(row["split"])
        assert [name for name, found in splits.items() if len(found) > 1] == []
    if source == "headwear":  # the demo draws some, so that this test can fail
        assert len({row["cluster"] for row in rows}) < len(rows)


def test_all_four_maps_of_attention_lie_on_the_garment_and_differ(demo):
    crops = yaml.safe_load((demo / "params.yaml").read_text(encoding="utf-8"))["crops"]
    shares, uniform, overlap = measure(
        demo / "data/demo", demo / "models/demo/encoders/attention", LABEL_SOURCES, crops
    )
    assert len(shares) == 4 and min(shares) > uniform + 0.1
    assert overlap < 0.8  # .99 while nothing tied a map to its region


def test_audit_command_prints_the_tables(demo):
    output = succeed("python", "-m", "stages.run", "audit", cwd=demo)
    assert "| attention on the garment | glimpse 1 |" in output
    assert "| fashion_products | color |" in output
    assert "| deepfashion_mm | all |" in output


def test_ingest_report_names_counts_reasons_and_examples(demo):
    output = succeed("make", "ingest-report", "SOURCE=shoes", f"VENV={venv()}", cwd=demo)
    assert "reversed" in output
    assert "missing_image" in output
    assert "961" in output  # what a complete download has


def test_ingest_report_of_an_unknown_source_is_one_message(demo):
    done = run("python", "-m", "stages.run", "ingest_report", "gloves", cwd=demo)
    assert done.returncode != 0
    assert "gloves" in done.stderr
    assert "Traceback" not in done.stderr


def test_exported_yolo_directory_holds_every_box(demo, tmp_path):
    out = tmp_path / "yolo"
    succeed("make", "export-yolo", "DETECTOR=shoes", f"OUT={out}", f"VENV={venv()}", cwd=demo)
    lines = [line for path in (out / "labels").rglob("*.txt") for line in path.read_text().splitlines()]
    assert len(lines) == read_table(demo / "data/demo/boxes/shoes/boxes.parquet").num_rows


def test_suggested_corrections_are_wrong_labels_far_more_often_than_a_random_list(demo):
    """Of the first N suggestions of a head, N the number of its wrong labels: chance is 3 % of types, 2.5 % of colors."""
    found = label_errors.measure(demo / "data/demo", LABEL_SOURCES)
    for head in NOISY_HEADS:
        assert 0.02 < found[head].chance < 0.04
        assert found[head].precision > 6 * found[head].chance, head
        assert found[head].mended >= found[head].hits / 2, head


def test_suspects_of_a_planted_leak_are_mostly_right_and_rare_where_nothing_leaked(demo):
    """Of the garments that were photographed anew few are found: the drawn wearers, poses and backgrounds all differ."""
    content = load_params(demo / "params.yaml")
    options = section(LeakageParams, "leakage", content)
    pairs = item_leaks.measure(demo / "data/demo", content["demo_sources"], content["benchmarks"], options)
    assert set(pairs) == {"dataset", "wardrobe", "inshop", "consumer_to_shop", "deepfashion2", "deepfashion2_detected"}
    assert item_leaks.judge(pairs["dataset"], -1).leaked == 0  # no item of the data set is in two splits
    score = item_leaks.judge(item_leaks.joined(list(pairs.values())), options.cosine)
    assert score.leaked > 100 and score.rows - score.leaked > 100
    assert score.precision >= max(0.15, 20 * score.chance)
    assert score.false_alarms <= 1.5 * item_leaks.FALSE_ALARMS
    assert score.recall >= 0.03
