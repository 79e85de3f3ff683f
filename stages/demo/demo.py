"""Draw the demo data sets in their upstream formats, defects included, and apart from them what they really show.

Reads:  nothing.
Writes: RAW/<source>, the tree as upstream publishes it; TRUTH/<source>, the ground truth, which no stage reads.
Params: demo_sources (the list), demo.

Each source is drawn from its own seed, whatever else the list names.
"""

from argparse import Namespace
from importlib import import_module
from types import ModuleType, SimpleNamespace

from stages.core.errors import StageError, shown
from stages.core.files import fresh_folder
from stages.core.params import Names, load_params, section
from stages.runner.progress import say
from stages.runner.stage import Stage

SOURCES = (
    "deepfashion2",
    "headwear",
    "shoes",
    "fashion_products",
    "deepfashion_mm",
    "inshop",
    "consumer_to_shop",
    "category_coarse",
    "category_fine",
    "fashion144k",
)


def source_module(source: str) -> ModuleType:
    """The module that draws a source, with its section's model ``PARAMS`` and ``write_source(params, out, truth)``.

    Raises:
        StageError: when the demo has no such source.
    """
    if source not in SOURCES:
        raise StageError(f"params.yaml: `demo_sources` names {source!r}; the demo can draw: {shown(SOURCES)}.")
    return import_module(f"stages.demo.sources.{source}")


def main(args: Namespace, params: SimpleNamespace) -> None:
    """Draw every listed source."""
    content = load_params()
    for folder in (args.raw, args.truth):
        fresh_folder(folder)
    for source in params.sources:
        module = source_module(source)
        options = section(module.PARAMS, f"demo.{source}", content)
        say(f"demo: drawing {source}")
        module.write_source(options, args.raw / source, args.truth / source)


STAGE = Stage(main, ["raw", "truth"], {"sources": ("demo_sources", Names)})
