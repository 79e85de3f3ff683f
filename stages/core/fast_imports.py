"""Faster start-up: timm without the imports that no stage uses."""

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

_ASKED = "torch._dynamo.utils"


def import_timm() -> ModuleType:
    """timm, and torchvision with it, without torch's compiler: a third of the start-up of a stage (1.3 of 3.8 seconds).

    ``torchvision.ops.roi_align`` imports one function of the compiler, and timm's NaFlexViT excludes one method from
    compilation; each of the two imports all of the compiler and sympy. Stages that train still import the compiler,
    because torch's optimizers do.
    """
    import torch.compiler

    if "timm" in sys.modules or "torch._dynamo" in sys.modules:
        import timm

        return timm
    stand_in = ModuleType(_ASKED)
    stand_in.is_compile_supported = _is_compile_supported
    sys.modules[_ASKED] = stand_in
    try:
        import torchvision  # noqa: F401 (for what it leaves in sys.modules)
    finally:
        del sys.modules[_ASKED]
    disable, torch.compiler.disable = torch.compiler.disable, _left_alone
    try:
        import timm
    finally:
        torch.compiler.disable = disable
    return timm


def _is_compile_supported(device_type: Any) -> Any:
    from torch._dynamo.utils import is_compile_supported

    return is_compile_supported(device_type)


def _left_alone(function: Callable[..., Any]) -> Callable[..., Any]:
    """Mark the function as one that torch's compiler must not compile."""
    function._torchdynamo_disable = True
    return function
