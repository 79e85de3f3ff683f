"""Rows of the plot files of `evaluate_detector`: of all detectors together, and by epoch of a training."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from stages.contracts.tables import SCORED_BOXES, write_rows
from stages.core.files import write_csv

CURVES = ["panel", "line", "x", "y"]
CONFUSION = ["panel", "actual", "predicted", "rows"]
BY_CLASS = ["detector", "class", "curve", "x", "y"]
VALIDATION = {"val_precision": "precision", "val_recall": "recall", "val_map50": "mAP50", "val_map50_95": "mAP50-95"}


@dataclass
class Plots:
    """Rows of the plot files, of all detectors."""

    losses: list[list[Any]] = field(default_factory=list)
    validation: list[list[Any]] = field(default_factory=list)
    precision_recall: list[list[Any]] = field(default_factory=list)
    confidence: list[list[Any]] = field(default_factory=list)
    confusion: list[list[Any]] = field(default_factory=list)
    by_class: list[list[Any]] = field(default_factory=list)
    boxes: list[dict[str, Any]] = field(default_factory=list)

    def write(self, folder: Path, report: Path) -> None:
        """Write one file for each; the longest, with every curve of each class and every box, go into ``report``."""
        for name in ("losses", "validation", "precision_recall", "confidence"):
            write_csv(folder / f"{name}.csv", CURVES, getattr(self, name))
        write_csv(folder / "confusion.csv", CONFUSION, self.confusion)
        write_csv(report / "curves.csv", BY_CLASS, self.by_class)
        write_rows(report / "boxes.parquet", SCORED_BOXES, self.boxes)


def validation(name: str, history: pd.DataFrame) -> list[list[Any]]:
    """Rows of CURVES: a panel for each detector, a line for each figure on its validation split, by epoch.

    Args:
        history: a training's history.csv; epoch, and the columns of VALIDATION.
    """
    epochs = [int(epoch) for epoch in history["epoch"]]
    return [
        [name, line, *point]
        for column, line in VALIDATION.items()
        for point in zip(epochs, history[column], strict=True)
    ]


def losses(name: str, history: pd.DataFrame) -> list[list[Any]]:
    """Rows of CURVES: a panel for each loss of a detector, a line for each split, by epoch.

    Args:
        history: a training's history.csv, with columns such as train_box_loss and val_box_loss.
    """
    rows = []
    for column in (column for column in history.columns if column.endswith("_loss")):
        split, loss = column.removesuffix("_loss").split("_", 1)
        line = {"train": "train", "val": "validation"}[split]
        rows += [[f"{name}, {loss}", line, int(x), y] for x, y in zip(history["epoch"], history[column], strict=True)]
    return rows
