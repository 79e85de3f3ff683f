"""What the labels are and what became of the labelled items: tables for people who judge the data.

Reads:  labels/<source>/values.json, crops/<source>/outcomes.parquet and labels.parquet of every source in params
        ``label_sources``; dataset/statistics.json.
Writes: statistics.json: matching outcomes by source and superclass, labels by head and split, the commonest value of
        each head. Plots: matching.csv (the outcome table by source, superclass and type), before_<head>.csv (upstream's
        values), after_<head>.csv (values after the label policies), dataset_<head>.csv (values of the crops by split).
Params: label_sources.
"""

import argparse
from collections import Counter, defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from stages.contracts.tables import HEADS, LABELS, OUTCOMES, read_table
from stages.core.files import fresh_folder, read_json, write_csv, write_json
from stages.core.params import load_params, lookup
from stages.runner.stage import Report, Stage

# Every outcome that crops can have, in the order of the table's columns.
OUTCOME_NAMES = ("matched", "whole_image", "mismatch", "no_detection", "taken", "several", "unusable_crop")
UNKNOWN = "(unknown)"
CUT = ("matched", "whole_image")


def outcome_table(items: list[dict[str, Any]]) -> list[list[Any]]:
    """Rows source, superclass, type, items, one count for each of ``OUTCOME_NAMES``, share of items with a crop.

    Args:
        items: source, superclass, type (null = unknown) and outcome of every labelled item.
    """
    counts: dict[tuple[str, str, str], Counter] = defaultdict(Counter)
    for item in items:
        counts[item["source"], item["superclass"], item["type"] or UNKNOWN][item["outcome"]] += 1
    return [[*key, *_row(found)] for key, found in sorted(counts.items())]


def outcomes_by_superclass(items: list[dict[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """source -> superclass (and ``all``) -> items, outcomes that occur, share of items with a crop."""
    counts: dict[str, dict[str, Counter]] = defaultdict(lambda: defaultdict(Counter))
    for item in items:
        for key in (item["superclass"], "all"):
            counts[item["source"]][key][item["outcome"]] += 1
    return {
        source: {key: {"items": found.total(), **found, "share_cut": _share(found)} for key, found in rows.items()}
        for source, rows in counts.items()
    }


def _row(found: Counter) -> list[Any]:
    return [found.total(), *(found[name] for name in OUTCOME_NAMES), _share(found)]


def _share(found: Counter) -> float:
    return sum(found[name] for name in CUT) / found.total()


def value_table(values: dict[str, dict[str, int]]) -> tuple[list[str], list[list[Any]]]:
    """Header and rows of: value, rows in all, rows of each group; the commonest value first.

    Args:
        values: group (a source or a split) -> value -> rows.
    """
    totals: Counter = Counter()
    for counts in values.values():
        totals.update(counts)
    order = sorted(totals, key=lambda value: (-totals[value], value))
    rows = [[value, totals[value], *(counts.get(value, 0) for counts in values.values())] for value in order]
    return ["value", "rows", *values], rows


def majority(values: dict[str, dict[str, int]]) -> dict[str, Any]:
    """The number of classes, the commonest value and its share of the labelled rows of all splits."""
    _, rows = value_table(values)
    if not rows:
        return {"classes": 0}
    return {"classes": len(rows), "commonest": rows[0][0], "share": rows[0][1] / sum(row[1] for row in rows)}


def read_outcomes(labels: Path, crops: Path) -> list[dict[str, Any]]:
    """Source, superclass, type and outcome of every labelled item of one source."""
    found = read_table(crops / "outcomes.parquet", OUTCOMES).to_pylist()
    by_item = {row["item_id"]: row["outcome"] for row in found}
    rows = read_table(labels / "labels.parquet", LABELS).to_pylist()
    return [{key: row[key] for key in ("source", "superclass", "type")} | {"outcome": by_item[row["item_id"]]}
            for row in rows]  # fmt: skip


def main(args: argparse.Namespace, params: SimpleNamespace) -> Report:
    """Collect, count, write."""
    sources = sorted(lookup(load_params(), "label_sources"))
    items = [row for source in sources for row in read_outcomes(args.labels / source, args.crops / source)]
    values = {source: read_json(args.labels / source / "values.json") for source in sources}
    dataset = read_json(args.dataset / "statistics.json")
    plots = fresh_folder(args.out)
    write_csv(
        plots / "matching.csv",
        ["source", "superclass", "type", "items", *OUTCOME_NAMES, "share_cut"],
        outcome_table(items),
    )
    for head in HEADS:
        for when in ("before", "after"):
            counts = {source: values[source][head][when] for source in sources}
            write_csv(plots / f"{when}_{head}.csv", *value_table(counts))
        write_csv(plots / f"dataset_{head}.csv", *value_table(dataset["values"][head]))
    content = {
        "matching": outcomes_by_superclass(items),
        "labelled": dataset["labelled"],
        "coverage": dataset["coverage"],
        "values": {head: majority(dataset["values"][head]) for head in HEADS},
    }
    write_json(args.out.with_suffix(".json"), content)
    cut = sum(row["outcome"] in CUT for row in items)
    return Report(metrics={"items": len(items), "share_cut": cut / len(items)})


STAGE = Stage(main, ["labels", "crops", "dataset", "out"], {})
