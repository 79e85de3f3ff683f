"""What evaluation writes, against numbers worked out by hand."""

import csv
import shutil
from argparse import Namespace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from stages.contracts.tables import BOXES, UNBOXED, read_table, write_rows
from stages.core.files import read_json
from stages.detection import evaluate_detector as evaluate
from stages.detection.training import train_detector as train
from stages.networks.detector.model import quiet_ultralytics

NAMES = ["top", "bottom", "dress"]


def metrics(*found, truth):
    """Ultralytics' metrics of detections (confidence, class, whether they hit at every IoU) and true classes."""
    quiet_ultralytics()
    from ultralytics.utils.metrics import Metric, ap_per_class

    box = Metric()
    box.nc = len(NAMES)
    confidence, classes, hits = (np.array(column) for column in zip(*found, strict=True))
    right = np.repeat(hits.astype(bool)[:, None], 10, axis=1)
    box.update(ap_per_class(right, confidence.astype(float), classes, np.array(truth))[2:])
    return SimpleNamespace(box=box)


# Two tops, found at .9 and .8, and a false alarm at .1; one bottom that is never found. No dress anywhere.
FOUND = metrics((0.9, 0, 1), (0.8, 0, 1), (0.1, 0, 0), (0.7, 2, 0), truth=[0, 0, 1])


def test_scores_by_hand():
    scores = evaluate._scores(FOUND, NAMES)
    assert set(scores["per_class"]) == {"top", "bottom"}  # a class that the truth has not has no recall
    top, bottom = scores["per_class"]["top"], scores["per_class"]["bottom"]
    assert (top["map50"], top["map50_95"]) == (pytest.approx(0.995), pytest.approx(0.995))  # Ultralytics' whole curve
    assert top["precision"] == pytest.approx(1, abs=0.05) and top["recall"] == pytest.approx(1, abs=0.05)
    assert (bottom["recall"], bottom["map50"], bottom["map50_95"]) == (0, 0, 0)
    assert scores["map50"] == pytest.approx(0.995 / 2)
    assert scores["recall"] == pytest.approx(0.5, abs=0.03)
    # F1 of the tops rises to 1 at .8, where the second is still found, and falls to 2/3 at .9.
    assert scores["f1_confidence"] == pytest.approx(0.8, abs=0.06)


def test_curves_by_hand():
    plots = evaluate.Plots()
    evaluate._add_curves("shoes", FOUND, plots)
    assert {panel for panel, *_ in plots.confidence + plots.precision_recall} == {"shoes"}
    recall, f1 = ({x: y for _, line, x, y in plots.confidence if line == name} for name in ("recall", "F1"))
    assert len(recall) == len(f1) == 101
    # Means over tops and bottoms; the bottom is never found.
    assert recall[0.05] == pytest.approx(0.5) and recall[0.8] == pytest.approx(0.5, abs=0.01)
    assert recall[0.9] == pytest.approx(0.25, abs=0.03) and recall[0.95] == 0
    assert f1[0.8] == pytest.approx(0.5, abs=0.01)  # precision 1, recall 1 of the tops
    assert f1[0.05] == pytest.approx(0.4)  # precision 2/3, recall 1: .8
    precision = {x: y for _, _, x, y in plots.precision_recall}
    assert precision[0.0] == precision[0.9] == pytest.approx(0.5)  # tops 1, bottoms 0


def test_losses_have_a_panel_each_with_train_and_validation_in_it():
    history = pd.DataFrame(
        {"epoch": [1, 2], "train_box_loss": [4.0, 2.0], "val_box_loss": [3.0, 2.5], "val_map50": [0, 1]}
    )
    assert evaluate.losses("shoes", history) == [
        ["shoes, box", "train", 1, 4.0], ["shoes, box", "train", 2, 2.0],
        ["shoes, box", "validation", 1, 3.0], ["shoes, box", "validation", 2, 2.5],
    ]  # fmt: skip


class Found:
    """A detector that sees the same red rectangle in every picture."""

    def predict(self, images, confidence, iou):
        return [[{"superclass": "top", "confidence": 0.9, "x1": 0, "y1": 0, "x2": 5, "y2": 5}] for _ in images]


@pytest.mark.parametrize("background", [True, False])
def test_false_alarms_on_background_are_counted_where_it_is_background(rectangles, tmp_path, background):
    boxes = read_table(rectangles / "boxes/tiny/boxes.parquet", BOXES).to_pandas()
    test = boxes[boxes["split"] == "test"]
    counts = evaluate._confusion_and_samples(Found(), rectangles / "ingested", test, background, tmp_path / "p.jpg")
    # Three of the four test pictures have a box, which the detector misses.
    assert sum(count for (_, predicted), count in counts.items() if predicted == "background") == 3
    assert counts["background", "top"] == (4 if background else 3)


def test_picture_whose_boxes_were_all_rejected_is_no_background_to_score_on(rectangles, tmp_path):
    boxes = read_table(rectangles / "boxes/tiny/boxes.parquet", BOXES).to_pandas()
    test = boxes[boxes["split"] == "test"]
    ingested = shutil.copytree(rectangles / "ingested", tmp_path / "ingested")
    write_rows(ingested / "unboxed.parquet", UNBOXED, [{"image_id": "test00"}])
    counts = evaluate._confusion_and_samples(Found(), ingested, test, True, tmp_path / "p.jpg")
    assert counts["background", "top"] == 3


@pytest.mark.slow
def test_stage_writes_scores_curves_confusion_and_pictures(rectangles, tiny, tmp_path, monkeypatch):
    import torch

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEAMLINE_DEVICE", "cpu")
    (tmp_path / "params.yaml").write_text("runtime: {threads: 1, deterministic: true}\n")
    places = {"ingested": rectangles / "ingested", "boxes": rectangles / "boxes/tiny"}
    options = tiny(epochs=2)
    train.main(Namespace(detector="tiny", out=tmp_path / "models/tiny", **places), SimpleNamespace(detector=options))
    (tmp_path / "ingested").mkdir()
    (tmp_path / "ingested/tiny").symlink_to(rectangles / "ingested")
    outs = {name: tmp_path / name for name in ("models", "ingested", "metrics", "plots", "report")}
    params = SimpleNamespace(detectors=["tiny"], detector={"tiny": options, "other": None})
    report = evaluate.main(Namespace(boxes=rectangles / "boxes", **outs), params)
    torch.use_deterministic_algorithms(False)
    scores, metrics = read_json(tmp_path / "report/tiny.json"), read_json(tmp_path / "metrics/tiny.json")
    assert (scores["boxes"], scores["images"]) == (3, 3)
    assert set(metrics) == {"map50", "map50_95", "constant_box", "precision", "recall", "f1", "images", "boxes"}
    assert set(scores) - set(metrics) == {"per_class", "f1_confidence"}
    assert metrics.items() <= scores.items()
    assert report.metrics["tiny.map50"] == pytest.approx(scores["map50"], abs=1e-6)
    with (tmp_path / "plots/losses.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 2 * 3 * 2  # train and validation of three losses over two epochs
    assert {row["panel"] for row in rows} == {f"tiny, {loss}" for loss in ("box", "class", "dfl")}
    assert min(float(row["y"]) for row in rows) > 0
    assert Image.open(tmp_path / "report/tiny.jpg").size == (4 * 220, 220)  # three pictures
