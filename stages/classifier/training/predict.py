"""Probabilities of every head for a split, and the accuracy of their best guesses."""

import numpy as np
import torch

from stages.classifier.training.losses import UNKNOWN
from stages.classifier.training.rows import Rows
from stages.networks.backbones.flip import mirrored
from stages.networks.backbones.pictures import passes
from stages.networks.classifier.network import MultiHead


@torch.inference_mode()
def predict(network: MultiHead, rows: Rows, batch: int, flip: bool = False) -> dict[str, np.ndarray]:
    """Head -> probabilities [n, classes] of all rows, in evaluation mode.

    Args:
        batch: rows at a time.
        flip: of the pictures' mirror images.
    """
    network.eval()
    where = next(network.parameters()).device
    parts: dict[str, list[np.ndarray]] = {head: [] for head in network.classes}
    for start in range(0, len(rows.pictures), batch):
        index = slice(start, min(start + batch, len(rows.pictures)))
        detected = rows.detected[index].to(where)
        if rows.features is None or flip:
            images = rows.pictures.batch(range(index.start, index.stop)).to(where)
            images = mirrored(images) if flip else images
            logits = [network(images[part], detected[part]) for part in passes(images)]
        else:
            logits = [network.logits_of(rows.features[0, index].to(where), detected)]
        for head, values in ((head, one[head]) for one in logits for head in network.classes):
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
