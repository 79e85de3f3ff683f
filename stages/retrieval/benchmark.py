"""Build the query and gallery tables of one retrieval benchmark.

Reads:  DATASET_DIR/shard-XXXX.parquet (crops with the data set's split) and DATASET_DIR/items.parquet (every
        labelled item with split and outcome). INGESTED_DIR is for benchmarks over upstream images; the kinds below
        do not open it.
Writes: OUT/queries.parquet and OUT/gallery.parquet (sorted by row_id), OUT/benchmark.json (what is in them).
Params: benchmark.<name>.

Kinds:
    wardrobe: worn photos of an item find its flat photo among those of other items; both from test groups. An item
        that no detector found in its worn photo is a query without an image: a miss for every encoder.
    category: test crops find training crops with the same label.
"""

from argparse import Namespace
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Literal, Self

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import model_validator

from stages.core.errors import StageError
from stages.core.files import fresh_folder, write_json
from stages.core.params import Section
from stages.core.progress import say
from stages.core.stage import Report, run_stage
from stages.core.tables import BENCHMARK, HEADS, iter_shards, read_shards, read_table, write_table
from stages.retrieval.selection import Selection, select_category, select_wardrobe

ITEM_COLUMNS = ("superclass", *HEADS)
LIGHT = ["crop_id", "source", "split", "instance", "colorway", "view", "detected_class", *ITEM_COLUMNS]
ITEMS = ["item_id", "source", "split", "instance", "colorway", "view", "superclass", "outcome"]


class BenchmarkParams(Section):
    """One benchmark; a kind ignores the keys of the other."""

    kind: Literal["wardrobe", "category"]
    source: str | None
    query_views: list[str]
    gallery_views: list[str]
    same_colorway: bool
    item_column: Literal["superclass", "gender", "type", "usage", "color", "fabric", "pattern"] | None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.kind == "wardrobe" and not (self.source and self.query_views and self.gallery_views):
            raise ValueError("kind wardrobe needs source, query_views and gallery_views")
        if self.kind == "category" and not self.item_column:
            raise ValueError("kind category needs item_column")
        return self


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


def main(args: Namespace, params: SimpleNamespace) -> Report:
    """Read the data set, select, write."""
    crops = read_shards(args.dataset, LIGHT)
    items = read_table(args.dataset / "items.parquet", columns=[*ITEMS, *HEADS])
    selection = select(args.benchmark, params.benchmark, crops, items)
    out = fresh_folder(args.out)
    write_table(out / "queries.parquet", with_images(selection.queries, args.dataset))
    write_table(out / "gallery.parquet", with_images(selection.gallery, args.dataset))
    content = description(params.benchmark, selection)
    write_json(out / "benchmark.json", content)
    numbers = {name: value for name, value in content.items() if isinstance(value, int)}
    say(f"{args.benchmark}: " + ", ".join(f"{value} {name}" for name, value in numbers.items()))
    return Report(metrics=numbers)


if __name__ == "__main__":
    run_stage(
        main, ["benchmark", "ingested", "dataset", "out"], {"benchmark": ("benchmark.{benchmark}", BenchmarkParams)}
    )
