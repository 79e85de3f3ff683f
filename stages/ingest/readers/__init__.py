"""One reader for each upstream format: every module here with a function ``read(request) -> Reading``, by its name."""

from importlib import import_module
from pkgutil import iter_modules

_MODULES = [import_module(f"{__name__}.{info.name}") for info in iter_modules(__path__)]
READERS = {module.__name__.rpartition(".")[2]: module.read for module in _MODULES if hasattr(module, "read")}
