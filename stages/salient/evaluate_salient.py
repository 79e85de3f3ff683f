"""Score a detector without training: the salient box of each test photo, and the group that the classifier sees in it.

Reads:  salient/<source> (boxes of all annotated held-out photos), ingested/<source>, boxes/<source>, the trained
        classifier, the history of the detector that was trained.
Writes: OUT.json: mAP50 and mAP50-95 on the annotated test photos, mean IoU, the shares of boxes from IoU .5 and .75 on,
        the share of photos that are sure, and the mean IoU of these; mAP50-95 on the annotated validation photos, of
        the salient box and of the trained detector; cuts_crops, 1 where `crops.boxes` is salient. Boxes, images and
        cuts_crops alone where no test photo is annotated.
Params: crops (how a box becomes the classifier's picture, and which boxes cut the crops).

The photo is cropped by its salient box, sure or not. The classifier's probability of a type counts for the type's
superclass, and each superclass becomes a detection with that box and that confidence, as a detector may report a box as
several classes. A photo without a box is a miss.
"""

import argparse
import logging
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from stages.contracts.boxes import Box, box_array, box_of, crop_box, iou, to_corners
from stages.contracts.images import encode_jpeg, open_rgb
from stages.contracts.tables import BOXES, FROM_MASK, SALIENT, read_masks, read_shards, read_table, shard_paths
from stages.core.determinism import seed_everything
from stages.core.files import read_csv, write_json
from stages.crops.params import CropParams
from stages.networks.classifier import ClassifierEncoder
from stages.runner.stage import Report, Stage

log = logging.getLogger(__name__)

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
Detected = tuple[np.ndarray, dict[str, float]]  # a box [4], and superclass -> confidence
CENTERS = ["cx", "cy", "w", "h"]  # columns of BOXES
CORNERS = ["x1", "y1", "x2", "y2"]
BATCH = 16  # crops at a time


def average_precisions(actual: pd.DataFrame, detected: dict[str, Detected]) -> tuple[float, float]:
    """mAP50 and mAP50-95, means over the classes of the annotated boxes.

    Args:
        actual: image_id, superclass and corners in columns CORNERS.
        detected: image_id -> one box [4], and the confidence of each superclass.
    """
    from ultralytics.utils.metrics import ap_per_class

    classes = sorted(set(actual["superclass"]) | {name for _, scores in detected.values() for name in scores})
    hits, scores, predicted = [], [], []
    for image_id, (box, confidences) in sorted(detected.items()):
        rows = actual[actual["image_id"] == image_id]
        overlaps = iou(rows[CORNERS].to_numpy(float), box[None])[:, 0]
        for name, confidence in confidences.items():
            best = overlaps[(rows["superclass"] == name).to_numpy()].max(initial=0.0)
            hits.append(best >= IOU_THRESHOLDS)
            scores.append(confidence)
            predicted.append(classes.index(name))
    if not hits:
        return 0.0, 0.0
    target = np.array([classes.index(name) for name in actual["superclass"]])
    result: Any = ap_per_class(np.array(hits), np.array(scores), np.array(predicted), target)
    return float(result[5][:, 0].mean()), float(result[5].mean())


def agreement(actual: pd.DataFrame, salient: pd.DataFrame) -> dict[str, float]:
    """How well the network's boxes fit photos with one annotated box.

    Args:
        actual: as for ``average_precisions``.
        salient: rows of SALIENT; a row without a box overlaps nothing.
    """
    single = actual[~actual["image_id"].duplicated(keep=False)]
    pairs = single.merge(salient, on="image_id", suffixes=("", "_salient"))
    places = pairs[[f"{corner}_salient" for corner in CORNERS]].to_numpy(float)
    overlaps = np.array(
        [iou(row[None], place[None])[0, 0] for row, place in zip(pairs[CORNERS].to_numpy(float), places, strict=True)]
    )
    sure = pairs["reason"].isna().to_numpy()
    return {
        "mean_iou": float(overlaps.mean()) if len(overlaps) else 0.0,
        "iou_50": float((overlaps >= 0.5).mean()) if len(overlaps) else 0.0,
        "iou_75": float((overlaps >= 0.75).mean()) if len(overlaps) else 0.0,
        "sure_share": float(sure.mean()) if len(overlaps) else 0.0,
        "mean_iou_of_sure": float(overlaps[sure].mean()) if sure.any() else 0.0,
    }


def main(args: argparse.Namespace, params: SimpleNamespace) -> Report:
    """Crop, classify, score; on validation, compare with the trained detector."""
    seed_everything(0)
    table = read_table(args.boxes / "boxes.parquet", BOXES).to_pandas()
    names = [name for name in SALIENT.names if name != "mask"]
    salient = read_shards(args.salient, names).to_pandas()
    actual = {split: annotated(table[table["split"] == split], salient) for split in ("val", "test")}
    test = actual["test"]
    size: dict[str, float] = {
        "boxes": len(test),
        "images": int(test["image_id"].nunique()),
        "cuts_crops": float(params.crops.boxes == "salient"),
    }
    if test.empty:
        write_json(args.out, size)
        log.info(f"{args.source}: no annotated test box, so the salient box is compared with nothing.")
        return Report(metrics=size)
    encoder = ClassifierEncoder(args.classifier)
    wanted = {image_id for boxes in actual.values() for image_id in boxes["image_id"]}
    rows = salient[salient["image_id"].isin(wanted) & salient["x1"].notna()]
    classified = _classified(args.ingested, args.salient, rows, encoder, params.crops)
    detected = {image_id: (box, scores) for image_id, box, scores in classified}
    map50, map50_95 = average_precisions(test, _only(detected, test))
    scores = {"map50": map50, "map50_95": map50_95} | agreement(test, salient) | size
    if not actual["val"].empty:
        scores["val_map50_95"] = average_precisions(actual["val"], _only(detected, actual["val"]))[1]
        scores["trained_val_map50_95"] = best_on_validation(args.detectors / args.source / "history.csv")
    write_json(args.out, scores)
    log.info(
        f"{args.source}: salient box and classifier's group, test mAP50 {map50:.3f}, mAP50-95 {map50_95:.3f}; "
        f"mean IoU {scores['mean_iou']:.3f}, {len(test)} boxes"
    )
    _say_which_is_better(args.source, scores)
    return Report(metrics=scores)


def _only(detected: dict[str, Detected], boxes: pd.DataFrame) -> dict[str, Detected]:
    return {image_id: detected[image_id] for image_id in set(boxes["image_id"]) if image_id in detected}


def best_on_validation(history: Path) -> float:
    """mAP50-95 on validation of a detector's best epoch."""
    return max(float(row["val_map50_95"]) for _, row in read_csv(history, ["val_map50_95"]))


def _say_which_is_better(source: str, scores: dict[str, float]) -> None:
    """Log which of the two is better on validation, and warn where the other one cuts the crops."""
    if "val_map50_95" not in scores:
        log.info(f"{source}: no annotated validation box, so which detector is better is not known.")
        return
    salient, trained = scores["val_map50_95"], scores["trained_val_map50_95"]
    names = {"detectors": "the trained detector", "salient": "the salient box with the classifier's group"}
    better = "salient" if salient > trained else "detectors"
    chosen = "salient" if scores["cuts_crops"] else "detectors"
    text = f"{source}: {names[better]} is better on validation (mAP50-95 {salient:.3f} salient, {trained:.3f} trained)"
    if better == chosen:
        log.info(f"{text}, and cuts the crops.")
    else:
        log.warning(f"{text}, but {names[chosen]} cuts the crops. `crops.boxes: {better}` in the profile changes it.")


def annotated(test: pd.DataFrame, salient: pd.DataFrame) -> pd.DataFrame:
    """Boxes of people in pixels: image_id, superclass, x1, y1, x2, y2; those that the network drew are left out.

    Args:
        test: rows of BOXES.
        salient: rows of SALIENT, which know the size of each photo.
    """
    own = test[~test["object_id"].str.endswith(FROM_MASK)].merge(
        salient[["image_id", "width", "height"]], on="image_id"
    )
    corners = to_corners(own[CENTERS].to_numpy(float)) * np.tile(own[["width", "height"]].to_numpy(float), 2)
    return pd.concat([own[["image_id", "superclass"]], pd.DataFrame(corners, columns=CORNERS)], axis=1)


def _classified(
    ingested: Path, salient: Path, rows: pd.DataFrame, encoder: ClassifierEncoder, crops: CropParams
) -> Iterator[tuple[str, np.ndarray, dict[str, float]]]:
    """(image_id, box [4], superclass -> probability) of each photo."""
    boxes = {row["image_id"]: box_of(row) for row in rows.to_dict("records")}
    for path in shard_paths(ingested):
        wanted = [
            row for row in read_table(path, columns=["image_id", "bytes"]).to_pylist() if row["image_id"] in boxes
        ]
        masks = read_masks([salient / path.name], boxes) if crops.background == "plain" else {}
        for start in range(0, len(wanted), BATCH):
            chunk = wanted[start : start + BATCH]
            pictures = [_crop(row["bytes"], boxes[row["image_id"]], crops, masks.get(row["image_id"])) for row in chunk]
            scores = encoder.superclass_probabilities(pictures)
            for at, row in enumerate(chunk):
                box = box_array([boxes[row["image_id"]]])[0]
                yield row["image_id"], box, {name: float(values[at]) for name, values in scores.items()}


def _crop(content: bytes, box: Box, crops: CropParams, mask: np.ndarray | None) -> bytes:
    """The crop of a box as ``crops`` would make it; the photo where the box is too small for one."""
    crop = crop_box(
        open_rgb(content), box, padding=crops.padding, max_side=crops.max_side, min_side=crops.min_side,
        square=crops.shape == "square", mask=mask,
    )  # fmt: skip
    return encode_jpeg(crop, crops.jpeg_quality) if crop is not None else content


STAGE = Stage(
    main,
    ["source", "salient", "ingested", "boxes", "classifier", "detectors", "out"],
    {"crops": ("crops", CropParams)},
)
