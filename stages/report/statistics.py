"""Statistics of labels and of the outcomes of labeled items, for people who assess the data.

Reads:  DATA/labels/<source>/values.json and labels.parquet, DATA/crops/<source>/outcomes.parquet of every label source;
        DATA/dataset/statistics.json; account.json of every item of ingested, boxes, labels, crops, and of the data set.
Writes: METRICS: labeled items, the share of them with a crop, rows in, kept and rejected over all ledgers.
        PLOTS/<head>.csv: rows of each value before cleaning, after it, and in the data set; PLOTS/outcomes.csv:
        outcomes of labeled items by source.
        REPORT/accounts.json: every ledger; matching.csv: outcomes by source, superclass and type; values.csv: rows of
        each value by source, or split of the data set; statistics.json: outcomes by superclass, labels by head and
        split, the commonest value of each head.
Params: sources, detectors, label_sources.

Every ledger is checked again: rows in = rows kept + rows rejected.
"""

import argparse
import logging
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from stages.contracts.tables import LABELS, OUTCOMES, read_table
from stages.core.errors import StageError
from stages.core.files import fresh_folder, read_json, write_csv, write_json
from stages.core.heads import HEADS
from stages.core.params import Names
from stages.runner.stage import Report, Stage

log = logging.getLogger(__name__)


def check_conservation(accounts: dict[str, Any], where: str = "") -> int:
    """Check rows in = rows kept + rows rejected in every ledger; the number of ledgers.

    Raises:
        StageError: it does not hold; the message names the first such ledger.
    """
    if "rows_in" in accounts:
        out = accounts["rows_kept"] + sum(accounts["rejected"].values())
        if accounts["rows_in"] != out:
            raise StageError(f"{where.strip('/')}: {accounts['rows_in']} rows in, but {out} kept or rejected.")
        return 1
    inner = {key: value for key, value in accounts.items() if isinstance(value, dict) and key != "notes"}
    return sum(check_conservation(value, f"{where}/{key}") for key, value in inner.items())


def collect(data: Path, lists: Mapping[str, list[str]]) -> dict[str, Any]:
    """stage -> item -> table -> rows_in, rows_kept, rejected by reason, repaired; ``dataset`` has no items.

    Args:
        data: the profile's data folder.
        lists: stage -> its items.
    """
    accounts: dict[str, Any] = {
        stage: {item: read_json(data / stage / item / "account.json") for item in sorted(items)}
        for stage, items in lists.items()
    }
    return accounts | {"dataset": read_json(data / "dataset" / "account.json")}


def totals(accounts: dict[str, Any]) -> dict[str, int]:
    """Sums of rows_in, rows_kept and rejected over all ledgers; a row counts once in each stage."""
    if "rows_in" in accounts:
        rejected = sum(accounts["rejected"].values())
        return {"rows_in": accounts["rows_in"], "rows_kept": accounts["rows_kept"], "rejected": rejected}
    inner = [totals(value) for key, value in accounts.items() if isinstance(value, dict) and key != "notes"]
    return {name: sum(counts[name] for counts in inner) for name in ("rows_in", "rows_kept", "rejected")}


# Every outcome of an item in crops, in the order of the table's columns.
OUTCOME_NAMES = ("matched", "whole_image", "mismatch", "no_detection", "taken", "several", "unusable_crop")
UNKNOWN = "(unknown)"
BARS = ["panel", "value", "rows"]
CUT = ("matched", "whole_image")


def outcome_table(items: list[dict[str, Any]]) -> list[list[Any]]:
    """Rows source, superclass, type, items, one count for each of ``OUTCOME_NAMES``, share of items with a crop.

    Args:
        items: source, superclass, type (null = unknown) and outcome of every labeled item.
    """
    counts: dict[tuple[str, str, str], Counter] = defaultdict(Counter)
    for item in items:
        counts[item["source"], item["superclass"], item["type"] or UNKNOWN][item["outcome"]] += 1
    return [[*key, *_row(outcomes)] for key, outcomes in sorted(counts.items())]


def outcomes_by_superclass(items: list[dict[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """source -> superclass (and ``all``) -> items, outcomes that occur, share of items with a crop."""
    counts: dict[str, dict[str, Counter]] = defaultdict(lambda: defaultdict(Counter))
    for item in items:
        for key in (item["superclass"], "all"):
            counts[item["source"]][key][item["outcome"]] += 1
    return {
        source: {
            key: {"items": outcomes.total(), **outcomes, "share_cut": _share(outcomes)}
            for key, outcomes in rows.items()
        }
        for source, rows in counts.items()
    }


def _row(outcomes: Counter) -> list[Any]:
    return [outcomes.total(), *(outcomes[name] for name in OUTCOME_NAMES), _share(outcomes)]


def _share(outcomes: Counter) -> float:
    return sum(outcomes[name] for name in CUT) / outcomes.total()


def bars(panel: str, values: Mapping[str, Mapping[str, int]]) -> list[list[Any]]:
    """Rows of ``BARS``: panel, value, rows in all groups; the commonest value first.

    Args:
        values: group (a source or a split) -> value -> rows.
    """
    counts: Counter = Counter()
    for own in values.values():
        counts.update(own)
    return [[panel, value, rows] for value, rows in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))]


def value_rows(stages: Mapping[str, Mapping[str, Mapping[str, Mapping[str, int]]]]) -> list[list[Any]]:
    """Rows head, stage, group, value, rows of: head -> stage -> group -> value -> rows."""
    return [
        [head, stage, group, value, rows]
        for head, of_stages in stages.items()
        for stage, groups in of_stages.items()
        for group, values in groups.items()
        for value, rows in sorted(values.items(), key=lambda pair: (-pair[1], pair[0]))
    ]


def majority(values: dict[str, dict[str, int]]) -> dict[str, Any]:
    """The number of classes, the commonest value and its share of the labeled rows of all splits."""
    rows = bars("", values)
    if not rows:
        return {"classes": 0}
    return {"classes": len(rows), "commonest": rows[0][1], "share": rows[0][2] / sum(row[2] for row in rows)}


def read_outcomes(labels: Path, crops: Path) -> list[dict[str, Any]]:
    """Source, superclass, type and outcome of every labeled item of one source."""
    outcomes = read_table(crops / "outcomes.parquet", OUTCOMES).to_pylist()
    by_item = {row["item_id"]: row["outcome"] for row in outcomes}
    rows = read_table(labels / "labels.parquet", LABELS).to_pylist()
    return [{key: row[key] for key in ("source", "superclass", "type")} | {"outcome": by_item[row["item_id"]]}
            for row in rows]  # fmt: skip


def values_by_stage(labels: dict[str, Any], dataset: dict[str, Any], head: str) -> dict[str, dict[str, dict[str, int]]]:
    """Stage of cleaning -> source, or split of the data set -> value of a head -> rows."""
    before, after = ({source: own[head][when] for source, own in labels.items()} for when in ("before", "after"))
    return {"before cleaning": before, "after cleaning": after, "in the data set": dataset["values"][head]}


def main(args: argparse.Namespace, params: SimpleNamespace) -> Report:
    """Collect, check, count, write."""
    sources = sorted(params.label_sources)
    items = [row for name in sources for row in read_outcomes(args.data / "labels" / name, args.data / "crops" / name)]
    labels = {source: read_json(args.data / "labels" / source / "values.json") for source in sources}
    dataset = read_json(args.data / "dataset" / "statistics.json")
    accounts = collect(
        args.data,
        {"ingested": params.sources, "boxes": params.detectors, "labels": sources, "crops": sources},
    )
    ledgers = check_conservation(accounts)
    log.info(f"accounts: {ledgers} ledgers, rows in = rows kept + rows rejected in each")

    report, plots = fresh_folder(args.report), fresh_folder(args.plots)
    write_json(report / "accounts.json", accounts)
    header = ["source", "superclass", "type", "items", *OUTCOME_NAMES, "share_cut"]
    write_csv(report / "matching.csv", header, outcome_table(items))
    stages = {head: values_by_stage(labels, dataset, head) for head in HEADS}
    write_csv(report / "values.csv", ["head", "stage", "group", "value", "rows"], value_rows(stages))
    for head, of_stages in stages.items():
        write_csv(plots / f"{head}.csv", BARS, [row for name in of_stages for row in bars(name, of_stages[name])])
    outcomes = {
        source: {"all": Counter(row["outcome"] for row in items if row["source"] == source)} for source in sources
    }
    write_csv(plots / "outcomes.csv", BARS, [row for source in sources for row in bars(source, outcomes[source])])
    content = {
        "matching": outcomes_by_superclass(items),
        "labeled": dataset["labeled"],
        "coverage": dataset["coverage"],
        "values": {head: majority(dataset["values"][head]) for head in HEADS},
    }
    write_json(report / "statistics.json", content)
    with_crop = sum(row["outcome"] in CUT for row in items)
    metrics = {"items": len(items), "share_cut": with_crop / len(items), "ledgers": ledgers, **totals(accounts)}
    write_json(args.metrics, metrics)
    return Report(metrics=metrics)


STAGE = Stage(
    main,
    ["data", "metrics", "plots", "report"],
    {name: (name, Names) for name in ("sources", "detectors", "label_sources")},
)
