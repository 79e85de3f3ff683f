"""Numbers that others published, from tables/published.csv: each with its system, benchmark, metric and source."""

import csv
from dataclasses import dataclass
from pathlib import Path

from stages.core.errors import StageError


@dataclass(frozen=True)
class Published:
    """One number of tables/published.csv.

    Attributes:
        high: the upper end where a range was given.
        encoder: ours that is this system's method, whose row it belongs to; empty where we have none.
    """

    system: str
    benchmark: str
    metric: str
    value: float
    high: float | None
    source: str
    note: str
    encoder: str = ""


def read_published(path: Path) -> list[Published]:
    """The table of published numbers.

    Raises:
        StageError: when there is no such file, a line has no share between 0 and 1, or a column is missing.
    """
    if not path.is_file():
        raise StageError(f"{path}: no such file. It is part of the project: `git checkout {path}` brings it back.")
    with path.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        rows = []
        for number, row in enumerate(reader, start=2):
            try:
                value = _share(row["value"])
                high = _share(row["value_high"]) if row["value_high"] else None
                names = (row[name] for name in ("system", "benchmark", "metric"))
                rows.append(Published(*names, value, high, row["source"], row["note"], row["encoder"]))
            except (KeyError, TypeError, ValueError) as error:
                raise StageError(
                    f"{path}, line {number}: {error!r}; expected system, encoder, benchmark, metric, value, "
                    "value_high, source, note, with shares between 0 and 1 as values."
                ) from None
    return rows


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise ValueError(f"{text} is no share")
    return value
