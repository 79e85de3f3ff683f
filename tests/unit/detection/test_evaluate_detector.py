"""What evaluation writes, against numbers worked out by hand and against COCO's own evaluation."""

import csv
import shutil
from argparse import Namespace
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from coco import coco_scores
from PIL import Image

from stages.contracts.boxes import iou
from stages.contracts.tables import BOXES, UNBOXED, read_table, write_rows
from stages.core.files import read_json, write_json
from stages.detection import evaluate_detector as evaluate
from stages.detection.evaluate_detector import IOU_THRESHOLDS, confusion_pairs, constant_box_baseline
from stages.detection.training import train_detector as train
from stages.networks.detector.model import quiet_ultralytics
from stages.networks.detector.params import NmsParams

NAMES = ["top", "bottom", "dress"]
NMS = NmsParams(iou=0.7, per_class=True)


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


# Of two tops one is found, and no false alarm: precision 1, recall 1/2. The one bottom is found at .9, after a false
# alarm at .95: precision 1/2, recall 1. Either class has F1 2/3, up to confidence .9.
UNLIKE = metrics((0.9, 0, 1), (0.9, 1, 1), (0.95, 1, 0), truth=[0, 0, 1])


def test_f1_of_several_classes_is_the_mean_of_their_f1():
    """That of mean precision and mean recall, which are 3/4 each, would be 3/4."""
    scores = evaluate._scores(UNLIKE, NAMES)
    assert (scores["precision"], scores["recall"]) == (pytest.approx(3 / 4), pytest.approx(3 / 4))
    assert {name: row["f1"] for name, row in scores["per_class"].items()} == {
        "top": pytest.approx(2 / 3), "bottom": pytest.approx(2 / 3),
    }  # fmt: skip
    assert scores["f1"] == pytest.approx(2 / 3)


def curve(found, line):
    plots = evaluate.Plots()
    evaluate._add_curves("clothes", found, NAMES, plots)
    return {x: y for _, name, x, y in plots.confidence if name == line}


def test_f1_is_a_point_of_its_own_curve():
    assert evaluate._scores(UNLIKE, NAMES)["f1"] <= max(curve(UNLIKE, "F1").values()) + 1e-9
    draw = np.random.default_rng(0)
    rows = zip(draw.random(60), draw.integers(0, 3, 60), draw.random(60) < 0.6, strict=True)
    drawn = metrics(*rows, truth=[0] * 20 + [1] * 15 + [2] * 8)
    scores, f1 = evaluate._scores(drawn, NAMES), curve(drawn, "F1")
    assert scores["f1"] == pytest.approx(np.interp(scores["f1_confidence"], list(f1), list(f1.values())), abs=0.01)
    assert scores["f1"] <= max(f1.values()) + 0.005  # the curve has a point at each hundredth


def test_scores_of_a_detector_that_finds_nothing_right_are_nought():
    nothing = metrics((0.9, 2, 0), truth=[0, 1])
    assert evaluate._scores(nothing, NAMES)["f1"] == 0


def test_curves_by_hand():
    plots = evaluate.Plots()
    evaluate._add_curves("shoes", FOUND, NAMES, plots)
    recall, f1 = ({x: y for _, line, x, y in plots.confidence if line == name} for name in ("recall", "F1"))
    assert len(recall) == len(f1) == 101
    # Means over tops and bottoms; the bottom is never found.
    assert recall[0.05] == pytest.approx(0.5) and recall[0.8] == pytest.approx(0.5, abs=0.01)
    assert recall[0.9] == pytest.approx(0.25, abs=0.03) and recall[0.95] == 0
    assert f1[0.8] == pytest.approx(0.5, abs=0.01)  # precision 1, recall 1 of the tops
    assert f1[0.05] == pytest.approx(0.4)  # precision 2/3, recall 1: .8
    precision = {x: y for _, line, x, y in plots.precision_recall if line == "mean over classes"}
    assert precision[0.0] == precision[0.9] == pytest.approx(0.5)  # tops 1, bottoms 0


def test_each_class_has_curves_of_its_own():
    plots = evaluate.Plots()
    evaluate._add_curves("clothes", FOUND, NAMES, plots)
    assert {panel for panel, *_ in plots.precision_recall} == {"clothes"}
    assert {line for _, line, *_ in plots.precision_recall} == {"mean over classes", "top", "bottom"}
    f1 = {(line, x): y for panel, line, x, y in plots.confidence if panel == "clothes, F1 of each class"}
    assert len(f1) == 2 * 101  # the truth has no dress
    assert f1["top", 0.05] == pytest.approx(0.8)  # precision 2/3, recall 1
    assert f1["top", 0.8] == pytest.approx(1, abs=0.01)  # the second top is found, the false alarm is not
    assert {f1["bottom", x / 100] for x in range(101)} == {0}
    precision = {(line, x): y for _, line, x, y in plots.precision_recall}
    assert precision["top", 0.9] == pytest.approx(1) and precision["bottom", 0.0] == 0


def test_report_has_four_curves_of_each_class():
    plots = evaluate.Plots()
    evaluate._add_curves("clothes", FOUND, NAMES, plots)
    assert len(plots.by_class) == 2 * 4 * 101
    recall = {x: y for _, name, curve, x, y in plots.by_class if (name, curve) == ("top", "recall")}
    assert recall[0.05] == pytest.approx(1) and recall[0.95] == 0
    precision = {x: y for _, name, curve, x, y in plots.by_class if (name, curve) == ("top", "precision")}
    assert precision[0.05] == pytest.approx(2 / 3) and precision[0.8] == pytest.approx(1, abs=0.01)


def test_detector_of_one_class_has_one_line():
    plots = evaluate.Plots()
    evaluate._add_curves("caps", metrics((0.9, 0, 1), truth=[0]), NAMES, plots)
    assert {line for _, line, *_ in plots.precision_recall} == {"mean over classes"}
    assert {panel for panel, *_ in plots.confidence} == {"caps"}


def test_detector_that_finds_nothing_has_flat_curves():
    found = metrics((0.9, 2, 0), truth=[0])
    found.box.ap_class_index = []  # as Ultralytics leaves it
    plots = evaluate.Plots()
    evaluate._add_curves("caps", found, NAMES, plots)
    assert {y for *_, y in plots.precision_recall + plots.confidence} == {0}
    assert len(plots.confidence) == 3 * 101 and plots.by_class == []


class Found:
    """A detector that sees the same red rectangle in every picture."""

    def predict(self, images, confidence, nms):
        assert nms is NMS and confidence == 0.2  # no lower bound of its own: what crops would not take is not counted
        return [[{"superclass": "top", "confidence": 0.9, "x1": 0, "y1": 0, "x2": 5, "y2": 5}] for _ in images]


@pytest.mark.parametrize("background", [True, False])
def test_false_alarms_on_background_are_counted_where_it_is_background(rectangles, tmp_path, background):
    boxes = read_table(rectangles / "boxes/tiny/boxes.parquet", BOXES).to_pandas()
    test = boxes[boxes["split"] == "test"]
    counts = evaluate._confusion_and_samples(
        Found(), rectangles / "ingested", test, background, NMS, 0.2, tmp_path / "p.jpg", rows := []
    )
    assert Counter((row["actual"], row["superclass"]) for row in rows) == counts
    assert [row["image_id"] for row in rows] == sorted(row["image_id"] for row in rows)
    # A box that was not found has its own corners and no confidence, a false alarm those of what was found.
    missed = [row for row in rows if row["superclass"] == "background"]
    assert all("confidence" not in row and row["actual_x2"] > row["actual_x1"] for row in missed)
    alarms = [row for row in rows if row["actual"] == "background"]
    assert all((row["confidence"], row["x2"]) == (0.9, 5) and "actual_x1" not in row for row in alarms)
    # Three of the four test pictures have a box, which the detector misses.
    assert sum(count for (_, predicted), count in counts.items() if predicted == "background") == 3
    assert counts["background", "top"] == (4 if background else 3)


def test_picture_whose_boxes_were_all_rejected_is_no_background_to_score_on(rectangles, tmp_path):
    boxes = read_table(rectangles / "boxes/tiny/boxes.parquet", BOXES).to_pandas()
    test = boxes[boxes["split"] == "test"]
    ingested = shutil.copytree(rectangles / "ingested", tmp_path / "ingested")
    write_rows(ingested / "unboxed.parquet", UNBOXED, [{"image_id": "test00"}])
    counts = evaluate._confusion_and_samples(Found(), ingested, test, True, NMS, 0.2, tmp_path / "p.jpg", [])
    assert counts["background", "top"] == 3


class Asked(Exception):
    """What Ultralytics' validation was asked for."""


def test_validation_keeps_the_boxes_that_params_keep(rectangles, tiny, tmp_path, monkeypatch):
    """Else the figures would be of other boxes than those that crops are cut by."""

    class Known:
        names = NAMES

        def __init__(self, folder):
            self.folder = folder

        def yolo(self):
            return self

        def val(self, **arguments):
            raise Asked(arguments["iou"], arguments["agnostic_nms"])

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(evaluate, "Detector", Known)
    (tmp_path / "params.yaml").write_text("runtime: {threads: 1, deterministic: true}\n")
    (tmp_path / "ingested").mkdir()
    (tmp_path / "ingested/tiny").symlink_to(rectangles / "ingested")
    write_json(tmp_path / "models/tiny/params.json", tiny().model_dump())
    places = {name: tmp_path / name for name in ("models", "ingested", "report")}
    args = Namespace(boxes=rectangles / "boxes", **places)
    for nms, asked in ((NmsParams(iou=0.6, per_class=False), (0.6, True)), (NMS, (0.7, False))):
        with pytest.raises(Asked) as found:
            evaluate.score("tiny", args, nms, 0.2, evaluate.Plots())
        assert found.value.args == asked


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
    params = SimpleNamespace(detectors=["tiny"], nms=NMS, confidence=0.25)
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
    with (tmp_path / "plots/validation.csv").open(encoding="utf-8") as stream:
        assert len(list(csv.DictReader(stream))) == 4 * 2  # four figures over two epochs
    assert (tmp_path / "report/curves.csv").read_text(encoding="utf-8").startswith("detector,class,curve,x,y")
    assert Image.open(tmp_path / "report/tiny.jpg").size == (4 * 220, 220)  # three pictures


def frame(*rows):
    return pd.DataFrame(rows, columns=["image_id", "superclass", "cx", "cy", "w", "h"])


A, B, FAR = [0, 0, 10, 10], [100, 0, 110, 10], [300, 0, 310, 10]


@pytest.mark.parametrize(
    ("truth", "found", "expected"),
    [
        ([(A, "top"), (B, "vest")], [(B, "vest"), (A, "top")], [("top", "top"), ("vest", "vest")]),
        ([(A, "top")], [(A, "vest")], [("top", "vest")]),  # the place is right, the class is not
        ([(A, "top")], [], [("top", "background")]),
        ([], [(A, "top")], [("background", "top")]),
        ([], [], []),
        ([(A, "top")], [(FAR, "top")], [("background", "top"), ("top", "background")]),
        # Two detections of one box: the nearer one counts, the other is a false alarm.
        ([(A, "top")], [([0, 0, 10, 9], "vest"), (A, "top")], [("background", "vest"), ("top", "top")]),
        # IoU 1/3 is below the threshold of one half.
        ([(A, "top")], [([5, 0, 15, 10], "top")], [("background", "top"), ("top", "background")]),
        # IoU exactly one half counts.
        ([(A, "top")], [([0, 0, 10, 5], "top")], [("top", "top")]),
    ],
)
def test_confusion_pairs_by_hand(truth, found, expected):
    def boxes(rows):
        return np.array([box for box, _ in rows], float).reshape(-1, 4), [name for _, name in rows]

    assert sorted(confusion_pairs(*boxes(truth), *boxes(found))) == expected


def test_pairs_are_formed_from_the_highest_overlap_down():
    # Detection 0 overlaps both truths, but truth 1 better; truth 0 is left for detection 1.
    truth = np.array([[0, 0, 10, 10], [3, 0, 13, 10]], float)
    found = np.array([[2, 0, 12, 10], [0, 0, 10, 6]], float)
    pairs = confusion_pairs(truth, ["left", "right"], found, ["first", "second"])
    assert sorted(pairs) == [("left", "second"), ("right", "first")]


def test_constant_box_finds_everything_when_all_boxes_are_alike():
    train = frame(*[("a", "top", 0.5, 0.5, 0.4, 0.4), ("b", "top", 0.5, 0.5, 0.4, 0.4)])
    test = frame(("c", "top", 0.5, 0.5, 0.4, 0.4), ("d", "top", 0.5, 0.5, 0.42, 0.4))
    assert constant_box_baseline(train, test) == pytest.approx(0.995)  # what Ultralytics calls a perfect curve


def test_constant_box_finds_nothing_elsewhere():
    train = frame(("a", "top", 0.2, 0.2, 0.2, 0.2))
    assert constant_box_baseline(train, frame(("c", "top", 0.8, 0.8, 0.2, 0.2))) == 0


def test_constant_box_lies_between_for_half_of_the_images():
    train = frame(("a", "top", 0.2, 0.2, 0.2, 0.2))
    test = frame(("c", "top", 0.2, 0.2, 0.2, 0.2), ("d", "top", 0.8, 0.8, 0.2, 0.2))
    assert 0 < constant_box_baseline(train, test) < 0.75


def test_class_that_only_the_test_split_has_is_never_found():
    """Half of the classes are perfect, the other half is 0: the mean over both, as for a detector."""
    train = frame(("a", "top", 0.5, 0.5, 0.4, 0.4))
    test = frame(("c", "top", 0.5, 0.5, 0.4, 0.4), ("d", "bottom", 0.5, 0.5, 0.4, 0.4))
    alone = constant_box_baseline(train, test[test["superclass"] == "top"])
    assert alone == pytest.approx(0.995)
    assert constant_box_baseline(train, test) == pytest.approx(alone / 2, abs=0.01)


IMAGES, SIDE = 150, 200


def drawn():
    """Truth and detections as coco_scores wants them: boxes moved a little or a lot, missed, of a wrong class, invented."""
    draw = np.random.default_rng(0)
    truth, found = [], []
    for image in map(str, range(IMAGES)):
        for _ in range(draw.integers(1, 4)):
            name, size = draw.integers(3), draw.uniform(30, 90, 2)
            low = draw.uniform(0, SIDE - size)
            truth.append((image, NAMES[name], [*low, *(low + size)]))
            for _ in range(draw.choice(3, p=[0.2, 0.6, 0.2])):
                moved = np.concatenate([low, low + size]) + draw.normal(0, draw.choice([2, 10]), 4)
                kind = name if draw.random() < 0.8 else draw.integers(3)
                found.append((image, NAMES[kind], moved.tolist(), float(draw.random())))
        low = draw.uniform(0, SIDE - 40, 2)
        found.append((image, NAMES[draw.integers(3)], [*low, *(low + 40)], float(draw.random() / 2)))
    return truth, found


def by_ultralytics(truth, found):
    """What the stage's own scoring makes of Ultralytics' matching and curves."""
    quiet_ultralytics()
    from ultralytics.models.yolo.detect import DetectionValidator
    from ultralytics.utils.metrics import Metric, ap_per_class

    matcher = SimpleNamespace(iouv=torch.from_numpy(IOU_THRESHOLDS))
    hits, scores, predicted = [], [], []
    for image in map(str, range(IMAGES)):
        mine = [row for row in truth if row[0] == image]
        theirs = sorted((row for row in found if row[0] == image), key=lambda row: -row[3])
        overlaps = iou(np.array([row[2] for row in mine]), np.array([row[2] for row in theirs]))
        kinds = [torch.tensor([NAMES.index(row[1]) for row in rows]) for rows in (theirs, mine)]
        right = DetectionValidator.match_predictions(matcher, *kinds, torch.from_numpy(overlaps))
        hits.append(right.numpy())
        scores += [row[3] for row in theirs]
        predicted += kinds[0].tolist()
    box = Metric()
    box.nc = len(NAMES)
    actual = np.array([NAMES.index(row[1]) for row in truth])
    box.update(ap_per_class(np.concatenate(hits), np.array(scores), np.array(predicted), actual)[2:])
    return evaluate._scores(SimpleNamespace(box=box), NAMES)


def test_map_of_several_classes_agrees_with_coco():
    truth, found = drawn()
    both, half = coco_scores([str(number) for number in range(IMAGES)], truth, found)
    ours = by_ultralytics(truth, found)
    assert 0.2 < both < half < 0.9  # neither all right nor all wrong
    # Between two hits Ultralytics draws a line, COCO a step; with a hundred boxes of a class that is little.
    assert ours["map50"] == pytest.approx(half, abs=0.01)
    assert ours["map50_95"] == pytest.approx(both, abs=0.01)
