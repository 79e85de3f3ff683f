"""The merge tables: CSV files that a person can read and change, checked when they are read.

In each of them an empty target means: this value is known and stays unknown for its head (or its row is rejected).
"""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from stages.core.errors import StageError, shown

LAYERS = ("upper", "lower", "outer")


@dataclass(frozen=True)
class LabelTables:
    """The tables that every policy may use, all columns as strings; "" where the file has nothing."""

    folder: Path
    superclasses: pd.DataFrame
    gender: pd.DataFrame
    usage: pd.DataFrame
    colors: pd.DataFrame
    subcategories: pd.DataFrame
    types: pd.DataFrame
    types_rejected: pd.DataFrame
    deepfashion_types: pd.DataFrame
    fabrics: pd.DataFrame
    patterns: pd.DataFrame

    def vocabulary(self) -> dict[str, set[str]]:
        """Column of the labels table -> every value that the tables can put there."""
        targets = {
            "superclass": self.superclasses["superclass"],
            "gender": self.gender["merged"],
            "type": self.types["type"],
            "usage": self.usage["merged"],
            "color": self.colors["color"],
            "fabric": self.fabrics["name"],
            "pattern": self.patterns["name"],
        }
        return {column: set(values) - {""} for column, values in targets.items()}


def split_names(cell: str) -> list[str]:
    """The names in a cell, which separates them by ``|``."""
    return [name for name in cell.split("|") if name]


def read_merge_table(path: Path, columns: list[str]) -> pd.DataFrame:
    """One table as strings; the first of ``columns`` is its key. "NA" is a value like any other.

    Raises:
        StageError: when the file or a column is missing, or a key appears twice.
    """
    if not path.is_file():
        raise StageError(f"{path}: no such file; expected a CSV with the columns {', '.join(columns)}. Restore it.")
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig", skip_blank_lines=True)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise StageError(f"{path}: not a CSV table: {error}. Expected the columns {', '.join(columns)}.") from None
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise StageError(f"{path}: column {shown(missing)} is missing; found: {shown(table.columns)}. Add it.")
    repeated = table[columns[0]][table[columns[0]].duplicated()]
    if len(repeated):
        raise StageError(f"{path}: {columns[0]} {shown(repeated)} stands there more than once. Keep one line of each.")
    return table


def read_label_tables(folder: Path) -> LabelTables:
    """All tables, checked against each other.

    Raises:
        StageError: naming the file, what was found there and what was expected.
    """
    tables = LabelTables(
        folder=folder,
        superclasses=read_merge_table(folder / "superclasses.csv", ["superclass", "fashion_products_group"]),
        gender=read_merge_table(folder / "gender.csv", ["gender", "merged"]),
        usage=read_merge_table(folder / "usage.csv", ["usage", "merged"]),
        colors=read_merge_table(folder / "colors.csv", ["baseColour", "color"]),
        subcategories=read_merge_table(folder / "subcategories.csv", ["subCategory", "group"]),
        types=read_merge_table(folder / "types.csv", ["type", "group", "fashion_products"]),
        types_rejected=read_merge_table(folder / "types_rejected.csv", ["articleType"]),
        deepfashion_types=read_merge_table(
            folder / "deepfashion_types.csv", ["type", "layer", "merged_type", "agreeing_detections"]
        ),
        fabrics=read_merge_table(folder / "fabrics.csv", ["code", "name"]),
        patterns=read_merge_table(folder / "patterns.csv", ["code", "name"]),
    )
    _check(tables)
    return tables


def _check(tables: LabelTables) -> None:
    """Names that one table takes from another must be there: a typo would silently make a new class."""
    deepfashion = tables.deepfashion_types
    detections = {name for cell in deepfashion["agreeing_detections"] for name in split_names(cell)}
    groups = set(tables.superclasses["fashion_products_group"])
    types = tables.vocabulary()["type"]
    for file, column, found, known in (
        ("deepfashion_types.csv", "agreeing_detections", detections, set(tables.superclasses["superclass"])),
        ("deepfashion_types.csv", "layer", set(deepfashion["layer"]), set(LAYERS)),
        ("deepfashion_types.csv", "merged_type", set(deepfashion["merged_type"]), types),
        ("subcategories.csv", "group", set(tables.subcategories["group"]) - {""}, groups),
        ("types.csv", "group", set(tables.types["group"]), groups),
    ):
        if found - known:
            raise StageError(
                f"{tables.folder / file}: {column} {shown(found - known)} is not known; "
                f"expected one of: {shown(known, 40)}."
            )
    without = deepfashion["type"][deepfashion["agreeing_detections"] == ""]
    if len(without):
        raise StageError(
            f"{tables.folder / 'deepfashion_types.csv'}: {shown(without)} has no agreeing_detections; "
            "expected at least one superclass, several separated by |."
        )
    articles = tables.types["fashion_products"].map(split_names).explode().dropna()
    repeated = articles[articles.duplicated()]
    if len(repeated):
        raise StageError(
            f"{tables.folder / 'types.csv'}: fashion_products {shown(repeated)} belongs to two types. Keep one."
        )
