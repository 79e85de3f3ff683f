"""Which crops are queries and which are gallery, for each kind of benchmark; tables in, tables out, no images."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from stages.core.errors import StageError, shown

# Outcomes of an item that has a crop; every other outcome is a reason why it has none.
CUT = ("matched", "whole_image")


@dataclass(frozen=True)
class Selection:
    """Rows of a benchmark without images.

    Attributes:
        queries, gallery: columns row_id, item, category, detected_class.
        missed: outcome -> number of queries that have no crop for this reason.
        left_out: ``queries`` and ``gallery`` -> rows left out because their item is not known.
        found: what the tables hold, as a sentence for an error message.
    """

    queries: pa.Table
    gallery: pa.Table
    missed: dict[str, int]
    left_out: dict[str, int]
    found: str

    def __post_init__(self) -> None:
        for table in (self.queries, self.gallery):
            counts = Counter(table["row_id"].to_pylist())
            if twice := [key for key, count in counts.items() if count > 1]:
                raise StageError(f"a benchmark's row ids must be unique, found twice: {shown(twice)}")

    @property
    def without_match(self) -> int:
        """Queries with no correct row in the gallery; the query itself does not count."""
        ids: dict[str, set[str]] = {}
        for item, row_id in zip(self.gallery["item"].to_pylist(), self.gallery["row_id"].to_pylist(), strict=True):
            ids.setdefault(item, set()).add(row_id)
        queries = zip(self.queries["item"].to_pylist(), self.queries["row_id"].to_pylist(), strict=True)
        return sum(not (ids.get(item, set()) - {row_id}) for item, row_id in queries)


def select_wardrobe(
    crops: pa.Table,
    items: pa.Table,
    source: str,
    query_views: list[str],
    gallery_views: list[str],
    same_colorway: bool,
) -> Selection:
    """Test crops of ``source`` by view; correct = same physical item (and colourway, if ``same_colorway``).

    An item of the query views that has no crop becomes a query too when the gallery holds a match for it: a miss.
    """
    here = _where(crops, source=[source], split=["test"])
    queries, no_query_item = _keyed(_where(here, view=query_views), "crop_id", _item_key(same_colorway))
    gallery, no_gallery_item = _keyed(_where(here, view=gallery_views), "crop_id", _item_key(same_colorway))
    uncut = _uncut(items, source=[source], split=["test"], view=query_views)
    missed, no_missed_item = _keyed(uncut, "item_id", _item_key(same_colorway), keep="outcome")
    missed = missed.filter(pc.is_in(missed["item"], value_set=pc.unique(gallery["item"])))
    return Selection(
        queries=pa.concat_tables([queries, missed.drop_columns("outcome")]),
        gallery=gallery,
        missed=_counts(missed["outcome"]),
        left_out={"queries": no_query_item + no_missed_item, "gallery": no_gallery_item},
        found=f"{here.num_rows} test crops of source {source} by view: {_shown_counts(here['view'])}; "
        f"sources of all {crops.num_rows} crops: {_shown_counts(crops['source'])}.",
    )


def select_category(crops: pa.Table, items: pa.Table, source: str | None, item_column: str) -> Selection:
    """Test crops search training crops (of ``source``, or of all); correct = same value of ``item_column``.

    A test item that has no crop becomes a query too: a miss.
    """
    here = crops if source is None else _where(crops, source=[source])
    uncut = _uncut(items if source is None else _where(items, source=[source]), split=["test"])
    missed, no_missed_item = _keyed(uncut, "item_id", _column_key(item_column), keep="outcome")
    queries, no_query_item = _keyed(_where(here, split=["test"]), "crop_id", _column_key(item_column))
    gallery, no_gallery_item = _keyed(_where(here, split=["train"]), "crop_id", _column_key(item_column))
    return Selection(
        queries=pa.concat_tables([queries, missed.drop_columns("outcome")]),
        gallery=gallery,
        missed=_counts(missed["outcome"]),
        left_out={"queries": no_query_item + no_missed_item, "gallery": no_gallery_item},
        found=f"{here.num_rows} crops of {source or 'all sources'} by split: {_shown_counts(here['split'])}; by "
        f"{item_column}: {_shown_counts(here[item_column])}; "
        f"sources of all {crops.num_rows} crops: {_shown_counts(crops['source'])}.",
    )


def _uncut(items: pa.Table, **allowed: list[str]) -> pa.Table:
    """Items without a crop, with the empty column ``detected_class`` that crops have."""
    rows = _where(items, **allowed)
    rows = rows.filter(pc.invert(pc.is_in(rows["outcome"], value_set=pa.array(CUT))))
    return rows.append_column("detected_class", pa.nulls(rows.num_rows, pa.string()))


def _item_key(same_colorway: bool) -> Any:
    def key(table: pa.Table) -> pa.ChunkedArray:
        if not same_colorway:
            return table["instance"]
        return pc.binary_join_element_wise(table["instance"], table["colorway"], "/")  # null if either is null

    return key


def _column_key(column: str) -> Any:
    return lambda table: table[column]


def _where(table: pa.Table, **allowed: list[str]) -> pa.Table:
    for column, values in allowed.items():
        table = table.filter(pc.is_in(table[column], value_set=pa.array(values, pa.string())))
    return table


def _keyed(table: pa.Table, id_column: str, key: Any, keep: str | None = None) -> tuple[pa.Table, int]:
    """The benchmark's columns for rows whose item is known, and how many rows have none."""
    columns = {
        "row_id": table[id_column],
        "item": key(table),
        "category": table["superclass"],
        "detected_class": table["detected_class"],
    }
    if keep:
        columns[keep] = table[keep]
    keyed = pa.table(columns)
    known = keyed.filter(keyed["item"].is_valid())
    return known, keyed.num_rows - known.num_rows


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    return dict(sorted(Counter(map(str, column.to_pylist())).items()))


def _shown_counts(column: pa.ChunkedArray) -> str:
    return shown(f"{name} {count}" for name, count in _counts(column).items())
