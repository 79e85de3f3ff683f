"""Scores of one head, beside what guessing would reach."""

from collections import Counter
from typing import Any

import numpy as np

BINS = 10


def majority(labels: list[str]) -> str:
    """The most frequent label; ties by name."""
    return min(Counter(labels).items(), key=lambda entry: (-entry[1], entry[0]))[0]


def calibration_error(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> float:
    """Expected calibration error over equal-width bins (Guo et al. 2017)."""
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [
        abs(confidence[which == number].mean() - right[which == number].mean()) * (which == number).sum()
        for number in range(bins)
        if (which == number).any()
    ]
    return float(sum(gaps) / len(confidence))


def head_scores(
    truth: list[str],
    probabilities: np.ndarray,
    classes: list[str],
    detected: list[str],
    train_truth: list[str],
    train_detected: list[str],
) -> dict[str, Any]:
    """Scores of a head on labelled rows.

    Args:
        truth: labels [n].
        probabilities: [n, classes].
        detected: the detector's class of each row.
        train_truth, train_detected: the same of the training rows, for the baselines.

    Returns:
        accuracy, balanced accuracy, macro precision, recall and F1 over classes present in ``truth``, calibration
        error, and the baselines: chance (1 / classes), the majority label of training, and the majority label
        given the detected class, which is what the detector alone gives away.
    """
    from sklearn.metrics import precision_recall_fscore_support

    predicted = [classes[index] for index in probabilities.argmax(axis=1)]
    right = np.array([one == other for one, other in zip(truth, predicted, strict=True)])
    present = sorted(set(truth))
    precision, recall, f1, _ = precision_recall_fscore_support(
        truth, predicted, labels=present, average="macro", zero_division=0
    )
    overall = majority(train_truth)
    given = {
        name: majority([label for label, seen in zip(train_truth, train_detected, strict=True) if seen == name])
        for name in set(train_detected)
    }
    return {
        "accuracy": float(right.mean()),
        "balanced_accuracy": float(recall),
        "precision_macro": float(precision),
        "recall_macro": float(recall),
        "f1_macro": float(f1),
        "calibration_error": calibration_error(probabilities.max(axis=1), right),
        "rows": len(truth),
        "classes": len(classes),
        "baseline_chance": 1 / len(classes),
        "baseline_majority": float(np.mean([label == overall for label in truth])),
        "baseline_majority_given_detected": float(
            np.mean([label == given.get(seen, overall) for label, seen in zip(truth, detected, strict=True)])
        ),
    }
