"""Backbones as feature maps and as pooled vectors, by timm's names with or without the tag of their weights.

A tag chooses the weights: ``resnet50.tv_in1k`` are torchvision's, ``vit_base_patch16_clip_224.openai`` CLIP's. Pictures
are normalised the way the weights were trained.
"""

from typing import Literal

import torch
from torch import nn

from stages.core.errors import StageError
from stages.networks.backbones.backbones import Weights, create, pooled_width, register_statistics, stage_statistics

Pool = Literal["average", "max", "own", "stages"]


class FeatureMaps(nn.Module):
    """uint8 images in, the last feature maps out.

    Attributes:
        name: timm's name, with or without a tag.
        width: channels of the maps.
    """

    def __init__(self, name: str, weights: Weights, image_size: int) -> None:
        """Build the architecture and load its weights.

        Args:
            name, weights, image_size: as of ``backbones.create``, which says what it raises.
        """
        super().__init__()
        self.name = name
        self.network = create(name, weights, image_size)
        self.width: int = self.network.num_features
        register_statistics(self, self.network)

    def normed(self, images: torch.Tensor) -> torch.Tensor:
        """Images [n, 3, h, w], uint8 or floats in 0..255, as the weights want them."""
        return (images.float() - self.mean) / self.std

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Feature maps [n, width, h', w'] of images [n, 3, h, w].

        Raises:
            StageError: when the network makes no maps (a transformer's tokens are none).
        """
        maps = self.network.forward_features(self.normed(images))
        if maps.ndim != 4 or maps.shape[1] != self.width:
            raise StageError(
                f"params.yaml: backbone {self.name} gives features of shape {list(maps.shape)}, not maps; "
                "use a convolutional one, or `pooling: own` in a frozen encoder."
            )
        return maps


class Extractor(nn.Module):
    """Feature maps pooled to one vector per picture.

    Attributes:
        width: length of the vector.
    """

    def __init__(self, name: str, weights: Weights, image_size: int, pooling: Pool) -> None:
        """Build it.

        Args:
            pooling: average or max over the last maps (global pooling); own = the network's own pooled output;
                stages = mean and standard deviation of the maps of every stage, without the last layer.

        Raises:
            StageError: see ``FeatureMaps``; also for stages of a network that does not show them.
        """
        super().__init__()
        self.maps = FeatureMaps(name, weights, image_size)
        self.pooling = pooling
        self.width = pooled_width(self.maps.network) if pooling == "own" else self.maps.width
        if pooling != "own" and hasattr(self.maps.network, "pre_logits"):
            self.maps.network.pre_logits = nn.Identity()  # VGG's dense layers: 120 of its 134 million weights, unused
        if pooling == "stages":
            if not hasattr(self.maps.network, "forward_intermediates"):
                raise StageError(f"params.yaml: backbone {name} does not show its stages; use another pooling.")
            self.width = 2 * sum(stage["num_chs"] for stage in self.maps.network.feature_info)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Vectors [n, width] of images [n, 3, h, w]."""
        if self.pooling == "own":
            return self.maps.network(self.maps.normed(images))
        if self.pooling == "stages":
            _, stages = self.maps.network.forward_intermediates(self.maps.normed(images))
            return stage_statistics(stages)
        maps = self.maps(images)
        return maps.mean((2, 3)) if self.pooling == "average" else maps.amax((2, 3))
