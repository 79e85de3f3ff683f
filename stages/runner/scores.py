"""The main scores and the params of a repro for its parent run in MLflow, read from the project's files."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stages.core.files import read_json

# Files below metrics/<profile>/ whose numbers go to the parent run; files that only count rows do not.
SCORED = ("classifier/", "detector/", "retrieval/", "salient/", "simclr", "training/")
LISTS = {
    "demo": "demo_sources",
    "ingest": "sources",
    "detector": "detectors",
    "encoder": "trained_encoders",
    "benchmark": "benchmarks",
    "ablation": "ablation_variants",
}  # section of params.yaml -> the list that names its items


def flatten(params: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested params with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in params.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def active_params(content: dict[str, Any]) -> dict[str, Any]:
    """The params file, flat, without the sections of items that no list names, as these change no result."""
    kept = {
        key: {item: inner for item, inner in value.items() if item in content.get(LISTS[key], [])}
        if key in LISTS and isinstance(value, dict)
        else value
        for key, value in content.items()
    }
    return flatten(kept)


def metric_numbers(path: Path) -> dict[str, float]:
    """The numbers of a metrics file or of all files in a folder: ``<file below the profile>/<key>``, keys joined by /.

    ``hit@1`` is called hit_at_1, as MLflow takes no @ in a name.
    """
    files = (
        sorted(path.rglob("*.json")) if path.is_dir() else [path] if path.suffix == ".json" and path.is_file() else []
    )
    numbers: dict[str, float] = {}
    for file in files:
        name = "/".join(file.with_suffix("").parts[2:])
        if name.startswith(SCORED) and file.suffix == ".json" and file.is_file():
            for key, value in flatten(read_json(file)).items():
                numbers[f"{name}/{key.replace('.', '/').replace('@', '_at_')}"] = float(value)
    return numbers


def scores_at(path: Path) -> dict[str, float]:
    """Scores of a metrics file or folder, or of the training in a model folder.

    The scores of a training are the validation scores of the kept epoch: for a classifier and for k-NN the epoch in
    encoder.json, for a detector the best one by mAP50-95.
    """
    if path.parts[:1] == ("metrics",):
        return metric_numbers(path)
    name = "/".join(["validation", *path.parts[2:]])
    if (path / "scores.json").is_file():
        return {f"{name}/{key}": float(value) for key, value in read_json(path / "scores.json").items()}
    if not (path / "history.csv").is_file():
        return {}
    with (path / "history.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    card = read_json(path / "encoder.json") if (path / "encoder.json").is_file() else {}
    scores = {}
    for column in rows[0] if rows else []:
        values = {int(row["epoch"]): float(row[column]) for row in rows if row[column]}
        if values and column in ("val_map50", "val_map50_95"):
            scores[f"{name}/{column}"] = values[kept_epoch(rows)]
        elif values and column.startswith(("val_mean_accuracy", "knn_")):
            scores[f"{name}/{column}"] = values.get(card.get("epoch"), values[max(values)])
    return scores


def kept_epoch(history: Sequence[Mapping[str, Any]]) -> int:
    """The epoch whose weights a detector's training kept, from lines with ``epoch`` and ``val_map50_95``.

    Ultralytics' fitness is mAP50-95; it keeps the last of equal epochs.
    """
    return max((float(row["val_map50_95"]), int(row["epoch"])) for row in history)[1]
