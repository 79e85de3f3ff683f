"""One table of all trained variants of the classifier.

Reads:  <results>/<variant>.json of every name in the list ``ablation_variants``.
Writes: <out>.csv (a line a variant) and <out>.json (the same): the published mean, then validation accuracies, the
        mean over heads first, each with the accuracy of the majority label.
Params: ablation_variants (the list).
"""

import argparse
import csv
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from stages.core.errors import StageError
from stages.core.files import read_json, write_csv, write_json
from stages.core.params import Names
from stages.runner.stage import Report, Stage

log = logging.getLogger(__name__)

Row = dict[str, float]  # column -> number; missing numbers are left out


def table_row(content: dict[str, Any]) -> Row:
    """The columns of one variant: the mean, then each head that has validation rows, each with its majority."""
    key = "published_mean_accuracy"
    row: Row = {"published": content[key]} if key in content else {}
    row |= {"mean": content["mean"]["accuracy"], "mean_majority": content["mean"]["baseline_majority"]}
    for head, scores in [*content["heads"].items(), ("type_group", content.get("type_group", {"rows": 0}))]:
        if scores["rows"]:
            row[head], row[f"{head}_majority"] = scores["accuracy"], scores["baseline_majority"]
    return row


def read_rows(path: Path) -> dict[str, Row]:
    """Rows of a table file by variant, in the order of the file; empty cells are left out."""
    with path.open(newline="", encoding="utf-8") as stream:
        lines = list(csv.DictReader(stream))
    return {
        line["variant"]: {key: float(cell) for key, cell in line.items() if cell and key != "variant"} for line in lines
    }


def as_text(rows: dict[str, Row]) -> str:
    """The table for a person: a cell is ``accuracy (majority)``."""
    heads = [key for row in rows.values() for key in row if not key.endswith("_majority") and key != "published"]
    heads = list(dict.fromkeys(heads))
    lines = [["variant", "published mean", *heads]]
    for name, row in rows.items():
        cells = [f"{row[head]:.3f} ({row[f'{head}_majority']:.3f})" if head in row else "" for head in heads]
        published = row.get("published")
        lines.append([name, "" if published is None else f"{published:.2f}", *cells])
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def main(args: argparse.Namespace, params: SimpleNamespace) -> Report:
    """Read, join, write."""
    names = params.variants
    if not names:
        raise StageError("params.yaml: `ablation_variants` is empty. List variants in it, or run `make ablation`.")
    rows = {name: table_row(read_json(args.results / f"{name}.json")) for name in names}
    columns = list(dict.fromkeys(key for row in rows.values() for key in row))
    lines = [[name, *[row.get(column) for column in columns]] for name, row in rows.items()]
    write_csv(Path(f"{args.out}.csv"), ["variant", *columns], lines)
    write_json(Path(f"{args.out}.json"), rows)
    log.info(f"ablation: {len(rows)} variants in {args.out}.csv")
    return Report(metrics={f"{name}_val_mean_accuracy": row["mean"] for name, row in rows.items()})


STAGE = Stage(main, ["table", "results", "out"], {"variants": ("ablation_variants", Names)})
