"""The attention network as an encoder: vectors of whole pictures, of their regions, and recommendations by region."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from stages.core.determinism import device
from stages.networks.attention.network import AttentionNetwork, AttentionNetworkParams
from stages.networks.attention.pictures import decode_upright
from stages.networks.attention.recommend import diverse_list, region_distances
from stages.networks.metric.encoder import NetworkEncoder


class AttentionEncoder(NetworkEncoder):
    """System B; vectors are compared by Euclidean distance."""

    def build(self, card: dict[str, Any]) -> nn.Module:
        self.labels: list[str] = card["labels"]
        params = AttentionNetworkParams.model_validate(card["network"] | {"weights": "none"})  # they come from the file
        return AttentionNetwork(params, len(self.labels))

    def images(self, rows: Sequence[bytes]) -> torch.Tensor:
        """JPEG pictures fitted into 3:2, ``image_size`` high."""
        return decode_upright(rows, self.image_size).to(device())

    @torch.inference_mode()
    def regions(self, rows: Sequence[bytes]) -> np.ndarray:
        """float32 [n, K, d]: a vector of unit length for each attended region of each picture."""
        return F.normalize(self.network.look(self.images(rows)).regions, dim=2).float().cpu().numpy()

    @torch.inference_mode()
    def probabilities(self, rows: Sequence[bytes]) -> np.ndarray:
        """float32 [n, labels]: how the labels share the picture; each row sums to 1."""
        return self.network.look(self.images(rows)).scores.softmax(1).float().cpu().numpy()

    def recommend(self, query: bytes, gallery: Sequence[bytes], ids: list[str], count: int) -> list[tuple[str, int]]:
        """Diverse recommendations for one picture: (id, number of the region that found it)."""
        return diverse_list(region_distances(self.regions([query])[0], self.regions(gallery)), ids, count)
