"""Evaluate SimCLR: k-NN accuracy on the test split before and after training, for every label of the data set.

Four sets of features are compared, all of the same network: with random weights (``untrained``), with the weights that
SimCLR started from (``imagenet``; null when it started from scratch), after the last epoch (``simclr_last``), and after
the kept epoch (``simclr``). Where SimCLR made k-NN on validation worse, epoch 0 is kept (``kept_epoch`` 0). With
``epochs: 0`` SimCLR is left out, and only the first two sets are scored. The neighbors come from the training split.
Chance and the majority label are reported as baselines.

Reads:  the data set, models/<profile>/encoders/simclr, models/<profile>/simclr_last.
Writes: METRICS: the means over labels, and the epoch that was kept; REPORT: accuracies of every label;
        PLOTS/training.csv: loss, and k-NN accuracy on validation, by epoch.
Params: simclr, by way of the model's own params.json; runtime.
"""

import argparse
import logging
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import torch

from stages.core.determinism import device, seed_everything
from stages.core.files import fresh_folder, read_json, write_csv, write_json
from stages.core.heads import HEADS
from stages.learning.knn import knn_accuracy, majority_share
from stages.networks.backbones.backbones import Backbone
from stages.networks.backbones.features import Pictures, embed_pictures, load_weights, read_crops
from stages.runner.stage import Report, Stage
from stages.simclr.model import SimclrParams

log = logging.getLogger(__name__)

FIRST = "type"  # the label of the published k-NN validation, which comes first
Features = tuple[np.ndarray, np.ndarray]  # of the training rows [n, d] and of the test rows [m, d]


def backbones(model: Path, last: Path, params: SimclrParams) -> dict[str, Backbone | None]:
    """The compared networks by name; None where one does not exist."""
    seed_everything(params.seed)
    untrained, left, kept = (Backbone(params.backbone, "none") for _ in range(3))
    load_weights(left, last)
    load_weights(kept, model)
    start = None if params.weights == "none" else Backbone(params.backbone, params.weights)
    return {"untrained": untrained, "imagenet": start, "simclr_last": left, "simclr": kept}


def same_weights(a: Backbone | None, b: Backbone | None) -> bool:
    """Whether two networks of one architecture, on one device, give the same features."""
    if a is None or b is None:
        return False
    second = b.state_dict()
    return all(torch.equal(value, second[name]) for name, value in a.state_dict().items())


def twins(networks: Mapping[str, Backbone | None]) -> dict[str, str]:
    """Network -> the first earlier network with the same weights, if there is one."""
    names = list(networks)
    same = {}
    for at, name in enumerate(names):
        for earlier in names[:at]:
            if same_weights(networks[earlier], networks[name]):
                same[name] = earlier
                break
    return same


def heads_of(train: pd.DataFrame) -> list[str]:
    """The labels with at least two values in the training rows, ``FIRST`` first."""
    order = [FIRST, *(head for head in HEADS if head != FIRST)]
    return [head for head in order if head in train and train[head].nunique() > 1]


def score_heads(
    train: pd.DataFrame, test: pd.DataFrame, features: Mapping[str, Features | None], k: int
) -> dict[str, dict[str, Any]]:
    """For each head the number of scored rows and the accuracies: of each of ``features``, of chance, of the majority.

    Chance is 1 / number of training labels; majority is the most frequent training label. A head without test rows only
    has counts.
    """
    heads: dict[str, dict[str, Any]] = {}
    for head in heads_of(train):
        known, asked = (frame[head].notna().to_numpy() for frame in (train, test))
        labels, answers = train[head].to_numpy()[known], test[head].to_numpy()[asked]
        scores: dict[str, Any] = {
            "rows": len(answers), "reference_rows": len(labels), "classes": len(set(labels)),
        }  # fmt: skip
        heads[head] = scores
        if not len(answers):
            continue
        scores |= {"baseline_chance": 1 / scores["classes"], "baseline_majority": majority_share(labels, answers)}
        for name, pair in features.items():
            scores[name] = pair and knn_accuracy(pair[0][known], labels, pair[1][asked], answers, k)
    return heads


def means(heads: dict[str, dict[str, Any]]) -> dict[str, float | None]:
    """Every accuracy averaged over the heads that have test rows."""
    scored = [scores for scores in heads.values() if scores["rows"]]
    counts = {"rows", "reference_rows", "classes"}
    names = [name for name in scored[0] if name not in counts] if scored else []
    values = {name: [scores[name] for scores in scored] for name in names}
    return {name: None if None in column else float(np.mean(column)) for name, column in values.items()}


def training_curves(history: pd.DataFrame, majority: float) -> list[list[Any]]:
    """Rows panel, line, epoch, value of the history (columns epoch, loss, knn_<head>), without missing values.

    Args:
        majority: accuracy of the most frequent label on validation.
    """
    knn = history.columns[2]
    rows: list[list[Any]] = []
    loss, score = history[history["loss"].notna()], history[history[knn].notna()]
    rows += [["loss", "train", int(epoch), value] for epoch, value in zip(loss["epoch"], loss["loss"], strict=True)]
    for line, values in (("SimCLR", score[knn]), ("majority", [majority] * len(score))):
        rows += [["k-NN on validation", line, int(x), y] for x, y in zip(score["epoch"], values, strict=True)]
    return rows


def key_metrics(mean: dict[str, float | None], kept_epoch: int) -> dict[str, float]:
    """The metrics: means over labels, of each compared network and of the two baselines."""
    names = {
        "simclr": "kept",
        "simclr_last": "last_epoch",
        "baseline_majority": "majority",
        "baseline_chance": "chance",
    }
    key_metrics = {names.get(name, name): value for name, value in mean.items() if value is not None}
    return key_metrics | {"kept_epoch": kept_epoch}


def main(args: argparse.Namespace, params: SimpleNamespace) -> Report:
    """Embed both splits by each network, score, write."""
    options = SimclrParams.model_validate(read_json(args.model / "params.json"))
    card = read_json(args.model / "encoder.json")
    train, test = read_crops(args.dataset, "train"), read_crops(args.dataset, "test")
    pictures = [Pictures(list(frame["bytes"]), options.image_size, keep=False) for frame in (train, test)]
    features: dict[str, Features | None] = {}
    networks = backbones(args.model, args.last, options)
    if not options.epochs:  # nothing was trained
        networks = {name: networks[name] for name in ("untrained", "imagenet")}
    same = twins(networks)  # before any of them moves to another device
    for name, backbone in networks.items():
        if name in same:
            log.info(f"simclr: {name} has the weights of {same[name]}")
            features[name] = features[same[name]]
            continue
        log.info(f"simclr: {name} features" if backbone else f"simclr: no {name} features, it started from scratch")
        both = [embed_pictures(backbone.to(device()), crops, options.batch) for crops in pictures] if backbone else None
        features[name] = (both[0], both[1]) if both else None
    heads = score_heads(train, test, features, options.knn_k)
    curves = training_curves(pd.read_csv(args.model / "history.csv"), card["knn_majority"])
    write_csv(fresh_folder(args.plots) / "training.csv", ["panel", "line", "x", "y"], curves)
    about = {"k": options.knn_k, "kept_epoch": card["epoch"], "test_rows": len(test)}
    write_json(args.report, {"heads": heads, "mean": means(heads), **about})
    write_json(args.metrics, key_metrics(means(heads), card["epoch"]))
    metrics: dict[str, float] = {}
    for head, scores in heads.items():
        if scores["rows"]:
            known = {name: scores[name] for name in features if scores[name] is not None}
            shown = known | {"majority": scores["baseline_majority"], "chance": scores["baseline_chance"]}
            numbers = ", ".join(f"{name} {value:.3f}" for name, value in shown.items())
            log.info(f"simclr: k-NN {head} {numbers}, on {scores['rows']} test rows")
            metrics |= {f"{head}_{name}": value for name, value in known.items()}
    return Report(metrics=metrics)


STAGE = Stage(main, ["dataset", "model", "last", "metrics", "plots", "report"], {})
