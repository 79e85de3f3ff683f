"""Score every head of the classifier on the test split, beside its baselines.

Reads:  the data set, the trained classifier.
Writes: <out>.json (scores by head, coverage, means) and plot files in <out>/: loss.csv and
        accuracy.csv by epoch, confusion_<head>.csv.
Params: classifier.heads, by way of the model's own card.
"""

import argparse
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from stages.attributes.encoder import ClassifierEncoder
from stages.attributes.params import ClassifierParams
from stages.attributes.predict import predict
from stages.attributes.rows import prepare
from stages.attributes.scores import head_scores
from stages.core.determinism import seed_everything
from stages.core.files import fresh_folder, read_json, write_csv, write_json
from stages.core.progress import say
from stages.core.stage import Report, run_stage
from stages.encoders.pictures import read_crops


def main(args: argparse.Namespace, params: SimpleNamespace) -> Report:
    """Predict, score, write."""
    seed_everything(0)
    network = ClassifierEncoder(args.model).network
    options = ClassifierParams.model_validate(read_json(args.model / "params.json"))
    train, test = read_crops(args.dataset, "train"), read_crops(args.dataset, "test")
    rows = prepare(test, network.classes, network.superclasses, options)
    probabilities = predict(network, rows, options.batch)
    plots = fresh_folder(args.out)
    heads: dict[str, Any] = {}
    for head, classes in network.classes.items():
        known = test[head].notna().to_numpy()
        if not known.any():
            heads[head] = {"rows": 0, "coverage": 0.0, "classes": len(classes)}
            continue
        labelled = train[train[head].notna()]
        truth = list(test[head][known])
        heads[head] = {
            "coverage": float(known.mean()),
            **head_scores(
                truth,
                probabilities[head][known],
                classes,
                list(test["detected_class"][known]),
                list(labelled[head]),
                list(labelled["detected_class"]),
            ),
        }
        predicted = [classes[index] for index in probabilities[head][known].argmax(axis=1)]
        pairs = sorted([actual, guess] for actual, guess in zip(truth, predicted, strict=True))
        write_csv(plots / f"confusion_{head}.csv", ["actual", "predicted"], pairs)
        scores = heads[head]
        say(
            f"classifier: {head} {scores['accuracy']:.3f} on {scores['rows']} test rows, majority "
            f"{scores['baseline_majority']:.3f}, by detected class {scores['baseline_majority_given_detected']:.3f}"
        )
    scored = [scores for scores in heads.values() if scores["rows"]]
    mean = {key: float(np.mean([scores[key] for scores in scored])) for key in ("accuracy", "baseline_majority")}
    write_json(Path(f"{args.out}.json"), {"heads": heads, "mean": mean, "test_rows": len(test)})
    history = pd.read_csv(args.model / "history.csv")
    accuracy = [name for name in history.columns if name.startswith("val_")]
    write_csv(plots / "loss.csv", ["epoch", "train_loss"], history[["epoch", "train_loss"]].to_numpy(object).tolist())
    write_csv(plots / "accuracy.csv", ["epoch", *accuracy], history[["epoch", *accuracy]].to_numpy(object).tolist())
    return Report(metrics={f"{head}_accuracy": scores["accuracy"] for head, scores in heads.items() if scores["rows"]})


if __name__ == "__main__":
    run_stage(main, ["dataset", "model", "out"], {})
