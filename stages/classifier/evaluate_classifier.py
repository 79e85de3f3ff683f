"""Score every head of the classifier and its baselines on the test split.

Reads:  the data set, the trained classifier, the merge tables (which group each type belongs to).
Writes: METRICS/accuracy.json: accuracy of each head, of the type's group, and the mean over heads; the same for two
        baselines: METRICS/majority.json, the most frequent label, and METRICS/given_class.json, the most frequent label
        of each detected class.
        PLOTS/training.csv (loss and validation accuracy by epoch), PLOTS/confusion.csv.
        REPORT.json: every score by head, the type's group, coverage, means. REPORT/by_class.csv: rows, TP, FP, FN, TN,
        precision, recall and F1 of each class; REPORT/confused.csv: which class was predicted as which;
        REPORT/predictions.csv: the prediction for each labeled test row, without flip.
Params: labels (which tables the types come from); classifier.heads, by way of the model's own card.
"""

import argparse
import logging
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from stages.classifier.error_analysis import BY_CLASS, CONFUSED, by_class, confused
from stages.classifier.scores import Labeled, calibration_error, group_scores, head_scores, predicted_names, type_groups
from stages.classifier.training.batches import UNKNOWN_CLASS, predict, prepare
from stages.core.determinism import seed_everything
from stages.core.files import fresh_folder, read_json, write_csv, write_json
from stages.labels.params import LabelParams
from stages.networks.backbones.features import read_crops
from stages.networks.classifier import ClassifierEncoder, ClassifierParams, MultiHead, tempered
from stages.runner.stage import Report, Stage

log = logging.getLogger(__name__)

GROUPED = "type"  # the head whose classes have groups
Confusions = dict[str, list[list[str]]]
Probabilities = dict[str, np.ndarray]  # head -> [rows, classes]
KEY_METRICS = {
    "accuracy": "accuracy",
    "majority": "baseline_majority",
    "given_class": "baseline_majority_given_detected",
}  # metric file -> the score of each head that it shows


def labeled(frame: pd.DataFrame, head: str) -> tuple[Labeled, np.ndarray]:
    """The rows of a split that have a label of the head, and which rows these are (bool [n])."""
    known = frame[head].notna().to_numpy()
    return Labeled(list(frame[head][known]), list(frame["detected_class"][known])), known


def groups_of(network: MultiHead, train: pd.DataFrame, params: LabelParams, tables: Path) -> dict[str, str]:
    """The group of each class of the head ``type``; empty when there is no such head."""
    names = [name for name in network.classes.get(GROUPED, []) if name != UNKNOWN_CLASS]
    if not names:
        return {}
    sources = sorted(set(train["source"][train[GROUPED].notna()]))
    return type_groups(names, sources, params, tables) | {UNKNOWN_CLASS: UNKNOWN_CLASS}


def evaluate(
    network: MultiHead,
    options: ClassifierParams,
    train: pd.DataFrame,
    test: pd.DataFrame,
    groups: dict[str, str],
    temperatures: Mapping[str, float] = MappingProxyType({}),
) -> tuple[dict[str, Any], Confusions, Probabilities]:
    """Scores of every head on the rows ``test``, the pairs of actual and predicted names, and the probabilities.

    ``accuracy_with_flip`` is computed from the means of the probabilities of each picture and its mirror image. All
    other scores, and the probabilities [n, classes] of each head, are of the pictures alone, and calibrated.
    ``calibration_error_before`` is of the probabilities before that.

    Args:
        train: rows for the baselines.
        groups: the group of each type; empty: groups are not scored.
        temperatures: head -> the temperature that calibrates it; a head that is not there is taken as it is.
    """
    prepared = prepare(test, network.classes, network.superclasses, options)
    probabilities, flipped = (predict(network, prepared, options.batch, flip) for flip in (False, True))
    means = {head: (probabilities[head] + flipped[head]) / 2 for head in network.classes}
    before = probabilities
    probabilities = before | {head: tempered(before[head], value) for head, value in temperatures.items()}
    heads: dict[str, Any] = {}
    confusions: Confusions = {}
    result: dict[str, Any] = {"heads": heads, "test_rows": len(test)}
    for head, classes in network.classes.items():
        rows, known = labeled(test, head)
        if not known.any():
            heads[head] = {"rows": 0, "coverage": 0.0, "classes": len(classes)}
            continue
        own, learned = probabilities[head][known], labeled(train, head)[0]
        both = predicted_names(means[head][known], classes)
        heads[head] = {
            "coverage": float(known.mean()),
            "accuracy_with_flip": float(
                np.mean([label == predicted for label, predicted in zip(rows.labels, both, strict=True)])
            ),
            **head_scores(rows, own, classes, learned),
            "calibration_error_before": _error(rows, before[head][known], classes),
            "temperature": temperatures.get(head, 1.0),
        }
        confusions[head] = _pairs(rows.labels, predicted_names(own, classes))
        if head == GROUPED and groups:
            own_groups = {name: groups[name] for name in classes}
            result["type_group"], guessed = group_scores(rows, own, classes, learned, own_groups)
            uncalibrated, _ = group_scores(rows, before[head][known], classes, learned, own_groups)
            result["type_group"]["calibration_error_before"] = uncalibrated["calibration_error"]
            confusions["type_group"] = _pairs(rows.translated(groups).labels, guessed)
    result["mean"] = _mean([scores for scores in heads.values() if scores["rows"]])
    return result, confusions, probabilities


def _error(rows: Labeled, probabilities: np.ndarray, classes: list[str]) -> float:
    names = predicted_names(probabilities, classes)
    right = np.array([label == name for label, name in zip(rows.labels, names, strict=True)])
    return calibration_error(probabilities.max(axis=1), right)


def _pairs(actual: list[str], predicted: list[str]) -> list[list[str]]:
    return sorted([label, prediction] for label, prediction in zip(actual, predicted, strict=True))


def _mean(scored: list[dict[str, Any]]) -> dict[str, float]:
    keys = ("accuracy", "accuracy_with_flip", "balanced_accuracy", "baseline_majority")
    return {key: float(np.mean([scores[key] for scores in scored])) for key in keys} if scored else {}


def report_line(name: str, scores: dict[str, Any], split: str = "test") -> str:
    """A log line: one head's accuracy and its baselines."""
    return (
        f"{name} {scores['accuracy']:.3f} on {scores['rows']} {split} rows, "
        f"majority {scores['baseline_majority']:.3f}, by detector {scores['baseline_majority_given_detected']:.3f}"
    )


def key_metrics(result: dict[str, Any]) -> dict[str, dict[str, float]]:
    """File -> head -> accuracy or baseline, also of the groups of types and of the mean over heads."""
    scored = {head: scores for head, scores in result["heads"].items() if scores["rows"]}
    files = {}
    for name, key in KEY_METRICS.items():
        own = {head: scores[key] for head, scores in scored.items()}
        mean = {"mean": float(np.mean(list(own.values())))} if own else {}
        groups = {"type_group": result["type_group"][key]} if "type_group" in result else {}
        files[name] = own | groups | mean
    return files


def training_curves(history: pd.DataFrame) -> list[list[Any]]:
    """Rows panel, line, epoch, value: the loss, and the accuracy of each head on validation."""
    panels = {"train_loss": ("loss", "train")}
    for column in (name for name in history.columns if name.startswith("val_")):
        head = column.removeprefix("val_").removesuffix("_accuracy").replace("mean", "mean over heads")
        panels[column] = ("accuracy on validation", head)
    return [
        [*panels[name], int(epoch), value]
        for name in panels
        for epoch, value in zip(history["epoch"], history[name], strict=True)
    ]


def write_tables(network: MultiHead, confusions: Confusions, out: Path) -> None:
    """Write the tables by class."""
    classes = {"type_group": sorted({name for pair in confusions.get("type_group", []) for name in pair})}
    tables: dict[str, list[list[Any]]] = {"by_class": [], "confused": []}
    for head, pairs in confusions.items():
        tables["by_class"] += [[head, *row] for row in by_class(pairs, network.classes.get(head) or classes[head])]
        tables["confused"] += [[head, *row] for row in confused(pairs)]
    for name, header in (("by_class", BY_CLASS), ("confused", CONFUSED)):
        write_csv(out / f"{name}.csv", header, tables[name])


PREDICTIONS = ["head", "crop_id", "label", "prediction", "probability"]


def prediction_rows(network: MultiHead, test: pd.DataFrame, probabilities: Probabilities) -> list[list[Any]]:
    """Rows of ``PREDICTIONS``: of each head the rows that know its label, in the order of ``test``."""
    rows: list[list[Any]] = []
    for head, classes in network.classes.items():
        labels, known = labeled(test, head)
        own, ids = probabilities[head][known], test["crop_id"][known]
        named = zip(ids, labels.labels, predicted_names(own, classes), own.max(axis=1), strict=True)
        rows += [[head, *row] for row in named] if known.any() else []
    return rows


def main(args: argparse.Namespace, params: SimpleNamespace) -> Report:
    """Predict, score, write."""
    seed_everything(0)
    encoder = ClassifierEncoder(args.model)
    network = encoder.network
    options = ClassifierParams.model_validate(read_json(args.model / "params.json"))
    train, test = read_crops(args.dataset, "train"), read_crops(args.dataset, "test")
    groups = groups_of(network, train, params.labels, args.tables)
    result, confusions, probabilities = evaluate(network, options, train, test, groups, encoder.temperatures)
    plots = fresh_folder(args.plots)
    counts = {name: Counter((label, prediction) for label, prediction in pairs) for name, pairs in confusions.items()}
    rows = [[name, *pair, count] for name, of_head in counts.items() for pair, count in sorted(of_head.items())]
    write_csv(plots / "confusion.csv", ["panel", "actual", "predicted", "rows"], rows)
    history = pd.read_csv(args.model / "history.csv")
    write_csv(plots / "training.csv", ["panel", "line", "x", "y"], training_curves(history))
    write_tables(network, confusions, fresh_folder(args.report))
    write_csv(args.report / "predictions.csv", PREDICTIONS, prediction_rows(network, test, probabilities))
    write_json(args.report.with_suffix(".json"), result)
    files = key_metrics(result)
    fresh_folder(args.metrics)
    for name, content in files.items():
        write_json(args.metrics / f"{name}.json", content)
    scored = {head: scores for head, scores in result["heads"].items() if scores["rows"]}
    if "type_group" in result:
        scored["type_group"] = result["type_group"]
    for name, scores in scored.items():
        log.info(f"classifier: {report_line(name, scores)}")
    return Report(metrics={f"{name}_accuracy": value for name, value in files["accuracy"].items()})


STAGE = Stage(main, ["dataset", "model", "tables", "metrics", "plots", "report"], {"labels": ("labels", LabelParams)})
