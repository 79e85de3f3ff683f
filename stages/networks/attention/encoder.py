"""The attention network as an encoder: vectors of whole pictures, of their regions, and recommendations by region."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from stages.core.determinism import device
from stages.networks.attention.network import AttentionNetwork, AttentionNetworkParams, Glimpses
from stages.networks.attention.pictures import upright
from stages.networks.attention.recommend import diverse_list, region_distances
from stages.networks.backbones.pictures import Pixels, passes
from stages.networks.metric.encoder import NetworkEncoder


class AttentionEncoder(NetworkEncoder):
    """System B; vectors are compared by Euclidean distance."""

    def build(self, card: dict[str, Any]) -> nn.Module:
        self.labels: list[str] = card["labels"]
        params = AttentionNetworkParams.model_validate(card["network"] | {"weights": "none"})  # they come from the file
        return AttentionNetwork(params, len(self.labels))

    def input(self, image_size: int) -> Pixels:
        """Pictures fitted into 3:2, ``image_size`` high."""
        return upright(image_size)

    @torch.inference_mode()
    def embed_regions(self, images: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        """From one pass over pictures [n, 3, height, width]: what ``embed`` gives [n, d], and float32 [n, K, d'].

        The second is a vector of unit length for each attended region.
        """
        seen = self._look(images)
        whole = torch.cat([self.network.whole(one) for one in seen])
        regions = F.normalize(torch.cat([one.regions for one in seen]), dim=2)
        return whole.float().cpu().numpy(), regions.float().cpu().numpy()

    @torch.inference_mode()
    def probabilities(self, images: torch.Tensor) -> np.ndarray:
        """float32 [n, labels]: how the labels share the picture; each row sums to 1."""
        return torch.cat([one.scores for one in self._look(images)]).softmax(1).float().cpu().numpy()

    def recommend(
        self, query: torch.Tensor, gallery: torch.Tensor, ids: list[str], count: int
    ) -> list[tuple[str, int]]:
        """Diverse recommendations for a picture [3, height, width]: (id, number of the region that found it)."""
        of_query, of_gallery = (self.embed_regions(images)[1] for images in (query[None], gallery))
        return diverse_list(region_distances(of_query[0], of_gallery), ids, count)

    def _look(self, images: torch.Tensor) -> list[Glimpses]:
        images = images.to(device())
        return [self.network.look(images[part]) for part in passes(images)]
