"""Pure scoring of detections: confusion at one IoU, and a baseline that looks at no image."""

from typing import Any

import numpy as np
import pandas as pd

from stages.contracts.boxes import iou, to_corners

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
CENTRES = ["cx", "cy", "w", "h"]  # columns of BOXES


def confusion_pairs(
    truth: np.ndarray, truth_names: list[str], found: np.ndarray, found_names: list[str], threshold: float = 0.5
) -> list[tuple[str, str]]:
    """(actual, predicted) of one image; "background" stands for a missed box and for a false alarm.

    Pairs are formed greedily from the highest IoU down, whatever their classes.
    """
    overlaps = iou(truth, found) if len(truth) and len(found) else np.zeros((len(truth), len(found)))
    pairs, left_truth, left_found = [], set(range(len(truth))), set(range(len(found)))
    for flat in np.argsort(-overlaps, axis=None, kind="stable"):
        row, column = np.unravel_index(flat, overlaps.shape)
        if overlaps[row, column] < threshold:
            break
        if row in left_truth and column in left_found:
            pairs.append((truth_names[row], found_names[column]))
            left_truth.discard(row)
            left_found.discard(column)
    pairs += [(truth_names[row], "background") for row in sorted(left_truth)]
    return pairs + [("background", found_names[column]) for column in sorted(left_found)]


def constant_box_baseline(train: pd.DataFrame, test: pd.DataFrame) -> float:
    """mAP50 of predicting on every annotated test image, for each class, the median box of the training split.

    The confidence is the class's share of training boxes. What a detector has to beat to show that it looks. A class
    that only the test split has is never found, by the baseline as by a detector.
    """
    from ultralytics.utils.metrics import ap_per_class

    learned = sorted(train["superclass"].unique())
    classes = sorted({*learned, *test["superclass"]})
    median = to_corners(train.groupby("superclass")[CENTRES].median().loc[learned].to_numpy())
    share = (train["superclass"].value_counts() / len(train)).loc[learned].to_numpy()
    hits, scores, predicted, actual = [], [], [], []
    for _, rows in test.groupby("image_id", sort=True):
        overlaps = iou(to_corners(rows[CENTRES].to_numpy()), median)
        names = rows["superclass"].to_numpy()
        for column, name in enumerate(learned):
            best = overlaps[names == name, column].max(initial=0.0)
            hits.append(best >= IOU_THRESHOLDS)
            scores.append(share[column])
            predicted.append(classes.index(name))
        actual += [classes.index(name) for name in names]
    result: Any = ap_per_class(np.array(hits), np.array(scores), np.array(predicted), np.array(actual))
    return float(result[5][:, 0].mean())
