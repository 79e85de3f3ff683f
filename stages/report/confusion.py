"""A confusion matrix as a picture, from the pairs of actual and predicted names that the evaluate stages write."""

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stages.core.errors import StageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LARGEST_WITH_NUMBERS = 16  # classes; beyond it the numbers would be too small to read


def confusion_counts(pairs: list[tuple[str, str]]) -> tuple[list[str], np.ndarray]:
    """Names, sorted, and the counts [actual, predicted] of a list of (actual, predicted)."""
    names = sorted({name for pair in pairs for name in pair})
    place = {name: index for index, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)), dtype=int)
    for actual, predicted in pairs:
        counts[place[actual], place[predicted]] += 1
    return names, counts


def confusion_figure(path: Path) -> "Figure":
    """The matrix of a CSV with the columns actual and predicted: counts as numbers, shares of each row as shades.

    Raises:
        StageError: when the file has other columns.
    """
    from matplotlib.figure import Figure

    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    if rows and not {"actual", "predicted"} <= set(rows[0]):
        raise StageError(f"{path}: has columns {', '.join(rows[0])}, expected actual and predicted. Run `dvc repro`.")
    names, counts = confusion_counts([(row["actual"], row["predicted"]) for row in rows])
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 2.5 + 0.35 * len(names)
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=90)
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="predicted", ylabel="actual", title=f"{path.stem.replace('_', ' ')}, {len(rows)} rows")
    if len(names) <= LARGEST_WITH_NUMBERS:
        for row, column in zip(*counts.nonzero(), strict=True):
            shade = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=shade, fontsize=8)
    return figure
