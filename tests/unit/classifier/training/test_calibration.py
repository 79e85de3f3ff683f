"""The temperature of a head: against the minimum that scipy finds, and by hand."""

import numpy as np
import pytest
import torch

from stages.classifier.scores import calibration_error
from stages.classifier.training.batches import UNKNOWN
from stages.classifier.training.calibration import COLDEST, HOTTEST, temperature, temperatures
from stages.networks.classifier import tempered


def softmax(logits):
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


@pytest.fixture
def overconfident():
    """Probabilities of a head whose logits are 2.5 times too large, and labels drawn from the right ones."""
    generator = np.random.default_rng(0)
    logits = generator.standard_normal((4000, 5)) * 1.5
    labels = np.array([generator.choice(5, p=row) for row in softmax(logits)])
    return softmax(2.5 * logits).astype(np.float32), labels


def test_temperature_is_the_one_that_scipy_finds(overconfident):
    from scipy.optimize import minimize_scalar

    probabilities, labels = overconfident
    logits = np.log(probabilities.astype(np.float64))
    loss = lambda log: -np.log(softmax(logits / np.exp(log)))[np.arange(len(labels)), labels].mean()  # noqa: E731
    expected = np.exp(minimize_scalar(loss, bounds=(-2, 2), method="bounded", options={"xatol": 1e-9}).x)
    assert temperature(probabilities, labels) == pytest.approx(expected, abs=1e-4)
    assert expected == pytest.approx(2.5, abs=0.15)


def test_tempered_confidence_is_calibrated_and_predictions_stay(overconfident):
    probabilities, labels = overconfident
    calibrated = tempered(probabilities, temperature(probabilities, labels))
    assert (calibrated.argmax(1) == probabilities.argmax(1)).all()
    errors = [calibration_error(each.max(1), each.argmax(1) == labels) for each in (probabilities, calibrated)]
    assert errors[0] > 0.1 and errors[1] < 0.02


def test_temperature_by_hand():
    # Logits +-1 that are right in three of four rows: a share of .75 needs a difference of log 3, and has 2.
    shares = softmax(np.array([[1.0, -1.0]] * 4))
    assert temperature(shares, np.array([0, 0, 0, 1])) == pytest.approx(2 / np.log(3), abs=1e-4)


def test_head_that_is_always_right_or_without_a_row_has_a_temperature_within_bounds():
    shares = softmax(np.array([[1.0, -1.0]] * 4))
    assert temperature(shares, np.zeros(4, int)) == COLDEST
    assert temperature(shares, np.ones(4, int)) == HOTTEST
    assert temperature(np.zeros((0, 3)), np.zeros(0, int)) == 1


def test_rows_without_a_label_do_not_count():
    shares = softmax(np.array([[1.0, -1.0]] * 5))
    found = temperatures({"type": shares}, {"type": torch.tensor([0, 0, 0, 1, UNKNOWN])})
    assert found == {"type": temperature(shares[:4], np.array([0, 0, 0, 1]))}
