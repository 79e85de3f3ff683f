"""Scores over several training seeds: which numbers carry a claim, and their mean and spread.

stages/report/seeds_run.py trains and calls this. It writes metrics/<profile>/seeds.json, or seeds_<sections>.json where
only some sections' seeds change.

Every number is one that a single run reports, in data/<profile>/report/ of that seed. The
deviation is the sample standard deviation (n - 1). A seed moves everything that is trained, from the detectors on:
other detections make other crops, so the rows on which the heads are scored move a little too.
"""

import statistics
from collections.abc import Collection
from pathlib import Path
from typing import Any

from stages.core.errors import StageError, shown
from stages.core.files import read_json
from stages.runner.scores import scores_at

# Sections of params.yaml by what their seeds do.
TRAINED = ("detector", "simclr", "classifier", "encoder", "ablation")
FIXED = ("demo", "evaluate", "benchmark")  # draw data, resample queries, choose pairs: the same for all
LEAST = 3  # seeds; a deviation of two says nothing

# Last part of a number's name -> (how it is called, the number beside it relative to the same name).
CLAIMS = {
    "map50": ("mAP50", ("constant_box", "constant box")),
    "accuracy": ("accuracy", ("baseline_majority_given_detected", "majority given the detected class")),
    "hit_at_1": ("hit@1", ("hit_at_1", "chance")),
    "hit_at_5": ("hit@5", ("hit_at_5", "chance")),
    "map": ("mAP", ("map", "chance")),
    "simclr": ("k-NN", ("baseline_majority", "majority")),
}

KINDS = ("classifier", "detector/", "retrieval/", "simclr")  # of reports that hold scores
# The same figures seen otherwise; those by class begin with per_.
OTHERWISE = ("same_superclass", "flip", "regions", "recommendation")


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
        if name.startswith(KINDS)
        for key, value in _numbers(read_json(file), name).items()
    }


def _numbers(content: dict[str, Any], name: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for key, value in content.items():
        if isinstance(value, dict) and not key.startswith("per_") and key not in OTHERWISE:
            found |= _numbers(value, f"{name}/{key}")
        elif isinstance(value, (int, float)):
            found[f"{name}/{key}"] = float(value)
    return found


def claims(reports: list[Path], models: list[Path]) -> dict[str, dict[str, Any]]:
    """What one seed reached: row name -> metric, value and the baseline next to it.

    Args:
        reports: data/<profile>/report/<kind>..., relative to the tree that DVC ran in.
        models: folders of trained encoders; those with k-NN accuracies (SimCLR's) give a row.
    """
    scores = {key: value for path in reports for key, value in reported(path).items()}
    found: dict[str, dict[str, Any]] = {}
    for key, value in scores.items():
        name, _, last = key.rpartition("/")
        if last not in CLAIMS or "/chance/" in key or name.endswith("/mean"):
            continue
        metric, (baseline, called) = CLAIMS[last]
        view = name.rpartition("/")
        beside = f"{view[0]}/chance/{view[2]}/{baseline}" if called == "chance" else f"{name}/{baseline}"
        row = name.replace("/heads/", "/").removesuffix("/whole_gallery")
        found[f"{row} {metric}"] = {"value": value, "baseline": scores.get(beside), "beside": called}
    for folder in models:
        for key, value in scores_at(folder).items():
            if "/knn_" in key:
                card = read_json(folder / "encoder.json")
                found[f"encoder/{folder.name} k-NN {key.split('/knn_')[1]}"] = {
                    "value": value, "baseline": card.get("knn_majority"), "beside": "majority, on validation",
                }  # fmt: skip
    return found


def spread(by_seed: dict[int, dict[str, dict[str, Any]]]) -> dict[str, Any]:
    """Mean, sample standard deviation, smallest and largest value of every row, and the mean of its baseline.

    Raises:
        StageError: when a seed lacks a row that another one has: the seeds were not run with one configuration.
    """
    every = {row for rows in by_seed.values() for row in rows}
    result: dict[str, Any] = {}
    for row in sorted(every):
        if lacking := [seed for seed, rows in by_seed.items() if row not in rows]:
            raise StageError(f"seed {shown(lacking)}: no {row!r}, which other seeds have. Run `make seeds` again.")
        values = [by_seed[seed][row]["value"] for seed in sorted(by_seed)]
        baselines = [by_seed[seed][row]["baseline"] for seed in sorted(by_seed)]
        result[row] = {
            "mean": statistics.fmean(values),
            "deviation": statistics.stdev(values),
            "min": min(values),
            "max": max(values),
            "values": dict(zip(map(str, sorted(by_seed)), values, strict=True)),
            "baseline": None if None in baselines else statistics.fmean(baselines),
            "beside": by_seed[min(by_seed)][row]["beside"],
        }
    return {"seeds": sorted(by_seed), "rows": result}


def as_markdown(content: dict[str, Any]) -> str:
    """The content of seeds.json as a table."""
    seeds, only = ", ".join(map(str, content["seeds"])), ", ".join(content.get("sections", []))
    alone = f" of {only} alone" if only else ""
    lines = [
        f"Profile {content['profile']}, seeds {seeds}{alone}; mean ± sample standard deviation.",
        "",
        "| what | mean ± deviation | min | max | beside it |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, row in content["rows"].items():
        beside = "" if row["baseline"] is None else f"{row['baseline']:.3f} {row['beside']}"
        lines.append(
            f"| {name} | {row['mean']:.3f} ± {row['deviation']:.3f} | {row['min']:.3f} | {row['max']:.3f} | {beside} |"
        )
    return "\n".join(lines)
