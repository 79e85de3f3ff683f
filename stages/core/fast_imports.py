"""Faster start-up: torch, its optimizers and timm without what only torch's compiler needs, which no stage uses."""

import sys
from collections.abc import Callable
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_COMPILER_UTILS = "torch._dynamo.utils"
_META_KERNELS, _DECOMPOSITIONS = "torch._meta_registrations", "torch._decomp"


def spare_meta_kernels() -> None:
    """Let ``import torch`` do without its kernels in Python for tensors without data: .3 of 1.3 seconds.

    Compiler and exporter compute shapes with them. Both import ``torch._decomp`` first, which brings the kernels.
    """
    if "torch" not in sys.modules and not any(isinstance(finder, _MetaKernelsLater) for finder in sys.meta_path):
        sys.meta_path.insert(0, _MetaKernelsLater())


class _MetaKernelsLater(MetaPathFinder):
    """Find an empty module of meta kernels for ``import torch``, and the kernels once decompositions are asked for."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name == _META_KERNELS:
            return ModuleSpec(name, _NoKernels())
        if name != _DECOMPOSITIONS:
            return None
        sys.meta_path.remove(self)
        sys.modules.pop(_META_KERNELS, None)
        import_module(_META_KERNELS)  # first, as in torch: each imports the other, and only this order ends
        module = sys.modules[name]
        module.__spec__ = ModuleSpec(name, _Loaded(module), is_package=True)  # else Python loads it once more
        return module.__spec__


class _NoKernels(Loader):
    """Load a module that brings the meta kernels as soon as something is taken from it."""

    def exec_module(self, module: ModuleType) -> None:
        module.__getattr__ = _kernel  # type: ignore[method-assign]  # Python looks for it in the module


class _Loaded(Loader):
    """Give a module that is loaded, with the spec that it has."""

    def __init__(self, module: ModuleType) -> None:
        self.module, self.spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.spec


def _kernel(name: str) -> Any:
    if name.startswith("__"):  # what the import system looks for
        raise AttributeError(name)
    import_module(_DECOMPOSITIONS)
    return getattr(import_module(_META_KERNELS), name)


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
