"""Score one detector on its held-out test split.

Reads:  the trained detector, boxes/<detector> and the ingested shards.
Writes: <out>.json (mAP50, mAP50-95; precision, recall and F1 at the confidence with the best F1, which is given too;
        per class; beside a baseline that looks at no image) and plot files in <out>/: losses.csv,
        precision_recall.csv, confidence.csv (precision, recall, F1), confusion.csv, samples.jpg (sample detections).
        Test images without a box count where they show no garment: what is found there is a false alarm.
Params: detector.<detector>.
"""

import argparse
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from stages.contracts.boxes import box_array, box_of, to_corners
from stages.contracts.tables import BOXES, read_table
from stages.core.determinism import device, seed_everything
from stages.core.files import fresh_folder, write_csv, write_json
from stages.detection.params import DetectorParams
from stages.detection.pictures import draw_samples
from stages.detection.scoring import CENTRES, confusion_pairs, constant_box_baseline
from stages.detection.yolo_directory import cached_yolo_directory
from stages.networks.detector.model import Detector
from stages.networks.detector.shards import Predictor, search_shards
from stages.runner.progress import say
from stages.runner.stage import Report, Stage

CONFUSION_CONFIDENCE = 0.25  # Ultralytics' own choice for its matrix
NMS_IOU = 0.7
BATCH = 32  # images in a forward pass
SAMPLES = 12
CURVE_POINTS = 101


def main(args: argparse.Namespace, params: SimpleNamespace) -> Report:
    """Validate with Ultralytics, add baseline, confusion and pictures."""
    options: DetectorParams = params.detector
    seed_everything(options.seed)
    detector = Detector(args.model)
    data = cached_yolo_directory(
        args.ingested, args.boxes, options.superclasses, options.unboxed_is_background, Path(".work/yolo")
    )
    boxes = read_table(args.boxes / "boxes.parquet", BOXES).to_pandas()
    test = boxes[boxes["split"] == "test"]
    metrics = detector.yolo().val(
        data=str(data), split="test", imgsz=options.image_size, batch=options.batch, device=device(), workers=0,
        plots=False, verbose=False, project=str(Path(".work/val").absolute()), name=args.detector, exist_ok=True,
    )  # fmt: skip
    plots = fresh_folder(args.out)
    scores = _scores(metrics, detector.names)
    scores["baseline_map50_constant_box"] = constant_box_baseline(boxes[boxes["split"] == "train"], test)
    scores |= {"boxes": len(test), "images": int(test["image_id"].nunique())}
    write_json(Path(f"{args.out}.json"), scores)
    _write_curves(metrics, plots)
    history = pd.read_csv(args.model / "history.csv")
    _write_losses(history, plots / "losses.csv")
    _confusion_and_samples(detector, args.ingested, test, options.unboxed_is_background, plots)
    say(
        f"{args.detector}: test mAP50 {scores['map50']:.3f} (constant box {scores['baseline_map50_constant_box']:.3f}),"
        f" mAP50-95 {scores['map50_95']:.3f}, {len(test)} boxes"
    )
    numbers = {key: value for key, value in scores.items() if not isinstance(value, dict)}
    return Report(metrics=numbers, pictures=[plots / "samples.jpg"])


def _scores(metrics: Any, names: list[str]) -> dict[str, Any]:
    box = metrics.box
    scores: dict[str, Any] = {
        "map50": box.map50,
        "map50_95": box.map,
        "precision": box.mp,
        "recall": box.mr,
        "f1": 2 * box.mp * box.mr / max(box.mp + box.mr, 1e-12),
        "f1_confidence": _best_confidence(box),
    }
    scores["per_class"] = {
        names[index]: {
            "precision": box.p[row],
            "recall": box.r[row],
            "map50": box.ap50[row],
            "map50_95": box.ap[row],
        }
        for row, index in enumerate(box.ap_class_index)
    }
    return scores


def _best_confidence(box: Any) -> float:
    """The confidence at which Ultralytics reads precision and recall: where the smoothed mean F1 is highest."""
    from ultralytics.utils.metrics import smooth

    if not len(box.ap_class_index):
        return 0.0
    return float(box.px[smooth(np.atleast_2d(box.f1_curve).mean(axis=0), 0.1).argmax()])


def _write_curves(metrics: Any, plots: Path) -> None:
    """Mean over classes of precision against recall, and of precision, recall and F1 against confidence."""
    grid = np.linspace(0, 1, CURVE_POINTS)
    if len(metrics.box.ap_class_index):
        pr, f1, precision, recall = (
            np.interp(grid, x, np.atleast_2d(np.asarray(curves)).mean(axis=0))
            for x, curves, _, _ in metrics.box.curves_results
        )
    else:  # not one detection was right, and Ultralytics has no curves
        pr = f1 = precision = recall = np.zeros_like(grid)
    places = [round(float(place), 2) for place in grid]
    write_csv(
        plots / "precision_recall.csv", ["recall", "precision"], [list(row) for row in zip(places, pr, strict=True)]
    )
    rows = [list(row) for row in zip(places, precision, recall, f1, strict=True)]
    write_csv(plots / "confidence.csv", ["confidence", "precision", "recall", "f1"], rows)


def _write_losses(history: pd.DataFrame, path: Path) -> None:
    columns = [name for name in history.columns if name.endswith("_loss")]
    write_csv(path, ["epoch", *columns], history[["epoch", *columns]].to_numpy(object).tolist())


def _confusion_and_samples(
    detector: Predictor, ingested: Path, test: pd.DataFrame, background: bool, plots: Path
) -> None:
    """Actual and predicted class of every box and false alarm; pictures of some images that have boxes."""
    of_image = dict(list(test.groupby("image_id", sort=False)))
    pairs: list[list[str]] = []
    samples = []
    chosen = set(np.array(sorted(of_image))[np.linspace(0, len(of_image) - 1, SAMPLES).astype(int)])

    def wanted(row: dict[str, Any]) -> list[str] | None:
        """Test images that have boxes, or that have none and are background."""
        return ["it"] if row["image_id"] in of_image or (background and row["split"] == "test") else None

    pictures = search_shards(
        ingested,
        ["image_id", "split", "width", "height", "bytes"],
        {"it": detector},
        wanted,
        batch=BATCH,
        confidence=CONFUSION_CONFIDENCE,
        iou=NMS_IOU,
        desc="confusion (shards)",
    )
    for row, image, found in pictures:
        truth = of_image.get(row["image_id"], test.iloc[:0])
        actual = to_corners(truth[CENTRES].to_numpy()) * np.array([row["width"], row["height"]] * 2)
        places = box_array(map(box_of, found))
        names = [box["superclass"] for box in found]
        pairs += map(list, confusion_pairs(actual, list(truth["superclass"]), places, names))
        if row["image_id"] in chosen:
            samples.append((row["image_id"], image, actual, found))
    write_csv(plots / "confusion.csv", ["actual", "predicted"], sorted(pairs))
    draw_samples(sorted(samples, key=lambda sample: sample[0]), plots / "samples.jpg")


STAGE = Stage(
    main,
    ["detector", "model", "ingested", "boxes", "out"],
    {"detector": ("detector.{detector}", DetectorParams)},
)
