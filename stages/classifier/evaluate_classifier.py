"""Score every head of the classifier on the test split, beside its baselines.

Reads:  the data set, the trained classifier, the merge tables (which group each type belongs to).
Writes: <out>.json (scores by head, the types' groups, coverage, means) and plot files in <out>/: loss.csv and
        accuracy.csv by epoch, confusion_<head>.csv, confusion_type_group.csv.
Params: labels (which tables the types come from); classifier.heads, by way of the model's own card.
"""

import argparse
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from stages.classifier.groups import type_groups
from stages.classifier.scores import Labelled, group_scores, head_scores, predicted_names
from stages.classifier.training.losses import UNKNOWN_CLASS
from stages.classifier.training.predict import predict
from stages.classifier.training.rows import prepare
from stages.core.determinism import seed_everything
from stages.core.files import fresh_folder, read_json, write_csv, write_json
from stages.labels.params import LabelParams
from stages.networks.backbones.pictures import read_crops
from stages.networks.classifier.encoder import ClassifierEncoder
from stages.networks.classifier.network import MultiHead
from stages.networks.classifier.params import ClassifierParams
from stages.runner.progress import say
from stages.runner.stage import Report, Stage

GROUPED = "type"  # the head whose classes have groups
Confusions = dict[str, list[list[str]]]


def labelled(frame: pd.DataFrame, head: str) -> tuple[Labelled, np.ndarray]:
    """The rows of a split that know a head's label, and which of its rows these are (bool [n])."""
    known = frame[head].notna().to_numpy()
    return Labelled(list(frame[head][known]), list(frame["detected_class"][known])), known


def groups_of(network: MultiHead, train: pd.DataFrame, params: LabelParams, tables: Path) -> dict[str, str]:
    """The group of each class of the head ``type``; empty when there is no such head."""
    names = [name for name in network.classes.get(GROUPED, []) if name != UNKNOWN_CLASS]
    if not names:
        return {}
    sources = sorted(set(train["source"][train[GROUPED].notna()]))
    return type_groups(names, sources, params, tables) | {UNKNOWN_CLASS: UNKNOWN_CLASS}


def evaluate(
    network: MultiHead, options: ClassifierParams, train: pd.DataFrame, test: pd.DataFrame, groups: dict[str, str]
) -> tuple[dict[str, Any], Confusions]:
    """Figures of every head on the rows ``test``, and the pairs of actual and predicted names behind them.

    ``accuracy_with_flip`` is that of the mean of the probabilities for each picture and its mirror image; all other
    figures are of the pictures alone.

    Args:
        train: for the baselines alone.
        groups: the group of each type; empty: none are scored.
    """
    prepared = prepare(test, network.classes, network.superclasses, options)
    probabilities, flipped = (predict(network, prepared, options.batch, flip) for flip in (False, True))
    heads: dict[str, Any] = {}
    confusions: Confusions = {}
    result: dict[str, Any] = {"heads": heads, "test_rows": len(test)}
    for head, classes in network.classes.items():
        rows, known = labelled(test, head)
        if not known.any():
            heads[head] = {"rows": 0, "coverage": 0.0, "classes": len(classes)}
            continue
        own, learned = probabilities[head][known], labelled(train, head)[0]
        both = predicted_names((own + flipped[head][known]) / 2, classes)
        heads[head] = {
            "coverage": float(known.mean()),
            "accuracy_with_flip": float(np.mean([one == other for one, other in zip(rows.labels, both, strict=True)])),
            **head_scores(rows, own, classes, learned),
        }
        confusions[head] = _pairs(rows.labels, predicted_names(own, classes))
        if head == GROUPED and groups:
            own_groups = {name: groups[name] for name in classes}
            result["type_group"], guessed = group_scores(rows, own, classes, learned, own_groups)
            confusions["type_group"] = _pairs(rows.translated(groups).labels, guessed)
    result["mean"] = _mean([scores for scores in heads.values() if scores["rows"]])
    return result, confusions


def _pairs(actual: list[str], predicted: list[str]) -> list[list[str]]:
    return sorted([one, other] for one, other in zip(actual, predicted, strict=True))


def _mean(scored: list[dict[str, Any]]) -> dict[str, float]:
    keys = ("accuracy", "accuracy_with_flip", "balanced_accuracy", "baseline_majority")
    return {key: float(np.mean([scores[key] for scores in scored])) for key in keys} if scored else {}


def report_line(name: str, scores: dict[str, Any], split: str = "test") -> str:
    """One head's accuracy beside what needs no look at the picture."""
    return (
        f"{name} {scores['accuracy']:.3f} on {scores['rows']} {split} rows, "
        f"majority {scores['baseline_majority']:.3f}, by detector {scores['baseline_majority_given_detected']:.3f}"
    )


def main(args: argparse.Namespace, params: SimpleNamespace) -> Report:
    """Predict, score, write."""
    seed_everything(0)
    network = ClassifierEncoder(args.model).network
    options = ClassifierParams.model_validate(read_json(args.model / "params.json"))
    train, test = read_crops(args.dataset, "train"), read_crops(args.dataset, "test")
    result, confusions = evaluate(network, options, train, test, groups_of(network, train, params.labels, args.tables))
    plots = fresh_folder(args.out)
    for name, pairs in confusions.items():
        write_csv(plots / f"confusion_{name}.csv", ["actual", "predicted"], pairs)
    write_json(Path(f"{args.out}.json"), result)
    history = pd.read_csv(args.model / "history.csv")
    accuracy = [name for name in history.columns if name.startswith("val_")]
    write_csv(plots / "loss.csv", ["epoch", "train_loss"], history[["epoch", "train_loss"]].to_numpy(object).tolist())
    write_csv(plots / "accuracy.csv", ["epoch", *accuracy], history[["epoch", *accuracy]].to_numpy(object).tolist())
    scored = {head: scores for head, scores in result["heads"].items() if scores["rows"]}
    if "type_group" in result:
        scored["type_group"] = result["type_group"]
    for name, scores in scored.items():
        say(f"classifier: {report_line(name, scores)}")
    return Report(metrics={f"{name}_accuracy": scores["accuracy"] for name, scores in scored.items()})


STAGE = Stage(main, ["dataset", "model", "tables", "out"], {"labels": ("labels", LabelParams)})
