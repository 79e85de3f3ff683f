"""What a repro carries in MLflow beside its stages: headline scores and params, read from the project's files."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stages.core.files import read_json

SCORED = (
    "classifier",
    "detector/",
    "retrieval/",
    "simclr",
)  # files below metrics/<profile>/ whose headlines a repro carries
HEADLINES = {
    *("accuracy", "baseline_majority", "baseline_majority_given_detected"),
    *("map50", "map50_95", "baseline_map50_constant_box"),
    *("hit_at_1", "hit_at_5", "map", "map_at_r"),
    *("simclr", "simclr_last", "imagenet", "untrained"),  # k-NN accuracies
}
# The same figures seen otherwise; those by class begin with per_.
NOT_HEADLINES = ("same_superclass", "flip", "regions", "recommendation")
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


def scores_at(path: Path) -> dict[str, float]:
    """Headline scores of a metrics file (its path with or without .json) or of a model folder's training.

    Of a training these are the validation scores of the epoch that was kept: of a classifier and for k-NN
    the one that encoder.json names, of a detector the best by mAP50-95.
    """
    file = path.with_name(f"{path.name.removesuffix('.json')}.json")
    name = "/".join(file.with_suffix("").parts[2:])
    if path.parts[:1] == ("metrics",) and name.startswith(SCORED) and file.is_file():
        return _headlines(read_json(file), name)
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


def _headlines(content: dict[str, Any], name: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for key, value in content.items():
        if isinstance(value, dict) and not key.startswith("per_") and key not in NOT_HEADLINES:
            found |= _headlines(value, f"{name}/{key}")
        elif key in HEADLINES and isinstance(value, (int, float)):
            found[f"{name}/{key}"] = float(value)
    return found
