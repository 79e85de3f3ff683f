"""Probabilities of every head for a split, and the accuracy of their best guesses."""

import numpy as np
import torch

from stages.classifier.training.losses import UNKNOWN
from stages.classifier.training.rows import Rows
from stages.networks.classifier.network import MultiHead


@torch.inference_mode()
def predict(network: MultiHead, rows: Rows, batch: int) -> dict[str, np.ndarray]:
    """Head -> probabilities [n, classes] of all rows, in evaluation mode."""
    network.eval()
    where = next(network.parameters()).device
    parts: dict[str, list[np.ndarray]] = {head: [] for head in network.classes}
    for start in range(0, len(rows.pictures), batch):
        index = slice(start, min(start + batch, len(rows.pictures)))
        detected = rows.detected[index].to(where)
        if rows.features is None:
            logits = network(rows.pictures.batch(range(index.start, index.stop)).to(where), detected)
        else:
            logits = network.logits_of(rows.features[0, index].to(where), detected)
        for head, values in logits.items():
            parts[head].append(values.softmax(dim=1).cpu().numpy())
    return {head: np.concatenate(values) for head, values in parts.items()}


def accuracies(probabilities: dict[str, np.ndarray], rows: Rows) -> dict[str, float]:
    """Head -> accuracy over the rows that know its label; heads without such rows are left out."""
    result = {}
    for head, values in probabilities.items():
        truth = rows.targets[head].numpy()
        known = truth != UNKNOWN
        if known.any():
            result[head] = float((values[known].argmax(axis=1) == truth[known]).mean())
    return result
