"""Draw the demo data sets in their upstream formats, with defects, and the ground truth of what they show.

Reads:  nothing.
Writes: RAW/<source>, the tree as upstream publishes it; TRUTH/<source>, the ground truth, which no stage reads.
Params: demo_sources (the list), demo.

Each source is drawn from its own seed, independently of the others. One pool of processes draws all pictures.
"""

from argparse import Namespace
from collections.abc import Mapping
from itertools import chain, islice
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from pydantic import create_model

from stages.core.errors import StageError, shown
from stages.core.files import fresh_folder
from stages.core.parallel import in_processes
from stages.core.params import Names, Section
from stages.demo.sources import (
    category_coarse,
    category_fine,
    consumer_to_shop,
    deepfashion2,
    deepfashion_mm,
    fashion144k,
    fashion_products,
    headwear,
    inshop,
    shoes,
)
from stages.runner.progress import track
from stages.runner.stage import Stage

# The module of a source has ``PARAMS``, the model of its section; ``jobs(params)``, the list of jobs; ``draw(params,
# job)``, which runs in a process; and ``write(params, drawn, out, truth)``, which gets the results in order.
SOURCES: dict[str, ModuleType] = {
    "deepfashion2": deepfashion2,
    "headwear": headwear,
    "shoes": shoes,
    "fashion_products": fashion_products,
    "deepfashion_mm": deepfashion_mm,
    "inshop": inshop,
    "consumer_to_shop": consumer_to_shop,
    "category_coarse": category_coarse,
    "category_fine": category_fine,
    "fashion144k": fashion144k,
}
# Section ``demo`` has a section for each drawn source.
DemoParams = create_model(
    "DemoParams", __base__=Section, **{name: (module.PARAMS | None, None) for name, module in SOURCES.items()}
)
BATCH = 8  # jobs for a process at once


def draw_batch(batch: tuple[str, Section, list[Any]]) -> list[Any]:
    """Draw some jobs of one source, in a process."""
    source, params, jobs = batch
    return [SOURCES[source].draw(params, job) for job in jobs]


def draw_sources(sections: Mapping[str, Section], raw: Path, truth: Path) -> None:
    """Draw sources, each into a folder of its name below ``raw`` and below ``truth``.

    Args:
        sections: source -> its params.
        raw: folder of the trees.
        truth: folder of the ground truth.
    """
    jobs = {name: SOURCES[name].jobs(params) for name, params in sections.items()}
    batches = {
        name: [(name, params, jobs[name][at : at + BATCH]) for at in range(0, len(jobs[name]), BATCH)]
        for name, params in sections.items()
    }
    work = list(chain.from_iterable(batches.values()))
    drawn = track(in_processes(draw_batch, work), total=len(work), desc=f"draw, {BATCH} pictures at a time")
    for name, params in sections.items():
        results = list(chain.from_iterable(islice(drawn, len(batches[name]))))
        SOURCES[name].write(params, results, fresh_folder(raw / name), fresh_folder(truth / name))
    next(drawn, None)  # ends the pool


def main(args: Namespace, params: SimpleNamespace) -> None:
    """Draw every listed source.

    Raises:
        StageError: the list names a source that the demo cannot draw.
    """
    if unknown := set(params.sources) - set(SOURCES):
        raise StageError(f"params.yaml: `demo_sources` names {shown(unknown)}; the demo can draw: {shown(SOURCES)}.")
    sections = {name: getattr(params.demo, name) for name in params.sources}
    if lacking := [name for name, section in sections.items() if section is None]:
        raise StageError(f"params.yaml: `demo_sources` names {lacking[0]}, which section `demo` lacks. Add it.")
    draw_sources(sections, fresh_folder(args.raw), fresh_folder(args.truth))


STAGE = Stage(main, ["raw", "truth"], {"sources": ("demo_sources", Names), "demo": ("demo", DemoParams)})
