"""Calibrated confidences: one temperature a head, fitted on the validation split (Guo et al. 2017).

The temperature divides the logits. It changes no prediction, only how sure the head says it is.
"""

from collections.abc import Mapping

import numpy as np
import torch

from stages.classifier.training.batches import UNKNOWN

# Few rows, all of them right, would make a head ever surer; no head of the demo comes near these bounds.
COLDEST, HOTTEST = 0.2, 5.0
STEPS = 40  # halvings of the interval: far below the fourth decimal, to which a temperature is rounded
DECIMALS = 4


def temperature(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """The temperature with the smallest cross entropy; 1 without rows.

    The cross entropy is convex in 1 / temperature, so its slope has one zero, which halving finds.

    Args:
        probabilities: [n, classes] at temperature 1.
        targets: [n] class indices.
    """
    if not len(targets):
        return 1.0
    logits = np.log(np.maximum(probabilities.astype(np.float64), np.finfo(np.float32).tiny))
    own = logits[np.arange(len(targets)), targets]
    low, high = np.log(1 / HOTTEST), np.log(1 / COLDEST)
    for _ in range(STEPS):
        middle = (low + high) / 2
        scaled = logits * np.exp(middle)
        shares = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        slope = ((shares * logits).sum(axis=1) - own).mean()
        low, high = (middle, high) if slope < 0 else (low, middle)
    return round(float(np.exp(-(low + high) / 2)), DECIMALS)


def temperatures(probabilities: Mapping[str, np.ndarray], targets: Mapping[str, torch.Tensor]) -> dict[str, float]:
    """Head -> its temperature, from the rows that have a label of the head.

    Args:
        probabilities: head -> [n, classes].
        targets: head -> class indices [n], ``UNKNOWN`` where there is no label.
    """
    result = {}
    for head, values in probabilities.items():
        truth = targets[head].numpy()
        result[head] = temperature(values[truth != UNKNOWN], truth[truth != UNKNOWN])
    return result
