"""The texture encoding layer of Deep TEN (Zhang, Xue & Dana, CVPR 2017)."""

import torch
import torch.nn.functional as F
from torch import nn


class TextureEncoding(nn.Module):
    """Residuals to learned codewords, softly assigned and summed over places: no order, so it sees texture.

    With x_i the N descriptors, c_k the codewords, s_k > 0 their smoothing factors:

        r_ik = x_i - c_k
        a_ik = exp(-s_k |r_ik|^2) / sum_j exp(-s_j |r_ij|^2)      (equation 2)
        e_k  = sum_i w_i a_ik r_ik                                (equation 3, in which w_i = 1)

    Attributes:
        codewords: [K, D].
        log_smoothing: [K]; its exponential is s, so that s stays positive.
    """

    def __init__(self, codewords: int, width: int) -> None:
        """K codewords for descriptors of D = ``width`` numbers."""
        super().__init__()
        limit = (codewords * width) ** -0.5  # as in the authors' code
        self.codewords = nn.Parameter(torch.empty(codewords, width).uniform_(-limit, limit))
        self.log_smoothing = nn.Parameter(torch.zeros(codewords))

    def forward(self, maps: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        """Encodings [n, K, D] of maps [n, D, h, w]; ``weights`` w of the places [n, h, w], all 1 when None."""
        descriptors = maps.flatten(2).transpose(1, 2)
        residuals = descriptors[:, :, None, :] - self.codewords  # [n, N, K, D]
        assigned = F.softmax(-self.log_smoothing.exp() * residuals.square().sum(3), dim=2)
        if weights is not None:
            assigned = assigned * weights.flatten(1)[..., None]
        return (assigned[..., None] * residuals).sum(1)
