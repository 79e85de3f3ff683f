"""The report's tables of numbers: scores, baselines, published scores, and their spread over seeds."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from stages.core.files import read_csv, read_json
from stages.page.lookup import csv_rows
from stages.retrieval.catalogue import LEADING

Row = dict[str, Any]
PUBLISHED = ["system", "encoder", "benchmark", "metric", "value", "value_high", "source", "note"]


def read_folder(folder: Path) -> dict[str, Row]:
    """Name -> content of the JSON files of a folder; none where there is no folder."""
    return {path.stem: read_json(path) for path in sorted(folder.glob("*.json"))}


def published(path: Path) -> list[dict[str, str]]:
    """Rows of the table of published numbers."""
    return [row for _, row in read_csv(path, PUBLISHED)]


class Seeds:
    """The spread of every metric over training seeds, from metrics/<profile>/seeds.json; of a profile without, none."""

    def __init__(self, metrics: Path) -> None:
        path = metrics / "seeds.json"
        content = read_json(path) if path.is_file() else {}
        self.seeds: list[int] = content.get("seeds", [])
        self.files: Mapping[str, Mapping[str, Row]] = content.get("metrics", {})

    def spread(self, file: str, key: str) -> str:
        """Smallest and largest value of the seeds; nothing where they were not measured."""
        entry = self.files.get(file, {}).get(key)
        return f"{entry['min']:.3f}–{entry['max']:.3f}" if entry else ""


def cell(value: float | None, seeds: str = "", best: bool = False, high: str = "") -> Row:
    """One number of a table, with the seeds' reach below it."""
    text = "" if value is None else f"{value:.3f}"
    return {"value": text + (f"–{float(high):.3f}" if high else ""), "seeds": seeds, "best": best}


def retrieval(metrics: Path, seeds: Seeds, rows: list[dict[str, str]]) -> Row | None:
    """hit@1 of each encoder on each benchmark, chance below them, then published systems on the same benchmarks."""
    folders = [("retrieval", read_folder(metrics / "retrieval"))]
    folders.append(("retrieval/labels", read_folder(metrics / "retrieval" / "labels")))
    values: dict[str, dict[str, tuple[float, str]]] = {}
    for folder, own in folders:
        for encoder, content in own.items():
            for benchmark, scores in content.items():
                for metric, value in scores.items():
                    spread = seeds.spread(f"{folder}/{encoder}", f"{benchmark}.{metric}")
                    values.setdefault(encoder, {})[benchmark] = (value, spread)
    names = dict.fromkeys(name for own in values.values() for name in own)
    benchmarks = sorted(names, key=lambda name: name != "wardrobe")
    if not benchmarks:
        return None
    best = {
        name: max(own[name][0] for encoder, own in values.items() if encoder != "chance" and name in own)
        for name in benchmarks
    }
    lines = [
        {
            "name": encoder,
            "published": False,
            "cells": [
                _hit(values[encoder].get(name), None if encoder == "chance" else best[name]) for name in benchmarks
            ],
        }
        for encoder in sorted(values, key=lambda name: (name == "chance", name))
    ]
    lines += _published(
        rows, lambda row: row["metric"] == LEADING.key and row["benchmark"] in benchmarks, benchmarks, ""
    )
    return {"columns": benchmarks, "lines": lines}


def _hit(result: tuple[float, str] | None, best: float | None) -> Row:
    return cell(None) if result is None else cell(result[0], result[1], best is not None and result[0] == best)


def _published(
    rows: Iterable[dict[str, str]], wanted: Callable[[dict[str, str]], bool], columns: list[str], prefix: str
) -> list[Row]:
    systems: dict[tuple[str, str], dict[str, dict[str, str]]] = {}
    for row in rows:
        if wanted(row):
            systems.setdefault((row["system"], row["source"]), {})[row["benchmark"].removeprefix(prefix)] = row
    return [
        {
            "name": f"{system} (published)",
            "title": source,
            "published": True,
            "cells": [
                cell(float(own[name]["value"]), high=own[name]["value_high"]) if name in own else cell(None)
                for name in columns
            ],
        }
        for (system, source), own in systems.items()
    ]


def heads(metrics: Path, seeds: Seeds, rows: list[dict[str, str]]) -> Row | None:
    """Accuracy of each head, of the baselines, and as published."""
    own = read_folder(metrics / "classifier")
    if "accuracy" not in own:
        return None
    columns = sorted(own["accuracy"], key=lambda name: (name == "mean", name))
    names = {"accuracy": "classifier", "given_class": "commonest label of the detected class", "majority": "majority"}
    lines = [
        {
            "name": names.get(name, name),
            "published": False,
            "cells": [cell(own[name].get(head), seeds.spread(f"classifier/{name}", head)) for head in columns],
        }
        for name in ("accuracy", "given_class", "majority")
        if name in own
    ]
    prefixed = {f"classifier_{name}" for name in columns}
    lines += _published(
        rows, lambda row: row["metric"] == "accuracy" and row["benchmark"] in prefixed, columns, "classifier_"
    )
    return {"columns": columns, "lines": lines}


SCORES = {"map50": "mAP50", "map50_95": "mAP50-95", "precision": "precision", "recall": "recall", "f1": "F1"}


def detectors(metrics: Path, seeds: Seeds, rows: list[dict[str, str]]) -> Row | None:
    """Scores of each detector, of a constant box and of the salient box, and published scores on the same data."""
    own, salient = read_folder(metrics / "detector"), read_folder(metrics / "salient")
    lines = []
    for name, content in own.items():
        cells = [cell(content.get(key), seeds.spread(f"detector/{name}", key)) for key in SCORES]
        lines.append({"name": name, "published": False, "cells": cells})
        constant = [cell(content.get("constant_box") if key == "map50" else None) for key in SCORES]
        lines.append({"name": f"{name}, a constant box", "published": False, "cells": constant})
        if name in salient:
            cells = [cell(salient[name].get(key)) for key in SCORES]
            called = f"{name}, salient box and classifier's group"
            lines.append({"name": called, "published": False, "cells": cells})
        systems: dict[tuple[str, str], Row] = {}
        for row in rows:
            if row["benchmark"] == f"detector_{name}" and row["metric"] in SCORES:
                systems.setdefault((row["system"], row["source"]), {})[row["metric"]] = float(row["value"])
        for (system, source), scores in systems.items():
            lines.append({
                "name": f"{system} on {name} (published)", "title": source, "published": True,
                "cells": [cell(scores.get(key)) for key in SCORES],
            })  # fmt: skip
    return {"columns": list(SCORES.values()), "lines": lines} if lines else None


def simclr(metrics: Path, seeds: Seeds) -> Row | None:
    """Mean k-NN accuracy over the labels: of the features that SimCLR kept, and of those that it started from."""
    path = metrics / "simclr.json"
    if not path.is_file():
        return None
    content = read_json(path)
    names = [name for name in content if not name.endswith("epoch") or name == "last_epoch"]
    return {
        "columns": names,
        "lines": [{"name": "k-NN", "published": False,
                   "cells": [cell(content[name], seeds.spread("simclr", name)) for name in names]}],
    }  # fmt: skip


def ablation(metrics: Path) -> Row | None:
    """The table of the ablation; None if it was not run."""
    rows = csv_rows(metrics / "ablation.csv")
    if not rows:
        return None
    first, *columns = rows[0]
    return {
        "columns": columns,
        "lines": [
            {
                "name": row[first],
                "published": False,
                "cells": [{"value": row[name], "seeds": "", "best": False} for name in columns],
            }
            for row in rows
        ],
    }
