"""What evaluation writes, against numbers worked out by hand."""

import csv
from argparse import Namespace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from stages.contracts.tables import BOXES, read_table
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


def column(path, name):
    with open(path, encoding="utf-8") as stream:
        return [float(row[name]) for row in csv.DictReader(stream)]


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


def test_curves_by_hand(tmp_path):
    evaluate._write_curves(FOUND, tmp_path)
    at = column(tmp_path / "confidence.csv", "confidence")
    recall = dict(zip(at, column(tmp_path / "confidence.csv", "recall"), strict=True))
    f1 = dict(zip(at, column(tmp_path / "confidence.csv", "f1"), strict=True))
    assert len(at) == 101
    # Means over tops and bottoms; the bottom is never found.
    assert recall[0.05] == pytest.approx(0.5) and recall[0.8] == pytest.approx(0.5, abs=0.01)
    assert recall[0.9] == pytest.approx(0.25, abs=0.03) and recall[0.95] == 0
    assert f1[0.8] == pytest.approx(0.5, abs=0.01)  # precision 1, recall 1 of the tops
    assert f1[0.05] == pytest.approx(0.4)  # precision 2/3, recall 1: .8
    precision = dict(
        zip(
            column(tmp_path / "precision_recall.csv", "recall"),
            column(tmp_path / "precision_recall.csv", "precision"),
            strict=True,
        )
    )
    assert precision[0.0] == precision[0.9] == pytest.approx(0.5)  # tops 1, bottoms 0


class Found:
    """A detector that sees the same red rectangle in every picture."""

    def predict(self, images, confidence, iou):
        return [[{"superclass": "top", "confidence": 0.9, "x1": 0, "y1": 0, "x2": 5, "y2": 5}] for _ in images]


@pytest.mark.parametrize("background", [True, False])
def test_false_alarms_on_background_are_counted_where_it_is_background(rectangles, tmp_path, background):
    boxes = read_table(rectangles / "boxes/tiny/boxes.parquet", BOXES).to_pandas()
    test = boxes[boxes["split"] == "test"]
    evaluate._confusion_and_samples(Found(), rectangles / "ingested", test, background, tmp_path)
    with open(tmp_path / "confusion.csv", encoding="utf-8") as stream:
        pairs = [tuple(row.values()) for row in csv.DictReader(stream)]
    # Three of the four test pictures have a box, which the detector misses.
    assert [predicted for _, predicted in pairs].count("background") == 3
    assert pairs.count(("background", "top")) == (4 if background else 3)


@pytest.mark.slow
def test_stage_writes_scores_curves_confusion_and_pictures(rectangles, tiny, tmp_path, monkeypatch):
    import torch

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEAMLINE_DEVICE", "cpu")
    (tmp_path / "params.yaml").write_text("runtime: {threads: 1, deterministic: true}\n")
    places = {"ingested": rectangles / "ingested", "boxes": rectangles / "boxes/tiny"}
    params = SimpleNamespace(detector=tiny(epochs=2))
    train.main(Namespace(detector="tiny", out=tmp_path / "model", **places), params)
    report = evaluate.main(
        Namespace(detector="tiny", model=tmp_path / "model", out=tmp_path / "scores", **places), params
    )
    torch.use_deterministic_algorithms(False)
    scores = read_json(tmp_path / "scores.json")
    assert (scores["boxes"], scores["images"]) == (3, 3)
    assert set(scores) == {"map50", "map50_95", "precision", "recall", "f1", "f1_confidence", "per_class",
                           "baseline_map50_constant_box", "boxes", "images"}  # fmt: skip
    assert report.metrics["map50"] == pytest.approx(scores["map50"], abs=1e-6)
    for name in (
        "train_box_loss",
        "train_class_loss",
        "train_dfl_loss",
        "val_box_loss",
        "val_class_loss",
        "val_dfl_loss",
    ):
        assert len(column(tmp_path / "scores/losses.csv", name)) == 2
        assert min(column(tmp_path / "scores/losses.csv", name)) > 0
    assert len(column(tmp_path / "scores/confidence.csv", "f1")) == 101
    assert Image.open(tmp_path / "scores/samples.jpg").size == (4 * 220, 220)  # three pictures
