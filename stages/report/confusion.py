"""Confusion matrices as pictures, from the counts of actual and predicted classes of the evaluate stages."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stages.core.errors import StageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = ["panel", "actual", "predicted", "rows"]
LARGEST_WITH_NUMBERS = 16  # classes; with more, numbers would be too small to read


def confusion_counts(rows: list[tuple[str, str, int]]) -> tuple[list[str], np.ndarray]:
    """Sorted names, and the counts [actual, predicted] of a list of (actual, predicted, count)."""
    names = sorted({name for *pair, _ in rows for name in pair})
    place = {name: index for index, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)), dtype=int)
    for actual, predicted, count in rows:
        counts[place[actual], place[predicted]] += count
    return names, counts


def confusion_figures(path: Path) -> Iterator[tuple[str, "Figure"]]:
    """The panels (detectors or heads) of a CSV with columns panel, actual, predicted, rows, each with its picture.

    Raises:
        StageError: the file has other columns.
    """
    with path.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        if reader.fieldnames != COLUMNS:
            raise StageError(
                f"{path}: has columns {', '.join(reader.fieldnames or [])}, expected {', '.join(COLUMNS)}. "
                "Run `dvc repro`."
            )
        panels: dict[str, list[tuple[str, str, int]]] = {}
        for row in reader:
            panels.setdefault(row["panel"], []).append((row["actual"], row["predicted"], int(row["rows"])))
    for panel, rows in panels.items():
        yield panel, confusion_figure(panel, *confusion_counts(rows))


def confusion_figure(title: str, names: list[str], counts: np.ndarray) -> "Figure":
    """One matrix: counts [actual, predicted] as numbers, shares of each row as shades."""
    from matplotlib.figure import Figure

    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 2.5 + 0.35 * len(names)
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=90)
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="predicted", ylabel="actual", title=f"{title}, {counts.sum()} rows")
    if len(names) <= LARGEST_WITH_NUMBERS:
        for row, column in zip(*counts.nonzero(), strict=True):
            shade = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=shade, fontsize=8)
    return figure
