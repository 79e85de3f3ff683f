"""Scores of the salient box with the classifier's group, worked out by hand."""

import json
from argparse import Namespace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from profiles import composed
from stages.contracts.images import encode_jpeg
from stages.contracts.tables import BOXES, IMAGES, SALIENT, write_rows, write_shards
from stages.crops.params import CropParams
from stages.salient import evaluate_salient
from stages.salient.evaluate_salient import agreement, average_precisions


def actual(*rows):
    return pd.DataFrame(rows, columns=["image_id", "superclass", "x1", "y1", "x2", "y2"])


TWO = actual(("a", "top", 0, 0, 10, 10), ("b", "bottom", 0, 0, 10, 10))
WHOLE, HALF = np.array([0.0, 0, 10, 10]), np.array([0.0, 0, 10, 6])  # IoU 1 and .6 with the boxes of TWO


def test_right_boxes_of_the_right_class_are_perfect():
    detected = {"a": (WHOLE, {"top": 0.9}), "b": (WHOLE, {"bottom": 0.8})}
    assert average_precisions(TWO, detected) == pytest.approx((0.995, 0.995))  # what Ultralytics calls a perfect curve


def test_box_counts_up_to_the_threshold_that_it_reaches():
    # IoU .6 reaches .5, .55 and .6 of ten thresholds.
    detected = {"a": (HALF, {"top": 0.9}), "b": (HALF, {"bottom": 0.8})}
    assert average_precisions(TWO, detected) == pytest.approx((0.995, 0.995 * 3 / 10))


def test_right_box_of_the_wrong_class_is_a_miss():
    detected = {"a": (WHOLE, {"bottom": 0.9}), "b": (WHOLE, {"top": 0.8})}
    assert average_precisions(TWO, detected) == (0, 0)


def test_second_guess_costs_nothing_where_it_is_less_confident_than_a_right_one():
    detected = {"a": (WHOLE, {"top": 0.9, "bottom": 0.1}), "b": (WHOLE, {"top": 0.2, "bottom": 0.8})}
    assert average_precisions(TWO, detected)[0] == pytest.approx(0.995)


def test_photo_without_a_box_is_a_miss_and_none_at_all_no_score():
    assert average_precisions(TWO, {"a": (WHOLE, {"top": 0.9})})[0] == pytest.approx(0.995 / 2)
    assert average_precisions(TWO, {}) == (0, 0)


def seen(*rows):
    names = [name for name in SALIENT.names if name != "mask"]
    plain = {"split": "test", "width": 10, "height": 10, "sureness": 0.9, "reason": None}
    return pd.DataFrame([plain | dict(zip(("image_id", "x1", "y1", "x2", "y2"), row[:5], strict=True)) | {"reason": row[5]}
                         for row in rows])[names]  # fmt: skip


def test_agreement_is_of_photos_with_one_annotated_box():
    boxes = pd.concat([TWO, actual(("c", "top", 0, 0, 4, 4), ("c", "top", 5, 5, 9, 9))], ignore_index=True)
    looked = seen(("a", 0, 0, 10, 6, None), ("b", None, None, None, None, "nothing_salient"), ("c", 0, 0, 9, 9, None))
    assert agreement(boxes, looked) == pytest.approx(
        {"mean_iou": 0.3, "iou_50": 0.5, "iou_75": 0, "sure_share": 0.5, "mean_iou_of_sure": 0.6}
    )


# Photo -> split, type, and whether the network saw something in it.
PHOTOS = {
    "a": ("test", "Shirt", True),
    "b": ("test", "Pants", False),
    "c": ("val", "Shirt", True),
    "d": ("val", "Pants", False),
}
SUPERCLASS = {"Shirt": "top", "Pants": "bottom"}


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """Photos of 10 x 20 pixels with a box each, a classifier that takes all for shirts, and a trained detector."""
    content = encode_jpeg(Image.new("RGB", (10, 20), "gray"))
    images, looked, boxes = [], [], []
    for name, (split, kind, saw) in PHOTOS.items():
        common = {"image_id": name, "split": split, "width": 10, "height": 20}
        images.append(common | {"source": "shop", "sha256": "", "group_id": name, "cluster": name, "bytes": content})
        what = {"x1": 0, "y1": 0, "x2": 10, "y2": 20, "sureness": 1.0} if saw else {"reason": "nothing_salient"}
        looked.append(common | {"sureness": 0.0} | what)
        boxes.append({"object_id": f"{name}:1", "image_id": name, "split": split, "superclass": SUPERCLASS[kind],
                      "class_id": 0, "cx": 0.5, "cy": 0.5, "w": 1.0, "h": 1.0})  # fmt: skip
    write_shards(tmp_path / "ingested", IMAGES, images, "image_id", 1)
    write_shards(tmp_path / "salient", SALIENT, looked, "image_id", 1)
    write_rows(tmp_path / "boxes/boxes.parquet", BOXES, boxes)
    trained(tmp_path / "detectors", 0.2, 0.4, 0.3)
    encoder = SimpleNamespace(
        superclass_probabilities=lambda crops: {
            "top": np.array([0.9] * len(crops)), "bottom": np.array([0.1] * len(crops))
        }
    )  # fmt: skip
    monkeypatch.setattr(evaluate_salient, "ClassifierEncoder", lambda folder: encoder)
    names = ("salient", "ingested", "boxes", "classifier", "detectors")
    return Namespace(source="shop", out=tmp_path / "metrics/shop.json", **{name: tmp_path / name for name in names})


def trained(folder, *scores):
    """The history of a detector with these mAP50-95 on validation."""
    (folder / "shop").mkdir(parents=True, exist_ok=True)
    lines = ["epoch,val_map50_95", *(f"{epoch},{score}" for epoch, score in enumerate(scores, 1))]
    (folder / "shop" / "history.csv").write_text("\n".join(lines))


def params(boxes):
    options = composed("photos")["crops"] | {"min_side": 4, "boxes": boxes}
    return SimpleNamespace(crops=CropParams.model_validate(options))


CROPS = params("salient")


def test_scores_are_of_all_annotated_test_photos(shop):
    evaluate_salient.main(shop, CROPS)
    scores = json.loads(shop.out.read_text())
    assert scores["map50"] == pytest.approx(0.995 / 2, abs=1e-4)
    assert (scores["images"], scores["boxes"], scores["sure_share"], scores["mean_iou"]) == (2, 2, 0.5, 0.5)


def test_validation_has_the_scores_of_both_detectors(shop):
    evaluate_salient.main(shop, CROPS)
    scores = json.loads(shop.out.read_text())
    assert scores["val_map50_95"] == pytest.approx(0.995 / 2, abs=1e-4)  # c is right, d a miss
    assert scores["trained_val_map50_95"] == 0.4  # the best epoch


SALIENT_IS = "shop: the salient box with the classifier's group is better on validation (mAP50-95 0.497 salient, 0.400"
TRAINED_IS = "shop: the trained detector is better on validation (mAP50-95 0.497 salient, 0.600 trained)"


@pytest.mark.parametrize(
    ("boxes", "score", "said", "level"),
    [
        ("salient", 0.4, f"{SALIENT_IS} trained), and cuts the crops.", "INFO"),
        ("detectors", 0.4, f"{SALIENT_IS} trained), but the trained detector cuts the crops. `crops.boxes: salient`", "WARNING"),
        ("detectors", 0.6, f"{TRAINED_IS}, and cuts the crops.", "INFO"),
        ("salient", 0.6, f"{TRAINED_IS}, but the salient box with the classifier's group cuts the crops. `crops.boxes: det", "WARNING"),
    ],
)  # fmt: skip
def test_better_detector_is_named_with_a_warning_where_the_other_one_cuts_the_crops(
    shop, caplog, boxes, score, said, level
):
    trained(shop.detectors, score)
    with caplog.at_level("INFO"):
        evaluate_salient.main(shop, params(boxes))
    (found,) = [record for record in caplog.records if "is better" in record.message]
    assert found.message.startswith(said) and found.levelname == level
    assert json.loads(shop.out.read_text())["cuts_crops"] == (boxes == "salient")


def test_boxes_that_the_network_drew_are_no_truth(shop):
    table = [
        {"object_id": "a:salient", "image_id": "a", "split": "test", "superclass": "top", "class_id": 0,
         "cx": 0.5, "cy": 0.5, "w": 1.0, "h": 1.0}
    ]  # fmt: skip
    write_rows(shop.boxes / "boxes.parquet", BOXES, table)
    evaluate_salient.main(shop, CROPS)
    assert json.loads(shop.out.read_text()) == {"boxes": 0, "images": 0, "cuts_crops": 1}
