"""The three losses of system B. Regions: s_x, s_y = size as a share of the picture, t_x, t_y = centre in [-1, 1]."""

import torch
import torch.nn.functional as F
from pydantic import Field

from stages.core.params import Section


class AttentionLossParams(Section):
    """Weights and constants of the losses.

    Attributes:
        gamma_div, gamma_loc: weights of the diversity and the localisation loss beside the classification loss.
        lambda_anchor, lambda_positive: weights of the anchor and the positive constraint inside the localisation loss.
        alpha: size above which a region costs.
        beta: size below which a region costs; below 0 the region would be mirrored.
    """

    gamma_div: float = Field(ge=0)
    gamma_loc: float = Field(ge=0)
    lambda_anchor: float = Field(ge=0)
    lambda_positive: float = Field(ge=0)
    alpha: float = Field(gt=0, le=1)
    beta: float = Field(ge=0, le=1)


def classification_loss(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """1/N sum_i sum_c (p_i^c - q_i^c)^2, q the softmax of the scores, p the label vector as a distribution.

    Args:
        scores: [n, c], fused over the glimpses.
        labels: 0 or 1 [n, c]; a row without a label takes no part.
    """
    count = labels.sum(1, keepdim=True)
    squares = (labels / count.clamp(min=1) - F.softmax(scores, dim=1)).square().sum(1)
    known = count[:, 0] > 0
    return (squares * known).sum() / known.sum().clamp(min=1)


def diversity_loss(maps: torch.Tensor) -> torch.Tensor:
    """1/(K-1) sum_{k=2..K} sum_places l_{k-1} l_k, averaged over pictures; 0 for one glimpse.

    Args:
        maps: attention maps [n, K, h, w], each of sum 1.
    """
    if maps.shape[1] < 2:
        return maps.new_zeros(())
    return (maps[:, :-1] * maps[:, 1:]).sum((2, 3)).mean()


def scale_loss(size: torch.Tensor, alpha: float) -> torch.Tensor:
    """L_S = max(|s_x| - alpha, 0)^2 + the same of s_y (Wang et al. 2017), averaged over pictures and glimpses.

    Args:
        size: [n, K, 2].
    """
    return F.relu(size.abs() - alpha).square().sum(2).mean()


def anchor_loss(centre: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
    """L_A = ((t_x - c_x)^2 + (t_y - c_y)^2) / 2, averaged over pictures and glimpses.

    Args:
        centre: [n, K, 2].
        anchors: [K, 2].
    """
    return (centre - anchors).square().sum(2).mean() / 2


def positive_loss(size: torch.Tensor, beta: float) -> torch.Tensor:
    """L_P = max(0, beta - s_x) + max(0, beta - s_y), averaged over pictures and glimpses.

    Args:
        size: [n, K, 2].
    """
    return F.relu(beta - size).sum(2).mean()


def localisation_loss(
    size: torch.Tensor, centre: torch.Tensor, anchors: torch.Tensor, params: AttentionLossParams
) -> torch.Tensor:
    """L_loc = L_S + lambda1 L_A + lambda2 L_P."""
    return (
        scale_loss(size, params.alpha)
        + params.lambda_anchor * anchor_loss(centre, anchors)
        + params.lambda_positive * positive_loss(size, params.beta)
    )
