"""An ImageNet backbone inside a YOLO: timm's feature maps in the slot that Ultralytics has for foreign models."""

from pathlib import Path

import torch
from torch import nn

from stages.core.lean import import_timm
from stages.networks.backbones.pretrained import LITE_MEAN, LITE_STD, packaged_state

HERE = Path(__file__).parent


class FeatureMaps(nn.Module):
    """Feature maps of strides 2, 4, 8, 16 and 32 from images in [0, 1], as Ultralytics feeds them."""

    def __init__(self, name: str, weights: str) -> None:
        """Build timm's architecture ``name``; ``weights`` is packaged or none."""
        super().__init__()
        timm = import_timm()

        self.network = timm.create_model(name, features_only=True)
        if weights == "packaged":
            wanted = self.network.state_dict()
            self.network.load_state_dict({key: value for key, value in packaged_state(name).items() if key in wanted})
        self.register_buffer("mean", torch.tensor(LITE_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(LITE_STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Five maps [n, channels, side / stride, side / stride]."""
        return self.network((images - self.mean.to(images.dtype)) / self.std.to(images.dtype))


def register_backbone() -> None:
    """Let model YAMLs use ``TorchVision`` for ``FeatureMaps``."""
    import ultralytics.nn.tasks as tasks

    tasks.TorchVision = FeatureMaps


def architecture_path(name: str) -> str:
    """Our own architecture file of that name if there is one, else the name, which Ultralytics resolves."""
    own = HERE / name
    return str(own) if own.is_file() else name
