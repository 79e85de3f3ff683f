"""Score every detector on its held-out test split.

Reads:  MODELS/<detector>, INGESTED/<detector> (shards), BOXES/<detector>.
Writes: METRICS/<detector>.json: mAP50 and mAP50-95, mAP50 of a baseline that looks at no image (``constant_box``),
        precision, recall and F1 at the confidence with the best F1, and how many images and boxes they are about.
        PLOTS/, of all detectors together: losses.csv and validation.csv (precision, recall and mAP) by epoch,
        precision_recall.csv, confidence.csv (precision, recall and F1 against it), confusion.csv.
        REPORT/<detector>.json: the same figures, by class too, and that confidence; REPORT/<detector>.jpg: sample
        detections; REPORT/curves.csv: every curve of each class.
        Test images without a box are scored if they show no garment: a detection on one is a false alarm.
Params: detectors (the list), nms. A detector's own params are those of its training (MODELS/<detector>/params.json).
"""

import argparse
import logging
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from stages.contracts.boxes import box_array, box_of, iou, to_corners
from stages.contracts.tables import BOXES, read_table, read_unboxed
from stages.core.determinism import device, seed_everything
from stages.core.files import fresh_folder, read_json, write_json
from stages.core.params import Names, Share
from stages.detection.params import DetectorParams
from stages.detection.plots import Plots, losses, validation
from stages.detection.yolo_directory import cached_yolo_directory
from stages.networks.detector.detection_sheets import TRUTH, Drawn, Outline, color_of, drawn, write_sheet
from stages.networks.detector.model import Detector
from stages.networks.detector.params import NmsParams
from stages.networks.detector.shards import Predictor, search_shards
from stages.runner.stage import Report, Stage

log = logging.getLogger(__name__)

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
CENTERS = ["cx", "cy", "w", "h"]  # columns of BOXES
BACKGROUND = "background"  # the actual class of a false alarm, and the predicted class of a missed box


def confusion_pairs(
    truth: np.ndarray, truth_names: list[str], detected: np.ndarray, detected_names: list[str], threshold: float = 0.5
) -> list[tuple[str, str]]:
    """(actual, predicted) of one image; "background" stands for a missed box and for a false alarm.

    See ``box_pairs``.
    """
    return [
        (BACKGROUND if row is None else truth_names[row], BACKGROUND if column is None else detected_names[column])
        for row, column in box_pairs(truth, detected, threshold)
    ]


def box_pairs(truth: np.ndarray, detected: np.ndarray, threshold: float = 0.5) -> list[tuple[int | None, int | None]]:
    """(index of the true box, index of the detected one) of one image; None stands for a missed box or a false alarm.

    Pairs are formed greedily from the highest IoU down, whatever their classes.

    Args:
        truth, detected: corners [n, 4] and [m, 4].
    """
    overlaps = iou(truth, detected) if len(truth) and len(detected) else np.zeros((len(truth), len(detected)))
    pairs: list[tuple[int | None, int | None]] = []
    left_truth, left_detected = set(range(len(truth))), set(range(len(detected)))
    for flat in np.argsort(-overlaps, axis=None, kind="stable"):
        row, column = np.unravel_index(flat, overlaps.shape)
        if overlaps[row, column] < threshold:
            break
        if row in left_truth and column in left_detected:
            pairs.append((int(row), int(column)))
            left_truth.discard(row)
            left_detected.discard(column)
    pairs += [(row, None) for row in sorted(left_truth)]
    return pairs + [(None, column) for column in sorted(left_detected)]


def constant_box_baseline(train: pd.DataFrame, test: pd.DataFrame) -> float:
    """mAP50 of a baseline that predicts, for each class, the median box of training on every annotated test image.

    Its confidence is the class's share of training boxes. A detector that beats it uses the image. Neither the baseline
    nor a detector finds a class that only the test split has.
    """
    from ultralytics.utils.metrics import ap_per_class

    learned = sorted(train["superclass"].unique())
    classes = sorted({*learned, *test["superclass"]})
    median = to_corners(train.groupby("superclass")[CENTERS].median().loc[learned].to_numpy())
    share = (train["superclass"].value_counts() / len(train)).loc[learned].to_numpy()
    hits, scores, predicted, actual = [], [], [], []
    for _, rows in test.groupby("image_id", sort=True):
        overlaps = iou(to_corners(rows[CENTERS].to_numpy()), median)
        names = rows["superclass"].to_numpy()
        for column, name in enumerate(learned):
            best = overlaps[names == name, column].max(initial=0.0)
            hits.append(best >= IOU_THRESHOLDS)
            scores.append(share[column])
            predicted.append(classes.index(name))
        actual += [classes.index(name) for name in names]
    result: Any = ap_per_class(np.array(hits), np.array(scores), np.array(predicted), np.array(actual))
    return float(result[5][:, 0].mean())


BATCH = 32  # images in a forward pass
SAMPLES = 12
CURVE_POINTS = 101
KEY_METRICS = ("map50", "map50_95", "constant_box", "precision", "recall", "f1", "images", "boxes")


def main(args: argparse.Namespace, params: SimpleNamespace) -> Report:
    """Score each detector, write the files about all of them."""
    for folder in (args.metrics, args.plots, args.report):
        fresh_folder(folder)
    plots, report = Plots(), Report()
    for name in params.detectors:
        scores = score(name, args, params.nms, params.confidence, plots)
        write_json(args.report / f"{name}.json", scores)
        key_metrics = {key: scores[key] for key in KEY_METRICS}
        write_json(args.metrics / f"{name}.json", key_metrics)
        report.metrics |= {f"{name}.{key}": value for key, value in key_metrics.items()}
        report.pictures.append(args.report / f"{name}.jpg")
        log.info(
            f"{name}: test mAP50 {scores['map50']:.3f} (constant box {scores['constant_box']:.3f}), "
            f"mAP50-95 {scores['map50_95']:.3f}, {scores['boxes']} boxes"
        )
    plots.write(args.plots, args.report)
    return report


def score(name: str, args: argparse.Namespace, nms: NmsParams, confidence: float, plots: Plots) -> dict[str, Any]:
    """Validate with Ultralytics, add baseline, confusion, curves and a picture.

    Args:
        confidence: that a detection in the confusion matrix and in the picture has at least; ``crops`` takes the same.
    """
    model, ingested = args.models / name, args.ingested / name
    options = DetectorParams.model_validate(read_json(model / "params.json"))
    seed_everything(options.seed)
    detector = Detector(model)
    data = cached_yolo_directory(
        ingested, args.boxes / name, options.superclasses, options.unboxed_is_background, Path(".work/yolo")
    )
    boxes = read_table(args.boxes / name / "boxes.parquet", BOXES).to_pandas()
    test = boxes[boxes["split"] == "test"]
    metrics = detector.yolo().val(
        data=str(data), split="test", imgsz=options.image_size, batch=options.batch, device=device(), workers=0,
        iou=nms.iou, agnostic_nms=not nms.per_class,
        plots=False, verbose=False, project=str(Path(".work/val").absolute()), name=name, exist_ok=True,
    )  # fmt: skip
    scores = _scores(metrics, detector.names)
    scores["constant_box"] = constant_box_baseline(boxes[boxes["split"] == "train"], test)
    scores |= {"boxes": len(test), "images": int(test["image_id"].nunique())}
    _add_curves(name, metrics, detector.names, plots)
    history = pd.read_csv(model / "history.csv")
    plots.losses += losses(name, history)
    plots.validation += validation(name, history)
    scored: list[dict[str, Any]] = []
    counts = _confusion_and_samples(
        detector, ingested, test, options.unboxed_is_background, nms, confidence, args.report / f"{name}.jpg", scored
    )
    plots.boxes += [{"detector": name, **row} for row in scored]
    plots.confusion += [[name, *pair, count] for pair, count in sorted(counts.items())]
    return scores


def _scores(metrics: Any, names: list[str]) -> dict[str, Any]:
    """Means over the classes in the ground truth, the scores of each class, and the confidence at which they hold.

    F1 is the mean of the classes' F1, as in its curve; the F1 of mean precision and mean recall may be larger.
    """
    box = metrics.box
    scores: dict[str, Any] = {
        "map50": box.map50,
        "map50_95": box.map,
        "precision": box.mp,
        "recall": box.mr,
        "f1": float(np.mean(box.f1)) if len(box.f1) else 0.0,
        "f1_confidence": _best_confidence(box),
    }
    scores["per_class"] = {
        names[index]: {
            "precision": box.p[row],
            "recall": box.r[row],
            "f1": box.f1[row],
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


CURVE_NAMES = ("precision against recall", "F1", "precision", "recall")  # in Ultralytics' order


def _class_curves(metrics: Any) -> dict[str, np.ndarray]:
    """Name of a curve -> its values [classes in the ground truth, CURVE_POINTS]."""
    grid, classes = np.linspace(0, 1, CURVE_POINTS), len(metrics.box.ap_class_index)
    if not classes:  # Ultralytics has no curves when no detection is right
        return dict.fromkeys(CURVE_NAMES, np.zeros((0, CURVE_POINTS)))
    return {
        name: np.array([np.interp(grid, x, values) for values in np.asarray(curves).reshape(classes, -1)])
        for name, (x, curves, _, _) in zip(CURVE_NAMES, metrics.box.curves_results, strict=True)
    }


def _add_curves(name: str, metrics: Any, names: list[str], plots: Plots) -> None:
    """Add curves of means over classes: precision against recall; precision, recall and F1 against confidence.

    With several classes, precision against recall and F1 of each class are added as well. The report has all curves of
    each class.

    Args:
        names: of all classes of the detector.
    """
    places = [round(float(place), 2) for place in np.linspace(0, 1, CURVE_POINTS)]
    own = [names[index] for index in metrics.box.ap_class_index]
    curves = _class_curves(metrics)

    def points(values: np.ndarray, *before: str) -> list[list[Any]]:
        return [[*before, *point] for point in zip(places, values, strict=True)]

    pr, *against_confidence = (values.mean(axis=0) if own else np.zeros(CURVE_POINTS) for values in curves.values())
    means = dict(zip(CURVE_NAMES[1:], against_confidence, strict=True))
    plots.precision_recall += points(pr, name, "mean over classes")
    for line in ("precision", "recall", "F1"):
        plots.confidence += points(means[line], name, line)
    for row, scored in enumerate(own if len(own) > 1 else []):
        plots.precision_recall += points(curves[CURVE_NAMES[0]][row], name, scored)
        plots.confidence += points(curves["F1"][row], f"{name}, F1 of each class", scored)
    for curve, values in curves.items():
        for row, scored in enumerate(own):
            plots.by_class += points(values[row], name, scored, curve)


_ACTUAL = tuple(f"actual_{corner}" for corner in ("x1", "y1", "x2", "y2"))
_DETECTED = ("confidence", "x1", "y1", "x2", "y2")


def _confusion_and_samples(
    detector: Predictor,
    ingested: Path,
    test: pd.DataFrame,
    background: bool,
    nms: NmsParams,
    confidence: float,
    picture: Path,
    rows: list[dict[str, Any]],
) -> Counter[tuple[str, str]]:
    """Counts of (actual, predicted) classes over all boxes and false alarms, and a sheet of some images.

    Each box and false alarm also becomes a row of ``rows`` (SCORED_BOXES without the detector), sorted by image.
    """
    of_image = dict(list(test.groupby("image_id", sort=False)))
    unboxed = read_unboxed(ingested)
    counts: Counter[tuple[str, str]] = Counter()
    samples: dict[str, Drawn] = {}
    chosen = set(np.array(sorted(of_image))[np.linspace(0, len(of_image) - 1, SAMPLES).astype(int)])

    def wanted(row: dict[str, Any]) -> list[str] | None:
        """Test images with boxes, or without and known as background."""
        empty = background and row["split"] == "test" and row["image_id"] not in unboxed
        return ["it"] if row["image_id"] in of_image or empty else None

    pictures = search_shards(
        ingested,
        ["image_id", "split", "width", "height", "bytes"],
        {"it": detector},
        wanted,
        batch=BATCH,
        confidence=confidence,
        nms=nms,
        desc="confusion (shards)",
    )
    for row, image, detections in pictures:
        truth = of_image.get(row["image_id"], test.iloc[:0])
        actual = to_corners(truth[CENTERS].to_numpy()) * np.array([row["width"], row["height"]] * 2)
        places = box_array(map(box_of, detections))
        names = [box["superclass"] for box in detections]
        pairs = confusion_pairs(actual, list(truth["superclass"]), places, names)
        counts.update(pairs)
        rows += [
            {
                "image_id": row["image_id"],
                "actual": of_truth,
                **(dict(zip(_ACTUAL, actual[at].tolist(), strict=True)) if at is not None else {}),
                **({key: detections[to][key] for key in _DETECTED} if to is not None else {}),
                "superclass": of_detected,
            }
            for (of_truth, of_detected), (at, to) in zip(pairs, box_pairs(actual, places), strict=True)
        ]
        if row["image_id"] in chosen:
            boxes = [Outline(tuple(corners), TRUTH, width=1) for corners in actual.tolist()]
            boxes += [
                Outline(box_of(box), color_of(box["superclass"]), f"{box['superclass']} {box['confidence']:.2f}")
                for box in detections
            ]
            samples[row["image_id"]] = drawn(image, boxes)
    write_sheet([samples[name] for name in sorted(samples)], picture)
    rows.sort(key=lambda row: row["image_id"])
    return counts


STAGE = Stage(
    main,
    ["models", "ingested", "boxes", "metrics", "plots", "report"],
    {
        "detectors": ("detectors", Names),
        "nms": ("nms", NmsParams),
        "confidence": ("crops.confidence", Share),
    },
)
