"""Scores of one head by hand and by scikit-learn and torchmetrics."""

import numpy as np
import pytest
import torch

from stages.attributes.scores import calibration_error, head_scores, majority

CLASSES = ["a", "b", "c"]
TRUTH = ["a", "a", "a", "b", "b", "c"]
# Predictions: a a b b a c.
PROBABILITIES = np.array([[0.8, 0.1, 0.1], [0.6, 0.4, 0], [0.3, 0.6, 0.1], [0, 1, 0], [0.5, 0.4, 0.1], [0.2, 0.2, 0.6]])


def scores():
    return head_scores(
        TRUTH, PROBABILITIES, CLASSES, ["top", "top", "skirt", "skirt", "skirt", "hat"],
        ["a", "a", "a", "b", "b", "c"], ["top", "top", "top", "skirt", "skirt", "skirt"],
    )  # fmt: skip


def test_scores_by_hand():
    result = scores()
    assert result["accuracy"] == pytest.approx(4 / 6)
    # Recalls 2/3, 1/2, 1; precisions 2/3, 1/2, 1.
    assert result["balanced_accuracy"] == result["recall_macro"] == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    assert result["precision_macro"] == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    assert (result["rows"], result["classes"]) == (6, 3)


def test_balanced_accuracy_is_scikit_learns():
    from sklearn.metrics import balanced_accuracy_score, f1_score

    predicted = ["a", "a", "b", "b", "a", "c"]
    assert scores()["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(TRUTH, predicted))
    assert scores()["f1_macro"] == pytest.approx(f1_score(TRUTH, predicted, average="macro"))


def test_baselines_by_hand():
    result = scores()
    assert result["baseline_chance"] == pytest.approx(1 / 3)
    assert result["baseline_majority"] == pytest.approx(3 / 6)  # training says "a"
    # top -> a: 2 of 2 right; skirt -> b: 2 of 3; a hat was never seen, so "a": 0 of 1.
    assert result["baseline_majority_given_detected"] == pytest.approx(4 / 6)


def test_majority_ties_are_decided_by_name():
    assert majority(["b", "a", "b", "a", "c"]) == "a"
    assert majority(["c", "c", "a"]) == "c"


def test_class_that_the_test_split_lacks_is_not_averaged_in():
    result = head_scores(["a", "a"], np.array([[0.9, 0.05, 0.05], [0.2, 0.7, 0.1]]), CLASSES, ["t", "t"], ["a"], ["t"])
    assert result["balanced_accuracy"] == 0.5


def test_calibration_error_by_hand():
    # Bin .9-1: confidence .95 and .95, one right: |.95 - .5| * 2. Bin .5-.6: .55, right: .45.
    confidence, right = np.array([0.95, 0.95, 0.55]), np.array([True, False, True])
    assert calibration_error(confidence, right) == pytest.approx((2 * 0.45 + 0.45) / 3)
    assert calibration_error(np.array([1.0, 1.0]), np.array([True, True])) == 0


def test_calibration_error_is_torchmetrics():
    from torchmetrics.functional.classification import binary_calibration_error

    draw = np.random.default_rng(0)
    confidence = draw.uniform(0, 1, 500)
    right = draw.random(500) < confidence**2
    expected = binary_calibration_error(
        torch.from_numpy(confidence), torch.from_numpy(right.astype(int)), n_bins=10, norm="l1"
    )
    assert calibration_error(confidence, right) == pytest.approx(expected.item(), abs=1e-6)
