"""Losses that learn from the labels that are there: a row without a head's label does not touch that head."""

import torch
import torch.nn.functional as F

UNKNOWN = -1
UNKNOWN_CLASS = "unknown"  # the class that a missing label is, where it is not masked


def as_class(targets: torch.Tensor, classes: int) -> torch.Tensor:
    """Targets [n] in which a missing label is the last of ``classes``: what a loss without a mask learns from."""
    return torch.where(targets == UNKNOWN, classes - 1, targets)


def class_weights(targets: torch.Tensor, classes: int) -> torch.Tensor:
    """Weight [classes] inverse to the square root of each class's frequency, mean 1 over labelled rows.

    The root is a compromise: full inverse frequency lets a class of three rows dominate a head.
    """
    counts = torch.bincount(targets[targets != UNKNOWN], minlength=classes).clamp(min=1).float()
    weights = counts.rsqrt()
    return weights * counts.sum() / (weights * counts).sum()


def masked_sums(
    logits: torch.Tensor,
    targets: torch.Tensor,
    weights: torch.Tensor | None,
    focal_share: float,
    gamma: float,
    smoothing: float = 0.0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weighted cross entropy and focal loss (Lin et al. 2017), mixed, over labelled rows.

    Args:
        logits: [n, classes].
        targets: [n] class indices, ``UNKNOWN`` where there is no label.
        weights: [classes] or None.
        focal_share: 0 = cross entropy alone, 1 = focal loss alone.
        gamma: exponent of (1 - p) in the focal loss.
        smoothing: share of each target that is spread over all classes (Szegedy et al. 2016).

    Returns:
        the weighted sum over labelled rows, and the sum of their weights: 0 when no row has a label. The loss is their
        quotient; several processes that share a batch divide by the sum of all their weights.
    """
    known = targets != UNKNOWN
    logits, targets = logits[known], targets[known]
    cross = F.cross_entropy(logits, targets, reduction="none", label_smoothing=smoothing)
    certainty = torch.exp(-F.cross_entropy(logits, targets, reduction="none")) if smoothing else torch.exp(-cross)
    focal = (1 - certainty) ** gamma * cross
    loss = (1 - focal_share) * cross + focal_share * focal
    weight = torch.ones_like(loss) if weights is None else weights.to(loss.device)[targets]
    return (loss * weight).sum(), weight.sum()
