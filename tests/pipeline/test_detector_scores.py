"""Detector scores of the demo against an independent implementation: COCO's own evaluation."""

import json

import numpy as np
import pytest
from coco import coco_scores

from stages.contracts.images import pixels
from stages.contracts.tables import OBJECTS, read_shards, read_table
from stages.networks.detector.model import Detector
from stages.networks.detector.params import NmsParams

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["headwear", "shoes"])
def test_map_agrees_with_coco(demo, name):
    images = read_shards(demo / f"data/demo/ingested/{name}", ["image_id", "split", "bytes"]).to_pylist()
    test = [row for row in images if row["split"] == "test"]
    names = {row["image_id"] for row in test}
    objects = read_table(demo / f"data/demo/ingested/{name}/objects.parquet", OBJECTS).to_pylist()
    truth = [
        (row["image_id"], name, [row[c] for c in ("x1", "y1", "x2", "y2")])
        for row in objects
        if row["image_id"] in names
    ]
    detector = Detector(demo / f"models/demo/detectors/{name}")
    results = detector.predict(
        [pixels(row["bytes"]) for row in test], confidence=0.001, nms=NmsParams(iou=0.7, per_class=True)
    )
    found = [
        (row["image_id"], name, [box[c] for c in ("x1", "y1", "x2", "y2")], box["confidence"])
        for row, boxes in zip(test, results, strict=True)
        for box in boxes
    ]
    both, half = coco_scores(sorted(names), truth, found)
    ours = json.loads((demo / f"metrics/demo/detector/{name}.json").read_text())
    # Not the same to the last digit: between two hits Ultralytics draws a line, COCO a step. With some twenty boxes a hit
    # is a twentieth of recall, and the difference up to half of that.
    assert half == pytest.approx(ours["map50"], abs=0.03)
    assert both == pytest.approx(ours["map50_95"], abs=0.03)
    assert np.isfinite([both, half]).all()
