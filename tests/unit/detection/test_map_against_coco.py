"""The mAP that evaluation writes against COCO's own, on detections of several classes that are right in part."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from coco import coco_scores

from stages.contracts.boxes import iou
from stages.detection import evaluate_detector as evaluate
from stages.detection.evaluate_detector import IOU_THRESHOLDS
from stages.networks.detector.model import quiet_ultralytics

NAMES = ["top", "bottom", "dress"]
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
