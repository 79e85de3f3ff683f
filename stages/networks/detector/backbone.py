"""timm's feature maps as the backbone of a YOLO."""

import torch
from torch import nn

from stages.core.fast_imports import import_timm
from stages.core.pretrained import LITE_MEAN, LITE_STD, packaged_state


class DetectorBackbone(nn.Module):
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
