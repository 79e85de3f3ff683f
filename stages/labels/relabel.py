"""Corrections by hand (``data/relabel.csv``), applied after every policy.

One line corrects one value: ``source,item_id,column,value,reason``. An empty value makes it unknown. A corrected
superclass is also the only one that a detection may have to agree. Type and superclass are corrected separately.
"""

import csv
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from stages.contracts.tables import HEADS
from stages.core.errors import StageError, shown

HEADER = ["source", "item_id", "column", "value", "reason"]
CORRECTABLE = ("superclass", *HEADS)


@dataclass(frozen=True)
class Correction:
    """One line of the file; ``where`` is file and line for messages."""

    source: str
    item_id: str
    column: str
    value: str
    where: str


def read_corrections(path: Path, sources: Collection[str]) -> list[Correction]:
    """Every correction of the file, for all sources.

    Args:
        sources: the sources that may stand there (those with a label policy).

    Raises:
        StageError: when the file is missing or a line does not fit, naming file and line.
    """
    if not path.is_file():
        raise StageError(f"{path}: no such file; expected at least the line {','.join(HEADER)}. Create it.")
    try:
        path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise StageError(f"{path}: not text in UTF-8 ({error}). Save it as CSV UTF-8.") from None
    corrections: list[Correction] = []
    seen: dict[tuple[str, str, str], str] = {}
    with path.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.reader(stream)
        header = next(reader, [])
        if header != HEADER:
            raise StageError(f"{path}, line 1: found {','.join(header)!r}, expected {','.join(HEADER)}.")
        for row in reader:
            if not row:
                continue
            where = f"{path}, line {reader.line_num}"
            if len(row) != len(HEADER):
                raise StageError(
                    f"{where}: {len(row)} fields, expected {len(HEADER)} ({','.join(HEADER)}). "
                    "Quote a field that holds a comma."
                )
            correction = Correction(*(cell.strip() for cell in row[:4]), where=where)
            _check_line(correction, sources)
            key = (correction.source, correction.item_id, correction.column)
            if key in seen:
                raise StageError(f"{where}: {', '.join(key)} is already corrected in {seen[key]}. Keep one of the two.")
            seen[key] = where
            corrections.append(correction)
    return corrections


def _check_line(correction: Correction, sources: Collection[str]) -> None:
    if correction.source not in sources:
        raise StageError(
            f"{correction.where}: source {correction.source!r} is not known; expected one of: {shown(sources)}."
        )
    if correction.column not in CORRECTABLE:
        raise StageError(
            f"{correction.where}: column {correction.column!r} cannot be corrected; expected one of: "
            f"{shown(CORRECTABLE)}."
        )
    if correction.column == "superclass" and not correction.value:
        raise StageError(f"{correction.where}: the superclass cannot be unknown. Give one, or delete the line.")


def apply_corrections(
    labels: pd.DataFrame,
    corrections: list[Correction],
    vocabulary: Mapping[str, set[str]],
    left_out: Collection[str],
) -> tuple[pd.DataFrame, Counter]:
    """Corrected labels, and how many values were corrected in each column.

    Args:
        labels: columns item_id, agrees and ``CORRECTABLE``.
        corrections: those of this source.
        vocabulary: the values that each column may have: a typo must not become a class.
        left_out: ids that a policy rejected. A correction of one has no effect and is counted as ``rejected``, since
            it may matter again under other params.

    Raises:
        StageError: for an item or a value that is not known, naming file and line.
    """
    labels = labels.set_index("item_id", drop=False)
    counts: Counter = Counter()
    for correction in corrections:
        known = vocabulary[correction.column]
        if correction.value and correction.value not in known:
            raise StageError(
                f"{correction.where}: {correction.column} {correction.value!r} is not known; expected one of: "
                f"{shown(known, 40)}, or nothing for unknown."
            )
        if correction.item_id in left_out:
            counts["rejected"] += 1
            continue
        if correction.item_id not in labels.index:
            raise StageError(
                f"{correction.where}: {correction.source} has no item {correction.item_id!r} among its "
                f"{len(labels) + len(left_out)} items. Correct the item_id or delete the line."
            )
        labels.at[correction.item_id, correction.column] = correction.value or None
        if correction.column == "superclass":
            labels.at[correction.item_id, "agrees"] = [correction.value]
        counts[correction.column] += 1
    return labels.reset_index(drop=True), counts
