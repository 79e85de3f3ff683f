"""Scores over several training seeds: which numbers carry a claim, and their mean and spread.

stages/report/run_seeds.py trains and calls this. It writes metrics/<profile>/seeds.json, or seeds_<sections>.json where
only some sections' seeds change.

``rows`` are the claims: numbers that a single run reports, in data/<profile>/report/ of that seed. ``metrics`` has
every number of metrics/<profile>/ under its own file and key, so that a review finds the spread of each. The
deviation is the sample standard deviation (n - 1). A seed moves everything that is trained, from the detectors on:
other detections make other crops, so the rows on which the heads are scored move a little too.
"""

import math
import statistics
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from stages.core.errors import StageError, shown
from stages.core.files import read_json
from stages.report.key_metrics import Numbers
from stages.retrieval.catalogue import Place, shown_at
from stages.runner.scores import scores_at

T = TypeVar("T")

# Sections of params.yaml by what their seeds do.
TRAINED = ("detector", "simclr", "classifier", "encoder", "ablation")
FIXED = ("demo", "evaluate", "benchmark")  # draw data, resample queries, choose pairs: the same for all
LEAST = 3  # seeds; the deviation of two says nothing

# Last segment of a number's name -> (label, (last segment of its baseline's name, label of the baseline)).
CLAIMS = {
    "map50": ("mAP50", ("constant_box", "constant box")),
    "accuracy": ("accuracy", ("baseline_majority_given_detected", "majority given the detected class")),
    "simclr": ("k-NN", ("baseline_majority", "majority")),
    **{measure.key: (measure.label, (measure.key, "chance")) for measure in shown_at(Place.SEEDS)},
}

SCORED = ("classifier", "detector/", "retrieval/", "simclr")  # reports that hold scores, by the start of their name
# Views in which the same scores come again; scores by class have names that begin with per_.
VIEWS = ("same_superclass", "flip", "clean", "regions", "recommendation", "softmax")


def with_seed(params: dict[str, Any], seed: int, sections: Collection[str] = TRAINED) -> dict[str, Any]:
    """The params with every ``seed`` in ``sections`` set to ``seed``.

    Raises:
        StageError: for a seed in a section that is neither known to train nor known to be kept.
    """
    for section, content in params.items():
        if section not in (*TRAINED, *FIXED) and _seeded(content, -1) != content:
            raise StageError(
                f"params.yaml: `{section}` has a seed, and `make seeds` does not know whether it trains. "
                "Add the section to TRAINED or FIXED in stages/report/seeds.py."
            )
    return {section: _seeded(content, seed) if section in sections else content for section, content in params.items()}


def _seeded(content: Any, seed: int) -> Any:
    if isinstance(content, list):
        return [_seeded(inner, seed) for inner in content]
    if not isinstance(content, dict):
        return content
    return {
        key: seed if key == "seed" and isinstance(value, int) else _seeded(value, seed)
        for key, value in content.items()
    }


def reported(path: Path) -> dict[str, float]:
    """The numbers of a report, data/<profile>/report/<kind> (a JSON file, or a folder of them), that may be claims."""
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    names = {file: "/".join(file.with_suffix("").parts[3:]) for file in files if file.suffix == ".json"}
    return {
        key: value
        for file, name in names.items()
        if name.startswith(SCORED)
        for key, value in _numbers(read_json(file), name).items()
    }


def _numbers(content: dict[str, Any], name: str) -> dict[str, float]:
    numbers: dict[str, float] = {}
    for key, value in content.items():
        if isinstance(value, dict) and not key.startswith("per_") and key not in VIEWS:
            numbers |= _numbers(value, f"{name}/{key}")
        elif isinstance(value, (int, float)):
            numbers[f"{name}/{key}"] = float(value)
    return numbers


def claims(reports: list[Path], models: list[Path]) -> dict[str, dict[str, Any]]:
    """The claims of one seed: row name -> value, baseline and the baseline's name.

    Args:
        reports: data/<profile>/report/<kind>..., relative to the tree that DVC ran in.
        models: folders of trained encoders; those with k-NN accuracies (SimCLR's) give a row.
    """
    scores = {key: value for path in reports for key, value in reported(path).items()}
    rows: dict[str, dict[str, Any]] = {}
    for key, value in scores.items():
        name, _, last = key.rpartition("/")
        if last not in CLAIMS or "/chance/" in key or name.endswith("/mean"):
            continue
        metric, (baseline, baseline_name) = CLAIMS[last]
        view = name.rpartition("/")
        at = f"{view[0]}/chance/{view[2]}/{baseline}" if baseline_name == "chance" else f"{name}/{baseline}"
        row = name.replace("/heads/", "/").removesuffix("/whole_gallery")
        rows[f"{row} {metric}"] = {"value": value, "baseline": scores.get(at), "baseline_name": baseline_name}
    for folder in models:
        for key, value in scores_at(folder).items():
            if "/knn_" in key:
                card = read_json(folder / "encoder.json")
                rows[f"encoder/{folder.name} k-NN {key.split('/knn_')[1]}"] = {
                    "value": value, "baseline": card.get("knn_majority"), "baseline_name": "majority, on validation",
                }  # fmt: skip
    return rows


def spread(by_seed: dict[int, dict[str, dict[str, Any]]]) -> dict[str, Any]:
    """Mean, sample standard deviation, smallest and largest value of every row, and the mean of its baseline.

    Raises:
        StageError: when a seed lacks a row that another one has: the seeds were not run with one configuration.
    """
    result: dict[str, Any] = {}
    for row, cells in _by_name(by_seed).items():
        baselines = [cell["baseline"] for cell in cells.values()]
        result[row] = described({seed: cell["value"] for seed, cell in cells.items()}) | {
            "baseline": None if None in baselines else statistics.fmean(baselines),
            "baseline_name": cells[min(cells)]["baseline_name"],
        }
    return {"seeds": sorted(by_seed), "rows": result}


def described(values: Mapping[int, float]) -> dict[str, Any]:
    """Mean, sample standard deviation, smallest and largest of the seeds' values, and the values."""
    return {
        "mean": statistics.fmean(values.values()),
        "deviation": statistics.stdev(values.values()),
        "min": min(values.values()),
        "max": max(values.values()),
        "values": {str(seed): values[seed] for seed in sorted(values)},
    }


def metrics_spread(by_seed: Mapping[int, Numbers]) -> dict[str, dict[str, Any]]:
    """Metric file -> key -> what ``described`` says of it.

    Raises:
        StageError: as ``spread``.
    """
    files = _by_name(by_seed)
    return {name: {key: described(values) for key, values in _by_name(own).items()} for name, own in files.items()}


def seed_numbers(content: Mapping[str, Any]) -> list[Numbers]:
    """The metrics of every seed, from the content of seeds.json; none of a file that has claims only."""
    files = content.get("metrics", {})
    return [
        {name: {key: row["values"][str(seed)] for key, row in own.items()} for name, own in files.items()}
        for seed in (content["seeds"] if files else [])
    ]


def reach(values: Sequence[float]) -> float:
    """The difference that two runs which differ only in their seed exceed in one of 20 cases.

    The difference of two normal values with the sample deviation s of n seeds: ``t(0.975, n - 1) * sqrt(2) * s``, 6.1
    deviations for three seeds, 3.9 for five.
    """
    from scipy.special import stdtrit

    return float(stdtrit(len(values) - 1, 0.975)) * math.sqrt(2) * statistics.stdev(values)


def _by_name(by_seed: Mapping[int, Mapping[str, T]]) -> dict[str, dict[int, T]]:
    """Name -> seed -> the seed's entry of this name, names and seeds sorted; StageError if a seed lacks a name."""
    every = {name for own in by_seed.values() for name in own}
    for name in sorted(every):
        if lacking := [seed for seed, own in by_seed.items() if name not in own]:
            raise StageError(f"seed {shown(lacking)}: no {name!r}, which other seeds have. Run `make seeds` again.")
    return {name: {seed: by_seed[seed][name] for seed in sorted(by_seed)} for name in sorted(every)}


def as_markdown(content: dict[str, Any]) -> str:
    """The content of seeds.json as a table."""
    seeds, only = ", ".join(map(str, content["seeds"])), ", ".join(content.get("sections", []))
    alone = f" of {only} alone" if only else ""
    lines = [
        f"Profile {content['profile']}, seeds {seeds}{alone}; mean ± sample standard deviation.",
        "",
        "| what | mean ± deviation | min | max | baseline |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, row in content["rows"].items():
        baseline = "" if row["baseline"] is None else f"{row['baseline']:.3f} {row['baseline_name']}"
        spread_of = f"{row['mean']:.3f} ± {row['deviation']:.3f}"
        lines.append(f"| {name} | {spread_of} | {row['min']:.3f} | {row['max']:.3f} | {baseline} |")
    return "\n".join(lines)
