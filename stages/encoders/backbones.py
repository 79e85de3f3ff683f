"""Backbones with pooled features, from timm, and where their weights come from."""

from typing import Literal

import torch
from torch import nn

from stages.core.errors import StageError
from stages.core.pretrained import LITE_MEAN, LITE_STD, packaged_state

Weights = Literal["none", "packaged", "download"]
Pooling = Literal["last", "stages"]

# ImageNet's channel statistics; every weight source here was trained with them or does not care.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


class Backbone(nn.Module):
    """uint8 images in, pooled features out.

    Attributes:
        name: timm's name of the architecture.
        pooling: what the feature vector is made of, see ``__init__``.
        width: length of the feature vector.
    """

    def __init__(self, name: str, weights: Weights, pooling: Pooling = "last") -> None:
        """Build the architecture and load its weights.

        Args:
            name: timm's name.
            weights: where they come from; none = random.
            pooling: last = the network's own pooled output. stages = the same, then mean and standard deviation over
                the picture of each stage's channels: colour and texture live in the early stages, and what a deep
                layer does not need for ImageNet's classes it has thrown away.

        Raises:
            StageError: unknown name, no packaged weights for it, or the download failed.
        """
        super().__init__()
        self.name = name
        self.network = _create(name, weights)
        self.pooling = pooling
        # What the pooled head gives out; some architectures widen it after the last stage (MobileNetV3, VGG).
        self.width: int = getattr(self.network, "head_hidden_size", self.network.num_features)
        if pooling == "stages":
            self.width += 2 * sum(stage["num_chs"] for stage in self.network.feature_info)
        mean, std = (LITE_MEAN, LITE_STD) if "efficientnet_lite" in name else (MEAN, STD)
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1) * 255, persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Features [n, width] of images [n, 3, height, width], uint8 or floats in 0..255."""
        normed = (images.float() - self.mean) / self.std
        if self.pooling == "last":
            return self.network(normed)
        final, stages = self.network.forward_intermediates(normed)
        parts = [self.network.forward_head(final, pre_logits=True)]
        for maps in stages:
            # Not torch.std: its gradient is infinite where a channel is constant, as after a ReLU that is off.
            parts += [maps.mean((2, 3)), (maps.var((2, 3), correction=0) + 1e-6).sqrt()]
        return torch.cat(parts, dim=1)


def _create(name: str, weights: Weights) -> nn.Module:
    import timm

    if name not in timm.list_models(name):
        near = ", ".join(timm.list_models(f"*{name.split('_')[0]}*")[:8]) or "see timm.list_models()"
        raise StageError(f"params.yaml: backbone {name!r} is not in timm {timm.__version__}. Near: {near}.")
    if weights == "packaged":
        return _packaged(name)
    try:
        return timm.create_model(name, pretrained=weights == "download", num_classes=0)
    except Exception as error:
        raise StageError(
            f"weights of {name} could not be downloaded ({type(error).__name__}: {str(error)[:200]}). "
            "Connect to the network once, or set `weights: none` (or `packaged` with tf_efficientnet_lite0)."
        ) from None


def _packaged(name: str) -> nn.Module:
    import timm

    state = packaged_state(name)
    network = timm.create_model(name, num_classes=0)
    network.load_state_dict({key: value for key, value in state.items() if key in network.state_dict()})
    return network
