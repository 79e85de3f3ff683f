"""What training made of each encoder on validation: figures before and after beside chance, and its curves.

The training stage keeps them beside the weights, out of reach of `dvc metrics diff` and `dvc plots diff`; here they are
what these two read.

Reads:  models/<profile>/encoders/<encoder>/scores.json and history.csv for each name in the list ``trained_encoders``.
Writes: OUT.json: encoder -> figures on validation; OUT/<encoder>.csv: its figures by epoch (of an ensemble: by the
        share of its second network). Epoch 0, before training, is in the JSON alone, as it has no training loss; of a
        frozen encoder it is all there is.
Params: trained_encoders.
"""

import argparse
from pathlib import Path
from types import SimpleNamespace

import pandas as pd

from stages.core.errors import StageError
from stages.core.files import fresh_folder, read_json, write_csv, write_json
from stages.core.params import load_params, lookup
from stages.runner.progress import say
from stages.runner.stage import Report, Stage

START = 0


def curves(history: pd.DataFrame) -> pd.DataFrame:
    """The rows after the start, or a frozen encoder's only one; of their columns those that have a number in each."""
    trained = history[history["epoch"] > START] if "epoch" in history else history
    return (trained if len(trained) else history).dropna(axis="columns")


def main(args: argparse.Namespace, params: SimpleNamespace) -> Report:
    """Collect and write."""
    plots, scores = fresh_folder(args.out), {}
    for name in lookup(load_params(), "trained_encoders"):
        folder = args.encoders / name
        scores[name] = read_json(folder / "scores.json")
        if not (folder / "history.csv").is_file():
            raise StageError(f"{folder / 'history.csv'}: no such file. Run `dvc repro`.")
        shown = curves(pd.read_csv(folder / "history.csv"))
        write_csv(plots / f"{name}.csv", list(shown.columns), shown.to_numpy(object).tolist())
    write_json(Path(f"{args.out}.json"), scores)
    say(f"training: validation figures of {len(scores)} encoders")
    return Report(metrics={f"{name}.{key}": value for name, own in scores.items() for key, value in own.items()})


STAGE = Stage(main, ["encoders", "out"], {})
