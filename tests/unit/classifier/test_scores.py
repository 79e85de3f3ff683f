"""Scores of one head, and of its classes' groups, by hand and by scikit-learn and torchmetrics."""

import numpy as np
import pytest
import torch
from places import TABLES

from stages.classifier.scores import (
    Labeled,
    baselines,
    calibration_error,
    group_scores,
    head_scores,
    majority,
    predicted_names,
    type_groups,
)
from stages.core.errors import StageError
from stages.labels.params import LabelParams

CLASSES = ["a", "b", "c"]
TRUTH = ["a", "a", "a", "b", "b", "c"]
# Predictions: a a b b a c.
PROBABILITIES = np.array([[0.8, 0.1, 0.1], [0.6, 0.4, 0], [0.3, 0.6, 0.1], [0, 1, 0], [0.5, 0.4, 0.1], [0.2, 0.2, 0.6]])
TEST = Labeled(TRUTH, ["top", "top", "skirt", "skirt", "skirt", "hat"])
TRAIN = Labeled(["a", "a", "a", "b", "b", "c"], ["top", "top", "top", "skirt", "skirt", "skirt"])


def scores():
    return head_scores(TEST, PROBABILITIES, CLASSES, TRAIN)


@pytest.fixture(scope="module")
def drawn():
    """300 rows of five classes, of which most are predicted right: names, indices, probabilities, scores."""
    draw = np.random.default_rng(1)
    truth = draw.choice(5, 300, p=[0.5, 0.2, 0.15, 0.1, 0.05])
    logits = draw.normal(size=(300, 5))
    logits[np.arange(300), truth] += 1.2
    probabilities = torch.from_numpy(logits).softmax(dim=1).numpy()
    names = [f"class {index}" for index in range(5)]
    labels = Labeled([names[index] for index in truth], ["seen"] * 300)
    return truth, probabilities, head_scores(labels, probabilities, names, labels)


def test_scores_by_hand():
    result = scores()
    assert result["accuracy"] == pytest.approx(4 / 6)
    # Recalls 2/3, 1/2, 1; precisions 2/3, 1/2, 1.
    assert result["balanced_accuracy"] == result["recall_macro"] == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    assert result["precision_macro"] == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    assert (result["rows"], result["classes"]) == (6, 3)


def test_scores_are_scikit_learns(drawn):
    from sklearn import metrics

    truth, probabilities, result = drawn
    predicted = probabilities.argmax(axis=1)
    assert result["accuracy"] == pytest.approx(metrics.accuracy_score(truth, predicted))
    assert result["balanced_accuracy"] == pytest.approx(metrics.balanced_accuracy_score(truth, predicted))
    for name in ("precision", "recall", "f1"):
        expected = getattr(metrics, f"{name}_score")(truth, predicted, average="macro")
        assert result[f"{name}_macro"] == pytest.approx(expected), name


def test_scores_are_torchmetrics(drawn):
    from torchmetrics.functional import classification

    truth, probabilities, result = drawn
    given = torch.from_numpy(probabilities), torch.from_numpy(truth)
    for name, average in (("accuracy", "micro"), ("precision", "macro"), ("recall", "macro"), ("f1_score", "macro")):
        expected = getattr(classification, f"multiclass_{name}")(*given, num_classes=5, average=average)
        ours = {"accuracy": "accuracy", "f1_score": "f1_macro"}.get(name, f"{name}_macro")
        assert result[ours] == pytest.approx(expected.item(), abs=1e-6), name


def test_calibration_error_is_torchmetrics_with_ten_bins(drawn):
    from torchmetrics.functional.classification import multiclass_calibration_error

    truth, probabilities, result = drawn
    given = torch.from_numpy(probabilities), torch.from_numpy(truth)
    expected = multiclass_calibration_error(*given, num_classes=5, n_bins=10, norm="l1")
    assert result["calibration_error"] == pytest.approx(expected.item(), abs=1e-6)
    assert result["calibration_error"] > 0.01


def test_confidence_on_an_edge_is_in_the_bin_above_as_in_torchmetrics():
    from torchmetrics.functional.classification import binary_calibration_error

    confidence = np.repeat(np.linspace(0, 0.9, 10, dtype=np.float32), 2)  # both rows of a bin, and none else in it
    right = np.arange(20) % 4 == 0
    expected = binary_calibration_error(
        torch.from_numpy(confidence), torch.from_numpy(right.astype(int)), n_bins=10, norm="l1"
    )
    assert calibration_error(confidence, right) == pytest.approx(expected.item(), abs=1e-6)


def test_calibration_error_by_hand():
    # Bin .9-1: confidence .95 and .95, one right: |.95 - .5| * 2. Bin .5-.6: .55, right: .45.
    confidence, right = np.array([0.95, 0.95, 0.55]), np.array([True, False, True])
    assert calibration_error(confidence, right) == pytest.approx((2 * 0.45 + 0.45) / 3)
    assert calibration_error(np.array([1.0, 1.0]), np.array([True, True])) == 0
    # 1 is in the last bin, with .92: |.96 - .5|.
    assert calibration_error(np.array([1.0, 0.92]), np.array([True, False])) == pytest.approx(0.46)


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
    rows = Labeled(["a", "a"], ["t", "t"])
    result = head_scores(rows, np.array([[0.9, 0.05, 0.05], [0.2, 0.7, 0.1]]), CLASSES, Labeled(["a"], ["t"]))
    assert result["balanced_accuracy"] == 0.5


GROUPS = {"a": "up", "b": "up", "c": "down"}


def test_a_type_that_is_wrong_within_its_group_is_a_group_that_is_right():
    result, predicted = group_scores(TEST, PROBABILITIES, CLASSES, TRAIN, GROUPS)
    assert predicted == ["up", "up", "up", "up", "up", "down"]
    assert result["accuracy"] == result["balanced_accuracy"] == 1
    assert (result["rows"], result["classes"], result["baseline_chance"]) == (6, 2, 0.5)
    # Training says "up": 5 of 6. It says so of tops and of skirts (b b c), and hats it never saw: the same 5.
    assert result["baseline_majority"] == pytest.approx(5 / 6)
    assert result["baseline_majority_given_detected"] == pytest.approx(5 / 6)
    # Confidences are sums over the group: .9 1 .9 1 .9 .6. Bin .9-1 holds five of mean .94, all right; bin .6-.7 one.
    assert result["calibration_error"] == pytest.approx((5 * 0.06 + 0.4) / 6)


def test_group_is_that_of_the_predicted_type_not_of_the_largest_sum():
    rows = Labeled(["c"], ["hat"])
    probabilities = np.array([[0.35, 0.25, 0.4]])  # "up" sums to .6, but the type is "c"
    result, predicted = group_scores(rows, probabilities, CLASSES, TRAIN, GROUPS)
    assert predicted == ["down"] and predicted_names(probabilities, CLASSES) == ["c"]
    assert result["accuracy"] == 1 and result["calibration_error"] == pytest.approx(0.6)


def test_groups_balanced_accuracy_is_scikit_learns(drawn):
    from sklearn.metrics import balanced_accuracy_score

    truth, probabilities, _ = drawn
    names = [f"class {index}" for index in range(5)]
    groups = dict(zip(names, ["x", "x", "y", "y", "z"], strict=True))
    rows = Labeled([names[index] for index in truth], ["seen"] * len(truth))
    result, predicted = group_scores(rows, probabilities, names, rows, groups)
    actual = [groups[name] for name in rows.labels]
    assert result["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(actual, predicted))
    assert result["accuracy"] == pytest.approx(np.mean([a == b for a, b in zip(actual, predicted, strict=True)]))


def test_baseline_of_a_class_that_training_never_saw_is_the_overall_majority():
    result = baselines(Labeled(["a", "b"], ["new", "top"]), Labeled(["a", "a", "b"], ["x", "x", "top"]))
    assert result == {"baseline_majority": 0.5, "baseline_majority_given_detected": 1.0}


PARAMS = LabelParams.model_validate(
    {
        "policies": {"products": "fashion_products", "worn": "deepfashion_mm", "photos": "catalogue"},
        "gender_policy": "drop_row",
        "group_superclass": {"Topwear": "top"},
        "catalogues": {"photos": {"table": "clothing_dataset_labels.csv", "label_column": "label"}},
    }
)


def test_merged_types_belong_to_the_five_groups():
    types = ["T-Shirts", "Jackets", "Jeans", "Jumpsuits", "Heels", "Caps"]
    assert type_groups(types, ["products", "worn"], PARAMS, TABLES) == {
        "T-Shirts": "Topwear", "Jackets": "Topwear", "Jeans": "Bottomwear", "Jumpsuits": "Dress", "Heels": "Footwear",
        "Caps": "Headwear",
    }  # fmt: skip


def test_labels_of_a_catalogue_belong_to_its_tables_superclasses():
    types = ["T-Shirt", "Blazer", "Shorts", "Hat", "Shoes"]
    assert type_groups(types, ["photos"], PARAMS, TABLES) == {
        "T-Shirt": "top", "Blazer": "outwear", "Shorts": "bottom", "Hat": "headwear", "Shoes": "footwear",
    }  # fmt: skip


def test_mixed_sources_share_the_five_groups():
    # "Shorts" is a type of both tables: bottom is Bottomwear.
    types = ["Shorts", "Blazer", "T-Shirt", "T-Shirts"]
    assert type_groups(types, ["photos", "worn"], PARAMS, TABLES) == {
        "Shorts": "Bottomwear", "Blazer": "Topwear", "T-Shirt": "Topwear", "T-Shirts": "Topwear",
    }  # fmt: skip


@pytest.mark.parametrize(("types", "sources"), [(["T-Shirt"], ["worn"]), (["Not sure"], ["photos"])])
def test_type_that_no_table_of_the_sources_knows_is_refused_by_name(types, sources):
    with pytest.raises(StageError, match=f"type '{types[0]}' has 0 groups"):
        type_groups(types, sources, PARAMS, TABLES)
