"""Build the query and gallery tables of one retrieval benchmark, and its training table where it brings one.

Reads:  IMAGES, of kinds wardrobe and category the data set (its crops, and items.parquet with every labelled item's
        split and outcome), of all others an ingested source; with ``boxes: detected`` MODEL, a trained detector, which
        otherwise is not looked at. Params ``benchmark_reads`` name the two for each benchmark.
Writes: OUT/queries.parquet and OUT/gallery.parquet (sorted by row_id), OUT/benchmark.json (what is in them); of kinds
        over an upstream tree OUT/train.parquet too (BENCHMARK_TRAIN).
Params: benchmark.<name>, runtime.

Kinds over the data set:
    wardrobe: worn photos of an item find its flat photo among those of other items; both from test groups. An item
        that no detector found in its worn photo is a query without an image: a miss for every encoder.
    category: test crops find training crops with the same label.
Kinds over an upstream tree, with upstream's own split (docs/datasets.md):
    inshop: queries find gallery photos of the same item (items.py).
    consumer_to_shop: consumers' photos find shops' photos of the same item.
    pairs: garments in users' photos find the same garment in shops' photos, by annotated or detected boxes
        (pairs.py).
    image_category: test images find training images of the same category (image_labels.py).
    multilabel: test images find training images with the same set of labels.
"""

from argparse import Namespace
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from stages.benchmarks.detect import detect, load
from stages.benchmarks.image_labels import (
    IMAGE_CATEGORY,
    MULTILABEL,
    select_image_category,
    select_multilabel,
)
from stages.benchmarks.items import CONSUMER_TO_SHOP, INSHOP, select_consumer_to_shop, select_inshop
from stages.benchmarks.pairs import PAIRS, select_pairs, with_detections
from stages.benchmarks.params import UPSTREAM, BenchmarkParams
from stages.benchmarks.pictures import pictures_of, write_plan
from stages.benchmarks.plan import Plan, Source, read_source
from stages.benchmarks.selection import select_crops
from stages.core.determinism import seed_everything
from stages.core.errors import StageError
from stages.core.files import fresh_folder, write_json
from stages.runner.progress import say
from stages.runner.stage import Report, Stage

# kind -> the item columns that it needs, and what selects its rows
SELECT: dict[str, tuple[tuple[str, ...], Callable[[Source, BenchmarkParams], Plan]]] = {
    "inshop": (INSHOP, select_inshop),
    "consumer_to_shop": (CONSUMER_TO_SHOP, select_consumer_to_shop),
    "image_category": (IMAGE_CATEGORY, select_image_category),
    "multilabel": (MULTILABEL, select_multilabel),
    "pairs": (PAIRS, select_pairs),
}


def description(params: BenchmarkParams, plan: Plan) -> dict[str, Any]:
    """Content of benchmark.json; what only an upstream tree has, its training rows and boxes, is left out elsewhere."""
    parts = {"queries": plan.queries, "gallery": plan.gallery}
    upstream: dict[str, Any] = {}
    if params.kind in UPSTREAM:
        parts["train"] = plan.train
        upstream = {
            "boxes": params.boxes,
            "train": sum(pick.split == "train" for pick in plan.train),
            "val": sum(pick.split == "val" for pick in plan.train),
            "whole_pictures": sum(
                pick.box is None and pick.image_id is not None for picks in parts.values() for pick in picks
            ),
        }
    return {
        "kind": params.kind,
        "source": params.source,
        "queries": len(plan.queries),
        "queries_missed": sum(plan.missed.values()),
        "queries_missed_by_outcome": plan.missed,
        "queries_without_match": plan.without_match,
        "gallery": len(plan.gallery),
        "items_in_gallery": len({pick.item for pick in plan.gallery}),
        "left_out": dict(sorted(plan.left_out.items())),
        "categories": {
            part: dict(sorted(Counter(str(pick.category) for pick in picks).items())) for part, picks in parts.items()
        },
        **upstream,
        **plan.about,
    }


def select_upstream(args: Namespace, params: BenchmarkParams) -> Plan:
    """The plan of a benchmark over an ingested source, by annotated or detected boxes."""
    columns, choose = SELECT[params.kind]
    source = read_source(_named(args.images, params.source, args.benchmark), columns)
    plan = choose(source, params)
    if params.boxes == "detected":
        seed_everything(0)  # nothing is drawn here; this fixes torch's threads and its deterministic algorithms
        detector = load(_named(args.model, params.detection.detector, args.benchmark))
        detections = detect(plan, args.images, detector, params.detection)
        plan = with_detections(plan, detections, params.detection.overlap)
    plan.found = source.found
    plan.separate()
    return plan


def _named(folder: Path, name: str, benchmark: str) -> Path:
    """The folder, if it is the one that the benchmark's section names.

    Raises:
        StageError: when ``benchmark_reads`` in params.yaml names another.
    """
    if folder.name != name:
        raise StageError(
            f"params.yaml: `benchmark_reads.{benchmark}` names {folder}, but `benchmark.{benchmark}` reads {name}. "
            "Make the two agree (stages/benchmarks/params.py derives the first from the second)."
        )
    return folder


def main(args: Namespace, params: SimpleNamespace) -> Report:
    """Read, select, check, write."""
    options: BenchmarkParams = params.benchmark
    upstream = options.kind in UPSTREAM
    out = fresh_folder(args.out)
    plan = select_upstream(args, options) if upstream else select_crops(args.images, options)
    plan.check(args.benchmark)
    pictures = pictures_of(plan, args.images, options.crop if upstream else None, f"cut {args.benchmark} (shards)")
    written = write_plan(plan, pictures, ("queries", "gallery", "train") if upstream else ("queries", "gallery"), out)
    content = description(options, written)
    write_json(out / "benchmark.json", content)
    numbers = {name: value for name, value in content.items() if isinstance(value, int)}
    say(f"{args.benchmark}: " + ", ".join(f"{value} {name}" for name, value in numbers.items()))
    return Report(metrics=numbers)


STAGE = Stage(main, ["benchmark", "images", "model", "out"], {"benchmark": ("benchmark.{benchmark}", BenchmarkParams)})
