"""Faster start-up: timm and torch's optimizers without torch's compiler, which no stage uses."""

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

_COMPILER_UTILS = "torch._dynamo.utils"


def import_timm() -> ModuleType:
    """timm, and torchvision with it, without torch's compiler: a third of the start-up of a stage (1.3 of 3.8 seconds).

    ``torchvision.ops.roi_align`` imports one function of the compiler, and timm's NaFlexViT excludes one method from
    compilation; each of the two imports all of the compiler and sympy.
    """
    import torch.compiler

    if "timm" in sys.modules or "torch._dynamo" in sys.modules:
        import timm

        return timm
    stand_in = ModuleType(_COMPILER_UTILS)
    stand_in.is_compile_supported = _is_compile_supported
    sys.modules[_COMPILER_UTILS] = stand_in
    try:
        import torchvision  # noqa: F401 (for what it leaves in sys.modules)
    finally:
        del sys.modules[_COMPILER_UTILS]
    disable, torch.compiler.disable = torch.compiler.disable, _left_alone
    try:
        import timm
    finally:
        torch.compiler.disable = disable
    return timm


def spare_compiler() -> None:
    """Let torch's optimizers and deterministic mode do without the compiler: more than a second of a training's start.

    Optimizers import it to tell it that it must leave them alone, and to break its graphs around a step; the mode is
    set in it, too. What they compute is the same. ``differentiable=True`` has no effect afterwards.
    """
    import torch
    from torch.optim import SGD, Adam, Optimizer  # AdamW has the step of Adam

    for name in ("add_param_group", "zero_grad", "state_dict", "load_state_dict"):
        plain = getattr(getattr(Optimizer, name), "__wrapped__", None)
        if plain is not None:
            plain.__dynamo_disable = plain
    for kind in (SGD, Adam):
        plain = getattr(kind.step, "__wrapped__", None)
        if plain is not None and not hasattr(kind.step, "hooked"):  # hooked: one was built before
            kind.step = torch.no_grad()(plain)
    torch.use_deterministic_algorithms = torch._C._set_deterministic_algorithms


def _is_compile_supported(device_type: Any) -> Any:
    from torch._dynamo.utils import is_compile_supported

    return is_compile_supported(device_type)


def _left_alone(function: Callable[..., Any]) -> Callable[..., Any]:
    """Mark the function as one that torch's compiler must not compile."""
    function._torchdynamo_disable = True
    return function
