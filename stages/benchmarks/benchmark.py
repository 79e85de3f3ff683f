"""Build the query and gallery tables of one retrieval benchmark, and its training table where it brings one.

Reads:  of kinds wardrobe and category DATASET_DIR/shard-XXXX.parquet (crops with the data set's split) and
        DATASET_DIR/items.parquet (every labelled item with split and outcome); of all others INGESTED_DIR/<source>/,
        and with ``boxes: detected`` DETECTORS_DIR/<detector>.
Writes: OUT/queries.parquet and OUT/gallery.parquet (sorted by row_id), OUT/benchmark.json (what is in them); of kinds
        over an upstream tree OUT/train.parquet too (BENCHMARK_TRAIN).
Params: benchmark.<name>, runtime.

Kinds over the data set:
    wardrobe: worn photos of an item find its flat photo among those of other items; both from test groups. An item
        that no detector found in its worn photo is a query without an image: a miss for every encoder.
    category: test crops find training crops with the same label.
Kinds over an upstream tree, with upstream's own split (docs/datasets.md):
    inshop: queries find gallery photos of the same item (benchmark_items.py).
    consumer_to_shop: consumers' photos find shops' photos of the same item.
    pairs: garments in users' photos find the same garment in shops' photos, by annotated or detected boxes
        (benchmark_pairs.py).
    image_category: test images find training images of the same category (benchmark_labels.py).
    multilabel: test images find training images with the same set of labels.
"""

from argparse import Namespace
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

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
from stages.benchmarks.pictures import write_plan
from stages.benchmarks.plan import Plan, Source, read_source
from stages.benchmarks.selection import Selection, select_category, select_wardrobe
from stages.contracts.tables import BENCHMARK, HEADS, iter_shards, read_shards, read_table, write_table
from stages.core.determinism import seed_everything
from stages.core.errors import StageError
from stages.core.files import fresh_folder, write_json
from stages.runner.progress import say
from stages.runner.stage import Report, Stage

ITEM_COLUMNS = ("superclass", *HEADS)
LIGHT = ["crop_id", "source", "split", "instance", "colorway", "view", "detected_class", *ITEM_COLUMNS]
ITEMS = ["item_id", "source", "split", "instance", "colorway", "view", "superclass", "outcome"]
# kind -> the item columns that it needs, and what selects its rows
SELECT: dict[str, tuple[tuple[str, ...], Callable[[Source, BenchmarkParams], Plan]]] = {
    "inshop": (INSHOP, select_inshop),
    "consumer_to_shop": (CONSUMER_TO_SHOP, select_consumer_to_shop),
    "image_category": (IMAGE_CATEGORY, select_image_category),
    "multilabel": (MULTILABEL, select_multilabel),
    "pairs": (PAIRS, select_pairs),
}


def select(name: str, params: BenchmarkParams, crops: pa.Table, items: pa.Table) -> Selection:
    """Query and gallery rows of a benchmark, without images.

    Raises:
        StageError: when there is nothing to search, to search in or to find.
    """
    if params.kind == "wardrobe":
        selection = select_wardrobe(
            crops, items, params.source, params.query_views, params.gallery_views, params.same_colorway
        )
    else:
        selection = select_category(crops, items, params.source, params.item_column)
    for part, table in (("query", selection.queries), ("gallery row", selection.gallery)):
        if not table.num_rows:
            raise StageError(f"benchmark.{name}: no {part}. Found {selection.found} Change benchmark.{name} to fit.")
    if selection.without_match == selection.queries.num_rows:
        raise StageError(
            f"benchmark.{name}: none of {selection.queries.num_rows} queries has a correct row in the gallery of "
            f"{selection.gallery.num_rows}. Found {selection.found} Change benchmark.{name} to fit."
        )
    return selection


def with_images(rows: pa.Table, dataset: Path) -> pa.Table:
    """Rows of a selection as a BENCHMARK table, sorted by row_id; bytes are null where no crop has that id."""
    rows = rows.sort_by("row_id")
    wanted = pc.unique(rows["row_id"])
    parts = [
        shard.filter(pc.is_in(shard["crop_id"], value_set=wanted))
        for shard in iter_shards(dataset, ["crop_id", "bytes"])
    ]
    crops = pa.concat_tables(parts)
    images = crops["bytes"].take(pc.index_in(rows["row_id"], value_set=crops["crop_id"].combine_chunks()))
    return rows.append_column("bytes", images).select(BENCHMARK.names).cast(BENCHMARK)


def description(params: BenchmarkParams, selection: Selection) -> dict[str, object]:
    """Content of benchmark.json."""
    counts = {
        part: dict(sorted(Counter(map(str, table["category"].to_pylist())).items()))
        for part, table in (("queries", selection.queries), ("gallery", selection.gallery))
    }
    return {
        "kind": params.kind,
        "source": params.source,
        "queries": selection.queries.num_rows,
        "queries_missed": sum(selection.missed.values()),
        "queries_missed_by_outcome": selection.missed,
        "queries_without_match": selection.without_match,
        "gallery": selection.gallery.num_rows,
        "items_in_gallery": len(pc.unique(selection.gallery["item"])),
        "left_out_without_item": selection.left_out,
        "categories": counts,
    }


def plan_description(params: BenchmarkParams, plan: Plan) -> dict[str, Any]:
    """Content of benchmark.json of a kind over an upstream tree."""
    parts = {"queries": plan.queries, "gallery": plan.gallery, "train": plan.train}
    whole = sum(pick.box is None and pick.image_id is not None for picks in parts.values() for pick in picks)
    return {
        "kind": params.kind,
        "source": params.source,
        "boxes": params.boxes,
        "queries": len(plan.queries),
        "queries_missed": sum(plan.missed.values()),
        "queries_missed_by_outcome": plan.missed,
        "queries_without_match": plan.without_match,
        "gallery": len(plan.gallery),
        "items_in_gallery": len({pick.item for pick in plan.gallery}),
        "train": sum(pick.split == "train" for pick in plan.train),
        "val": sum(pick.split == "val" for pick in plan.train),
        "left_out": dict(sorted(plan.left_out.items())),
        "whole_pictures": whole,
        "categories": {
            part: dict(sorted(Counter(str(pick.category) for pick in picks).items())) for part, picks in parts.items()
        },
        **plan.about,
    }


def from_dataset(args: Namespace, params: BenchmarkParams, out: Path) -> dict[str, Any]:
    """Write a benchmark over the data set's crops; returns what is in it."""
    crops = read_shards(args.dataset, LIGHT)
    items = read_table(args.dataset / "items.parquet", columns=[*ITEMS, *HEADS])
    selection = select(args.benchmark, params, crops, items)
    write_table(out / "queries.parquet", with_images(selection.queries, args.dataset))
    write_table(out / "gallery.parquet", with_images(selection.gallery, args.dataset))
    return description(params, selection)


def from_upstream(args: Namespace, params: BenchmarkParams, out: Path) -> dict[str, Any]:
    """Write a benchmark over an ingested source; returns what is in it."""
    columns, choose = SELECT[params.kind]
    source = read_source(args.ingested, params.source, columns)
    plan = choose(source, params)
    if params.boxes == "detected":
        seed_everything(0)  # nothing is drawn here; this fixes torch's threads and its deterministic algorithms
        detections = detect(plan, args.ingested / source.name, load(args.detectors, params.detection), params.detection)
        plan = with_detections(plan, detections, params.detection.overlap)
    plan.separate()
    plan.check(args.benchmark, source.found)
    written = write_plan(plan, args.ingested / source.name, params.crop, out, f"cut {args.benchmark} (shards)")
    return plan_description(params, written)


def main(args: Namespace, params: SimpleNamespace) -> Report:
    """Read, select, write."""
    out = fresh_folder(args.out)
    build = from_upstream if params.benchmark.kind in UPSTREAM else from_dataset
    content = build(args, params.benchmark, out)
    write_json(out / "benchmark.json", content)
    numbers = {name: value for name, value in content.items() if isinstance(value, int)}
    say(f"{args.benchmark}: " + ", ".join(f"{value} {name}" for name, value in numbers.items()))
    return Report(metrics=numbers)


STAGE = Stage(
    main,
    ["benchmark", "ingested", "dataset", "detectors", "out"],
    {"benchmark": ("benchmark.{benchmark}", BenchmarkParams)},
)
