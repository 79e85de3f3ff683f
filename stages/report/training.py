"""The training of each encoder: hit@1 on validation before training and of the kept epoch, and its curves.

The training stage writes them next to the weights, where `dvc metrics diff` and `dvc plots diff` do not read them; this
stage writes them as metrics and plots.

Reads:  models/<profile>/encoders/<encoder>/scores.json and history.csv for each name in the list ``trained_encoders``.
Writes: METRICS/<encoder>.json: hit@1 on validation, the same before training, and the kept epoch.
        PLOTS/training.csv: values on train and validation by epoch; PLOTS/validation.csv: hit@1 and k-NN accuracy by
        epoch (for an ensemble: by the share of its second network). A frozen encoder has no curve.
Params: trained_encoders.
"""

import argparse
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd

from stages.core.errors import StageError
from stages.core.files import fresh_folder, read_json, write_csv, write_json
from stages.core.params import Names
from stages.runner.stage import Report, Stage

log = logging.getLogger(__name__)

START = 0
KEY_METRICS = {"hit@1": "val_hit_at_1", "hit@1_before": "val_hit_at_1_before", "epoch": "best_epoch"}
ON_VALIDATION = {"val_hit_at_1": "hit@1", "val_knn": "k-NN accuracy"}
COLUMNS = ["panel", "line", "x", "y"]
Row = list[Any]


def trained_rows(encoder: str, history: pd.DataFrame) -> list[Row]:
    """Rows of COLUMNS: a panel for each value of an encoder on train, with validation; without epoch 0."""
    rows: list[Row] = []
    trained = history[history["epoch"] > START] if "epoch" in history else history.iloc[:0]
    for column in (name for name in trained.columns if name.startswith("train_")):
        value = column.removeprefix("train_")
        for line, name in (("train", column), ("validation", f"val_{value}")):
            known = trained.dropna(subset=[name]) if name in trained else trained.iloc[:0]
            rows += [
                [f"{encoder}, {value}", line, int(x), y] for x, y in zip(known["epoch"], known[name], strict=True)
            ] if len(known) else []  # fmt: skip
    return rows


def validation_rows(encoder: str, history: pd.DataFrame) -> list[Row]:
    """Rows of COLUMNS: hit@1 and k-NN accuracy on validation by epoch, with epoch 0; none for a frozen encoder."""
    if len(history) < 2:
        return []
    by = "epoch" if "epoch" in history else history.columns[0]
    return [
        [encoder, line, x, y]
        for column, line in ON_VALIDATION.items()
        if column in history
        for x, y in zip(history[by], history[column], strict=True)
    ]


def main(args: argparse.Namespace, params: SimpleNamespace) -> Report:
    """Collect and write.

    Raises:
        StageError: an encoder has no history.
    """
    metrics, plots, report = fresh_folder(args.metrics), fresh_folder(args.plots), Report()
    trained: list[Row] = []
    validated: list[Row] = []
    for name in params.trained_encoders:
        folder: Path = args.encoders / name
        scores = read_json(folder / "scores.json")
        key_metrics = {short: scores[key] for short, key in KEY_METRICS.items() if key in scores}
        write_json(metrics / f"{name}.json", key_metrics)
        report.metrics |= {f"{name}.{key}": value for key, value in scores.items()}
        if not (folder / "history.csv").is_file():
            raise StageError(f"{folder / 'history.csv'}: no such file. Run `dvc repro`.")
        history = pd.read_csv(folder / "history.csv")
        trained += trained_rows(name, history)
        validated += validation_rows(name, history)
    write_csv(plots / "training.csv", COLUMNS, trained)
    write_csv(plots / "validation.csv", COLUMNS, validated)
    log.info(f"training: validation scores of {len(params.trained_encoders)} encoders")
    return report


STAGE = Stage(main, ["encoders", "metrics", "plots"], {"trained_encoders": ("trained_encoders", Names)})
