"""What a repro carries in MLflow beside its stages: headline scores and params, read from the project's files."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stages.core.files import read_json

# Files below metrics/<profile>/ whose numbers a repro carries: counts of rows are none of them.
SCORED = ("classifier/", "detector/", "retrieval/", "simclr", "training/")
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
    """The whole params file, flat, without the sections of items that no list names: they change no result."""
    kept = {
        key: {item: inner for item, inner in value.items() if item in content.get(LISTS[key], [])}
        if key in LISTS and isinstance(value, dict)
        else value
        for key, value in content.items()
    }
    return flatten(kept)


def metric_numbers(path: Path) -> dict[str, float]:
    """The numbers of a metrics file, or of all below a folder: ``<file below the profile>/<key>``, keys joined by /.

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
    """Scores of a metrics file or folder, or of a model folder's training.

    Of a training these are the validation scores of the epoch that was kept: of a classifier and for k-NN
    the one that encoder.json names, of a detector the best by mAP50-95.
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
    """The epoch whose weights a detector's training kept, of lines with ``epoch`` and ``val_map50_95``.

    Ultralytics' fitness is mAP50-95 alone; of equal epochs the last is kept.
    """
    return max((float(row["val_map50_95"]), int(row["epoch"])) for row in history)[1]
