"""The metrics of a profile, of the work tree, a commit or a seed; its key metrics; and which metrics changed.

stages/report/summary.py (the end of ``make repro``) and stages/report/review.py (``make review``) print them.
"""

import io
import json
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from stages.core.files import read_json
from stages.retrieval.catalogue import find
from stages.runner.scores import flatten

MOST_KEY_METRICS = 10
NOT_METRICS = ("external/", "seeds", "ablation")  # written by commands, not by stages of every repro
LEAST_CHANGE = 5e-4  # what three digits show

Numbers = dict[str, dict[str, float]]  # metric file -> key -> number


class KeyMetric(NamedTuple):
    """A number that a person reads first, and its baselines in words."""

    what: str
    metric: str
    value: float
    baseline: str


class Change(NamedTuple):
    """A number that changed: its metric file, its key, its value before and now."""

    name: str
    key: str
    old: float
    new: float


def numbers_of(files: Mapping[str, object]) -> Numbers:
    """Metric file (its path below the profile's folder, without suffix) -> key -> number.

    Args:
        files: the same with the content of each file.
    """
    kept = {name: content for name, content in files.items() if not name.startswith(NOT_METRICS)}
    return {
        name: {key: float(value) for key, value in flatten(content).items() if isinstance(value, (int, float))}
        for name, content in sorted(kept.items())
        if isinstance(content, dict)
    }


def read_metrics(folder: Path) -> Numbers:
    """The metrics of a profile as they are now."""
    paths = sorted(folder.rglob("*.json"))
    return numbers_of({path.relative_to(folder).with_suffix("").as_posix(): read_json(path) for path in paths})


def files_at(revision: str, path: Path) -> dict[Path, bytes]:
    """Content of a file, or of every file below a folder, as committed at a revision; empty where it has none."""
    done = subprocess.run(["git", "archive", revision, path.as_posix()], capture_output=True, check=False)
    if done.returncode:
        return {}
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        streams = {Path(member.name): archive.extractfile(member) for member in archive}
        return {name: stream.read() for name, stream in streams.items() if stream is not None}


def committed_metrics(folder: Path, revision: str = "HEAD") -> Numbers:
    """The metrics of a profile as committed at a revision, by default in the last commit; empty without any."""
    files = {path: content for path, content in files_at(revision, folder).items() if path.suffix == ".json"}
    names = {path.relative_to(folder).with_suffix("").as_posix(): content for path, content in files.items()}
    return numbers_of({name: json.loads(content) for name, content in names.items()})


def key_metrics(numbers: Numbers) -> list[KeyMetric]:
    """The numbers that a person reads first, each with its baseline; at most ``MOST_KEY_METRICS``."""
    rows: list[KeyMetric] = []
    if detectors := [own for name, own in numbers.items() if name.startswith("detector/") and "map50" in own]:
        value = fmean(own["map50"] for own in detectors)
        boxes = [own["constant_box"] for own in detectors if "constant_box" in own]
        salient = [own for name, own in numbers.items() if name.startswith("salient/") and "map50" in own]
        baselines = [f"{fmean(boxes):.3f} a constant box"] if boxes else []
        baselines += [_salient(salient)] if salient else []
        rows.append(KeyMetric("detectors", "mean mAP50", value, ", ".join(baselines)))
    accuracy, given = (numbers.get(f"classifier/{name}", {}) for name in ("accuracy", "given_class"))
    for head, label in (("mean", "mean accuracy of the heads"), ("type_group", "accuracy of the type's group")):
        if head in accuracy:
            baseline = f"{given[head]:.3f} commonest label of the detected class" if head in given else ""
            rows.append(KeyMetric("classifier", label, accuracy[head], baseline))
    simclr = numbers.get("simclr", {})
    if "kept" in simclr:
        baseline = ", ".join(f"{simclr[name]:.3f} {name}" for name in ("imagenet", "untrained") if name in simclr)
        rows.append(KeyMetric("SimCLR", "mean k-NN accuracy of the labels", simclr["kept"], baseline))
    rows += [row for folder in ("retrieval", "retrieval/labels") for row in _retrieval(numbers, folder)]
    return rows[:MOST_KEY_METRICS]


def _salient(rows: list[dict[str, float]]) -> str:
    """Mean mAP50 of the salient boxes, mean mAP50-95 on validation of both detectors, and which one cuts the crops."""
    text = f"{fmean(own['map50'] for own in rows):.3f} salient box and classifier's group"
    compared = [(own["val_map50_95"], own["trained_val_map50_95"]) for own in rows if "val_map50_95" in own]
    if compared:
        salient, trained = map(fmean, zip(*compared, strict=True))
        text += f" (validation mAP50-95 {salient:.3f}, trained {trained:.3f})"
    if all("cuts_crops" in own for own in rows):
        text += f"; the {'salient box' if rows[0]['cuts_crops'] else 'trained detector'} cuts the crops"
    return text


def _retrieval(numbers: Numbers, folder: str) -> list[KeyMetric]:
    encoders = {Path(name).name: own for name, own in numbers.items() if Path(name).parent.as_posix() == folder}
    chance = encoders.pop("chance", {})
    rows = []
    for key in sorted({key for own in encoders.values() for key in own}):
        hits = {name: own[key] for name, own in encoders.items() if key in own}
        benchmark, _, metric = key.rpartition(".")
        measure = find(metric)
        top = min(hits.values(), key=measure.order) if measure else max(hits.values())
        equal = [name for name, hit in hits.items() if hit == top]
        best = " and ".join(equal) if len(equal) < 3 else f"{len(equal)} encoders"
        guess = f"; {chance[key]:.3f} chance" if key in chance else ""
        rows.append(KeyMetric(benchmark, metric, top, f"{best}, best of {len(hits)}{guess}"))
    return rows


def moved(before: Numbers, now: Numbers) -> list[Change]:
    """Numbers of both sides that differ in three digits, the largest change first; a count changes by a share."""
    differing = [
        Change(name, key, old, new)
        for name, own in now.items()
        for key, new in own.items()
        if (old := before.get(name, {}).get(key)) is not None and abs(new - old) >= LEAST_CHANGE
    ]
    return sorted(
        differing,
        key=lambda change: (
            -abs(change.new - change.old) / max(abs(change.old), abs(change.new), 1),
            change.name,
            change.key,
        ),
    )
