"""Merge upstream's values into the classes of the heads: columns and merge tables in, columns out.

A value that is not in its table, or has an empty target there, becomes unknown (null). ``unknown_names`` counts these
values by name, so that none is lost unnoticed.

The merge tables are CSV files that people may edit; they are checked when they are read. An empty target means that the
value exists but becomes unknown for its head (or that its row is rejected).
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from stages.core.errors import StageError, shown
from stages.core.heads import HEAD
from stages.core.table_rows import read_rows

TYPES = "types.csv"
LAYERS = ("upper", "lower", "outer")


@dataclass(frozen=True)
class LabelTables:
    """The tables that every policy may use, all columns as strings; "" where a cell is empty.

    Attributes:
        of_head: head -> its merge table (tables/heads.csv).
    """

    folder: Path
    superclasses: pd.DataFrame
    subcategories: pd.DataFrame
    types: pd.DataFrame
    types_rejected: pd.DataFrame
    deepfashion_types: pd.DataFrame
    of_head: dict[str, pd.DataFrame]

    def vocabulary(self) -> dict[str, set[str]]:
        """Column of the labels table -> every value that the tables can produce."""
        targets = {"superclass": self.superclasses["superclass"]}
        targets |= {head.name: self.of_head[head.name][head.classes] for head in HEAD.values()}
        return {column: set(values) - {""} for column, values in targets.items()}

    def targets(self, name: str) -> dict[str, str]:
        """Upstream's name -> the class that it becomes in a head, "" for none."""
        head, table = HEAD[name], self.of_head[name]
        rows = zip(table[head.upstream], table[head.classes], strict=True)
        return {upstream: target for cell, target in rows for upstream in split_names(cell)}

    def merged(self, name: str, values: pd.Series) -> pd.Series:
        """Upstream's values as the classes of a head."""
        return merge(values, self.targets(name))


def split_names(cell: str) -> list[str]:
    """The names in a cell, separated by ``|``."""
    return [name for name in cell.split("|") if name]


def read_merge_table(path: Path, columns: list[str]) -> pd.DataFrame:
    """One table as strings; the first of ``columns`` is its key. "NA" is a value like any other.

    People edit these files, so any usual delimiter and encoding is read, such as Excel's.

    Raises:
        StageError: the file or a column is missing, the file is no table, or a key appears twice.
    """
    if not path.is_file():
        raise StageError(f"{path}: no such file; expected a CSV with the columns {', '.join(columns)}. Restore it.")
    rows = read_rows(path)
    table = pd.DataFrame([row for _, row in rows.rows], columns=rows.columns, dtype="str")
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise StageError(
            f"{path}: column {shown(missing)} is missing; found: {shown(table.columns)} ({rows.read_as}). Add it."
        )
    repeated = table[columns[0]][table[columns[0]].duplicated()]
    if len(repeated):
        raise StageError(f"{path}: {columns[0]} {shown(repeated)} occurs more than once. Keep one line of each.")
    return table


def read_label_tables(folder: Path) -> LabelTables:
    """All tables, checked against each other.

    Raises:
        StageError: the message names the file, the value found and the expected values.
    """
    types = read_merge_table(folder / TYPES, ["type", "group", "fashion_products"])
    tables = LabelTables(
        folder=folder,
        superclasses=read_merge_table(folder / "superclasses.csv", ["superclass", "fashion_products_group"]),
        subcategories=read_merge_table(folder / "subcategories.csv", ["subCategory", "group"]),
        types=types,
        types_rejected=read_merge_table(folder / "types_rejected.csv", ["articleType"]),
        deepfashion_types=read_merge_table(
            folder / "deepfashion_types.csv", ["type", "layer", "merged_type", "agreeing_detections"]
        ),
        of_head={
            head.name: types
            if head.table == TYPES
            else read_merge_table(folder / head.table, [head.upstream, head.classes])
            for head in HEAD.values()
        },
    )
    _check(tables)
    return tables


def _check(tables: LabelTables) -> None:
    """Refuse names that are missing in the table they refer to, as a typo would silently make a new class."""
    deepfashion = tables.deepfashion_types
    detections = {name for cell in deepfashion["agreeing_detections"] for name in split_names(cell)}
    groups = set(tables.superclasses["fashion_products_group"])
    types = tables.vocabulary()["type"]
    for file, column, values, known in (
        ("deepfashion_types.csv", "agreeing_detections", detections, set(tables.superclasses["superclass"])),
        ("deepfashion_types.csv", "layer", set(deepfashion["layer"]), set(LAYERS)),
        ("deepfashion_types.csv", "merged_type", set(deepfashion["merged_type"]), types),
        ("subcategories.csv", "group", set(tables.subcategories["group"]) - {""}, groups),
        ("types.csv", "group", set(tables.types["group"]), groups),
    ):
        if values - known:
            raise StageError(
                f"{tables.folder / file}: {column} {shown(values - known)} is not known; "
                f"expected one of: {shown(known, 40)}."
            )
    without = deepfashion["type"][deepfashion["agreeing_detections"] == ""]
    if len(without):
        raise StageError(
            f"{tables.folder / 'deepfashion_types.csv'}: {shown(without)} has no agreeing_detections; "
            "expected at least one superclass, several separated by |."
        )
    for head in HEAD.values():
        names = tables.of_head[head.name][head.upstream].map(split_names).explode().dropna()
        if len(repeated := names[names.duplicated()]):
            raise StageError(
                f"{tables.folder / head.table}: {head.upstream} {shown(repeated)} belongs to two classes. Keep one."
            )


EMPTY = "(empty)"  # name of the value "" in counts and messages


def text_column(values: list[str | None], index: pd.Index) -> pd.Series:
    """A column of strings with None as null, even if every value is None."""
    return pd.Series(values, index=index, dtype="str")


def merge(values: pd.Series, targets: Mapping[str, str]) -> pd.Series:
    """Each value's target; null for values without one or with an empty one."""
    return text_column([targets.get(value) or None for value in values.fillna("")], values.index)


def unknown_names(values: pd.Series, merged: pd.Series) -> Counter:
    """How often each upstream value became unknown."""
    return Counter(value or EMPTY for value in values[merged.isna()].fillna(""))


def merge_groups(subcategories: pd.Series, table: pd.DataFrame) -> pd.Series:
    """subCategory -> one of the five groups; null where the table rejects the row.

    Raises:
        StageError: a subCategory is not in the table, which decides whether its rows are kept.
    """
    unlisted = set(subcategories.fillna("")) - set(table["subCategory"])
    if unlisted:
        raise StageError(
            f"subCategory {shown(value or EMPTY for value in unlisted)} is not in tables/subcategories.csv, which "
            f"has: {shown(table['subCategory'])}. Add a line with its group, or with no group to reject its rows."
        )
    return merge(subcategories, dict(zip(table["subCategory"], table["group"], strict=True)))


def decode(codes: pd.Series, targets: Mapping[str, str], what: str) -> pd.Series:
    """Upstream's numbers as names; null where upstream says NA or has no annotation.

    Args:
        codes: numbers as strings, null where the image is not in the annotation file.
        targets: number -> name, "" for none (``LabelTables.targets``).
        what: how messages name the column.

    Raises:
        StageError: a number has no name; the names may be shifted.
    """
    unlisted = set(codes.dropna()) - set(targets)
    if unlisted:
        raise StageError(
            f"{what} has the code {shown(value or EMPTY for value in unlisted)}; expected one of: "
            f"{shown(targets)}. Check that the annotation file is upstream's, or extend the table in tables/."
        )
    return merge(codes, targets)
