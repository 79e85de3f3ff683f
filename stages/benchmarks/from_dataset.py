"""Benchmarks over the data set: choose the crops for queries and gallery. Tables in, a plan out, no images."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from stages.benchmarks.params import BenchmarkParams
from stages.benchmarks.plan import Pick, Plan
from stages.contracts.tables import read_shards, read_table
from stages.core.errors import shown
from stages.core.heads import HEADS

# Outcomes of items with a crop; every other outcome is a reason for having none.
CUT = ("matched", "whole_image")
CROPS = ["crop_id", "source", "split", "instance", "colorway", "view", "detected_class", "superclass", *HEADS]
ITEMS = ["item_id", "source", "split", "instance", "colorway", "view", "superclass", "outcome", *HEADS]
Key = Callable[[pa.Table], pa.ChunkedArray]


def select_crops(dataset: Path, params: BenchmarkParams) -> Plan:
    """The plan of a benchmark over the data set's crops; test items without a crop are queries, too, and misses.

    Kinds:
        wardrobe: test crops of a source, by view; correct = the same physical item (and colorway, if
            ``same_colorway``). A missed query is included if the gallery has a match for it.
        category: test crops search training crops, of a source or of all; correct = the same ``item_column``.
    """
    crops = read_shards(dataset, CROPS)
    items = read_table(dataset / "items.parquet", columns=ITEMS)
    return (select_wardrobe if params.kind == "wardrobe" else select_category)(crops, items, params)


def select_wardrobe(crops: pa.Table, items: pa.Table, params: BenchmarkParams) -> Plan:
    """See ``select_crops``."""
    test_crops = _where(crops, source=[params.source], split=["test"])
    uncut = _uncut(items, source=[params.source], split=["test"], view=params.query_views)
    plan = Plan(
        inventory=f"{test_crops.num_rows} test crops of source {params.source} by view: "
        f"{_shown_counts(test_crops['view'])}; sources of all {crops.num_rows} crops: {_shown_counts(crops['source'])}"
    )
    key = _item_key(params.same_colorway)
    plan.queries = _picks(_where(test_crops, view=params.query_views), key, plan, "queries")
    plan.gallery = _picks(_where(test_crops, view=params.gallery_views), key, plan, "gallery")
    gallery_items = {pick.item for pick in plan.gallery}
    plan.queries += [pick for pick in _picks(uncut, key, plan, "queries") if pick.item in gallery_items]
    return plan


def select_category(crops: pa.Table, items: pa.Table, params: BenchmarkParams) -> Plan:
    """See ``select_crops``."""
    column, own_crops = params.item_column, crops
    if params.source is not None:
        own_crops, items = (_where(table, source=[params.source]) for table in (crops, items))
    plan = Plan(
        inventory=f"{own_crops.num_rows} crops of {params.source or 'all sources'} by split: "
        f"{_shown_counts(own_crops['split'])}; by {column}: {_shown_counts(own_crops[column])}; "
        f"sources of all {crops.num_rows} crops: {_shown_counts(crops['source'])}"
    )
    plan.queries = _picks(_where(own_crops, split=["test"]), lambda table: table[column], plan, "queries")
    plan.queries += _picks(_uncut(items, split=["test"]), lambda table: table[column], plan, "queries")
    plan.gallery = _picks(_where(own_crops, split=["train"]), lambda table: table[column], plan, "gallery")
    return plan


def _uncut(items: pa.Table, **allowed: list[str]) -> pa.Table:
    """Items without a crop."""
    rows = _where(items, **allowed)
    return rows.filter(pc.invert(pc.is_in(rows["outcome"], value_set=pa.array(CUT))))


def _item_key(same_colorway: bool) -> Key:
    def key(table: pa.Table) -> pa.ChunkedArray:
        if not same_colorway:
            return table["instance"]
        return pc.binary_join_element_wise(table["instance"], table["colorway"], "/")  # null if either is null

    return key


def _where(table: pa.Table, **allowed: list[str]) -> pa.Table:
    for column, values in allowed.items():
        table = table.filter(pc.is_in(table[column], value_set=pa.array(values, pa.string())))
    return table


def _picks(table: pa.Table, key: Key, plan: Plan, role: str) -> list[Pick]:
    """Picks of the crops, or items without a crop, whose item is known; the others are counted as left out."""
    picks = []
    for row, item in zip(table.to_pylist(), key(table).to_pylist(), strict=True):
        if item is None:
            plan.left_out[f"{role}: item not known"] += 1
        elif "crop_id" in row:
            crop = row["crop_id"]
            picks.append(Pick(crop, item, row["superclass"], crop, detected_class=row["detected_class"]))
        else:
            picks.append(Pick(row["item_id"], item, row["superclass"], None, missed=row["outcome"]))
    return picks


def _shown_counts(column: pa.ChunkedArray) -> str:
    return shown(f"{name} {count}" for name, count in Counter(map(str, column.to_pylist())).items())
