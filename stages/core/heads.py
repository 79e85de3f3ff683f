"""The heads: what the labels say of a garment and the classifier predicts, as tables/heads.csv lists them.

A row is a head: its name, the label policy that takes it from upstream's table column by column, upstream's column
there, and the merge table with its column of upstream's names (several in a cell are separated by |) and its column of
classes, the head's vocabulary. Columns of label tables, vocabularies, plots, the audit and benchmarks follow from these
rows, in their order.

Stages after `labels` need no dep on tables/heads.csv: what it says reaches them in the columns of the labels, which
are their data. So `labels` runs when a row changes, and the others run when that changed the labels.
"""

from pathlib import Path
from typing import NamedTuple

from stages.core.errors import StageError, shown
from stages.core.table_rows import read_rows

TABLE = Path(__file__).resolve().parents[2] / "tables" / "heads.csv"
COLUMNS = ("head", "policy", "column", "table", "upstream", "class")


class Head(NamedTuple):
    """A row of tables/heads.csv.

    Attributes:
        policy: the label policy that reads ``column``; others may know the head by other means.
        column: upstream's column.
        table: file name of the merge table.
        upstream: its column of upstream's names.
        classes: its column of classes.
    """

    name: str
    policy: str
    column: str
    table: str
    upstream: str
    classes: str


def read_heads(path: Path) -> dict[str, Head]:
    """Name -> head, in the order of the table.

    Raises:
        StageError: the file is missing or no table, a column or a value is missing, or a name is none or stands twice.
    """
    heads: dict[str, Head] = {}
    for number, row in read_rows(path, COLUMNS).rows:
        head = Head(*(row[column] for column in COLUMNS))
        if empty := [column for column in COLUMNS if not row[column]]:
            raise StageError(f"{path}, line {number}: no {shown(empty)}. Every head has all of {', '.join(COLUMNS)}.")
        if not head.name.isidentifier() or not head.name.islower() or head.name in heads:
            raise StageError(
                f"{path}, line {number}: head {head.name!r}, expected a name of its own of lower-case letters, digits "
                "and _."
            )
        heads[head.name] = head
    return heads


HEAD = read_heads(TABLE)
HEADS = tuple(HEAD)


def heads_of(policy: str) -> list[Head]:
    """The heads that a label policy takes from upstream's table."""
    return [head for head in HEAD.values() if head.policy == policy]
