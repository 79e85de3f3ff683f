"""The classifier's figures: with and without flip, the type's group, and heads that nobody knows."""

from types import MappingProxyType, SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from places import TABLES

from stages.classifier import evaluate_classifier as module
from stages.classifier.evaluate_classifier import evaluate, groups_of, labeled, report_line
from stages.classifier.training.batches import UNKNOWN_CLASS
from stages.contracts.images import encode_jpeg
from stages.labels.params import LabelParams
from stages.networks.backbones.features import mirrored

CLASSES = {"type": ["Dresses", "Jeans", "Shirts"], "fabric": ["cotton", "denim"]}
GROUPS = {"Dresses": "Dress", "Jeans": "Bottomwear", "Shirts": "Topwear"}


def halves(left, right):
    array = np.full((32, 32, 3), left, np.uint8)
    array[:, 16:] = right
    return encode_jpeg(Image.fromarray(array))


@pytest.fixture
def scored(params, superclasses, monkeypatch):
    """Makes scores, by temperatures of the heads, of a network that looks at the left half only.

    The half's gray, as a share, is the probability of Jeans.
    """

    def predict(network, rows, batch, flip):
        images = rows.pictures.batch(range(len(rows.pictures)))
        left = (mirrored(images) if flip else images)[..., :16].float().mean((1, 2, 3)).numpy() / 255
        return {
            "type": np.stack([0.4 * (1 - left), left, 0.6 * (1 - left)], axis=1),
            "fabric": np.tile([0.7, 0.3], (len(left), 1)),
        }

    monkeypatch.setattr(module, "predict", predict)
    test = pd.DataFrame({
        # Jeans that are bright on the right: the left half alone is wrong, both together (.5 each) are right.
        "bytes": [halves(10, 245), halves(255, 255), halves(0, 0), halves(0, 0)],
        "type": ["Jeans", "Jeans", "Shirts", "Dresses"], "fabric": [None] * 4, "source": ["b"] * 4,
        "detected_class": ["bottom", "bottom", "top", "top"],
    })  # fmt: skip
    train = test.iloc[[1, 2]].assign(fabric="denim")
    network = SimpleNamespace(classes=CLASSES, superclasses=superclasses)
    options = params(heads=list(CLASSES))
    return lambda temperatures=MappingProxyType({}): evaluate(network, options, train, test, GROUPS, temperatures)


@pytest.fixture
def figures(scored):
    """The scores without temperatures."""
    return scored()


def test_accuracy_stands_there_with_and_without_flip(figures):
    result, *_ = figures
    scores = result["heads"]["type"]
    # Predicted Shirts, Jeans, Shirts, Shirts; with flip the first row is Jeans (.5 against .3).
    assert scores["accuracy"] == 0.5
    assert scores["accuracy_with_flip"] == 0.75
    assert result["mean"]["accuracy"] == 0.5 and result["mean"]["accuracy_with_flip"] == 0.75


def test_predictions_name_each_labeled_row_and_are_without_flip(figures):
    *_, alone = figures
    network = SimpleNamespace(classes=CLASSES)
    test = pd.DataFrame({"crop_id": list("abcd"), "type": ["Jeans", "Jeans", None, "Dresses"], "fabric": [None] * 4,
                         "detected_class": ["bottom"] * 4})  # fmt: skip
    rows = module.prediction_rows(network, test, alone)
    # As above: .6 of (1 - 10 / 255) is Shirts, white is Jeans, black is Shirts (.6). No row knows its fabric.
    assert [row[:4] for row in rows] == [
        ["type", "a", "Jeans", "Shirts"], ["type", "b", "Jeans", "Jeans"], ["type", "d", "Dresses", "Shirts"],
    ]  # fmt: skip
    assert [row[4] for row in rows] == pytest.approx([0.6 * (1 - 10 / 255), 1, 0.6], abs=0.01)


def test_head_without_a_labeled_row_is_counted_and_left_out_of_the_mean(figures):
    result, confusions, *_ = figures
    assert result["heads"]["fabric"] == {"rows": 0, "coverage": 0.0, "classes": 2}
    assert set(confusions) == {"type", "type_group"}
    assert result["heads"]["type"]["coverage"] == 1 and result["test_rows"] == 4


def test_groups_and_confusions(figures):
    result, confusions, *_ = figures
    assert confusions["type"] == sorted(
        [["Jeans", "Shirts"], ["Jeans", "Jeans"], ["Shirts", "Shirts"], ["Dresses", "Shirts"]]
    )
    assert confusions["type_group"] == sorted(
        [["Bottomwear", "Topwear"], ["Bottomwear", "Bottomwear"], ["Topwear", "Topwear"], ["Dress", "Topwear"]]
    )
    group = result["type_group"]
    assert (group["accuracy"], group["rows"], group["classes"]) == (0.5, 4, 3)
    # Training: one Jeans (bottom), one Shirts (top): a tie, so Bottomwear by name; by detected class 3 of 4.
    assert (group["baseline_majority"], group["baseline_majority_given_detected"]) == (0.5, 0.75)


def test_temperature_changes_confidences_and_no_prediction(scored):
    """Guo et al. 2017: only how sure a head is changes."""
    before, _, plain = scored()
    after, _, calibrated = scored({"type": 2.0})
    of_before, of_after = before["heads"]["type"], after["heads"]["type"]
    assert (calibrated["type"].argmax(1) == plain["type"].argmax(1)).all()
    assert of_after["accuracy"] == of_before["accuracy"]
    assert of_after["accuracy_with_flip"] == of_before["accuracy_with_flip"]
    assert of_after["calibration_error_before"] == of_before["calibration_error"]
    assert of_after["calibration_error"] != of_before["calibration_error"]
    assert (of_after["temperature"], of_before["temperature"]) == (2.0, 1.0)
    # The last row, .4 and .6 of Dresses and Shirts: their square roots, scaled to sum 1.
    roots = np.sqrt([0.4, 0.6])
    assert calibrated["type"][3, [0, 2]] == pytest.approx(roots / roots.sum(), abs=1e-5)
    assert after["type_group"]["calibration_error_before"] == before["type_group"]["calibration_error"]


def test_groups_are_looked_up_for_the_sources_that_know_the_type(tmp_path):
    labels = LabelParams.model_validate({
        "policies": {"b": "deepfashion_mm", "photos": "catalogue"}, "gender_policy": "drop_row",
        "group_superclass": {}, "catalogues": {},
    })  # fmt: skip
    network = SimpleNamespace(classes={"type": [*CLASSES["type"], UNKNOWN_CLASS]})
    train = pd.DataFrame({"source": ["b", "b", "photos"], "type": ["Jeans", "Shirts", None]})
    assert groups_of(network, train, labels, TABLES) == GROUPS | {UNKNOWN_CLASS: UNKNOWN_CLASS}
    assert groups_of(SimpleNamespace(classes={"color": ["red"]}), train, labels, tmp_path) == {}


def test_labeled_rows_keep_their_detected_class():
    frame = pd.DataFrame({"type": ["a", None, "b"], "detected_class": ["x", "y", "z"]})
    rows, known = labeled(frame, "type")
    assert (rows.labels, rows.detected, known.tolist()) == (["a", "b"], ["x", "z"], [True, False, True])


def test_line_names_both_baselines():
    scores = {"accuracy": 0.5, "rows": 4, "baseline_majority": 0.25, "baseline_majority_given_detected": 0.75}
    assert report_line("type", scores) == "type 0.500 on 4 test rows, majority 0.250, by detector 0.750"
