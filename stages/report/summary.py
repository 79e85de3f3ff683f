"""The end of ``make repro``: the metrics as a table, where plots and MLflow are, and the parent run closed.

Usage: python -m stages.run summary [--repro KEY] [--status N] [--markdown | --track]
"""

import os
import sys
from pathlib import Path
from typing import Any

from stages.core.files import read_json
from stages.core.params import load_params, lookup
from stages.report.tracked import Registered, close_parent, track_now
from stages.runner.stage import new_parser, one_message
from stages.runner.tracking import DEFAULT_URI


def read_metrics(folder: Path) -> dict[str, Any]:
    """Content of every metric file below a profile's folder, by its path without suffix."""
    paths = sorted(folder.rglob("*.json"))
    return {path.relative_to(folder).with_suffix("").as_posix(): read_json(path) for path in paths}


def table_rows(files: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """(what, metric, value, baseline): the numbers a person reads first."""
    rows = []
    for name, content in files.items():
        if name.startswith("detector/"):
            base = f"{content['baseline_map50_constant_box']:.3f} constant box"
            rows.append((name, "mAP50", f"{content['map50']:.3f}", base))
            rows.append((name, "mAP50-95", f"{content['map50_95']:.3f}", ""))
        elif name == "classifier":
            groups = {"type_group": content["type_group"]} if "type_group" in content else {}
            for head, scores in (content["heads"] | groups).items():
                if scores["rows"]:
                    beside = [
                        f"{scores['baseline_majority']:.3f} majority",
                        f"{scores['baseline_majority_given_detected']:.3f} given the detected class",
                    ]
                    if "accuracy_with_flip" in scores:
                        beside.append(f"{scores['accuracy_with_flip']:.3f} with flip")
                    rows.append((f"classifier/{head}", "accuracy", f"{scores['accuracy']:.3f}", ", ".join(beside)))
        elif name == "simclr" and content["mean"]:
            mean = content["mean"]
            others = {"simclr_last": "after the last epoch", "imagenet": "imagenet", "untrained": "untrained"}
            beside = [f"{mean[key]:.3f} {name}" for key, name in others.items() if mean[key] is not None]
            beside.append(f"{mean['baseline_majority']:.3f} majority")
            kept = f"k-NN, mean of labels, epoch {content['kept_epoch']} kept"
            rows.append((name, kept, f"{mean['simclr']:.3f}", ", ".join(beside)))
        elif name.startswith("retrieval/"):
            for benchmark, scores in content.items():
                whole, chance = scores["whole_gallery"], scores["chance"]["whole_gallery"]
                for key, shown in (("hit_at_1", "hit@1"), ("hit_at_5", "hit@5"), ("map", "mAP")):
                    if key in whole:
                        beside = [f"{chance[key]:.3f} chance"] if key in chance else []
                        if "flip" in scores:
                            beside.append(f"{scores['flip']['off']['whole_gallery'][key]:.3f} without flip")
                        rows.append((f"{name}/{benchmark}", shown, f"{whole[key]:.3f}", ", ".join(beside)))
    return rows


def as_text(rows: list[tuple[str, str, str, str]], markdown: bool) -> str:
    """The rows under a header, aligned, or as a Markdown table."""
    table = [("what", "metric", "value", "beside it"), *rows]
    widths = [max(len(row[column]) for row in table) for column in range(4)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
    if not markdown:
        return "\n".join(lines)
    lines = ["| " + " | ".join(row) + " |" for row in table]
    return "\n".join([lines[0], "| --- | --- | --- | --- |", *lines[1:]])


def show(registered: Registered | None) -> None:
    """One line about the registered model."""
    if registered:
        current, best = registered["current"], registered["best"]
        print(f"model    {registered['name']}: version {current} is in the work tree, {best} is the best on validation")


def main() -> None:
    """Print, close, and pass the status of the repro on."""
    parser = new_parser(__doc__)
    parser.add_argument("--repro", default="", help="key of the MLflow parent run to close")
    parser.add_argument("--status", type=int, default=0, help="exit status of dvc repro")
    parser.add_argument("--markdown", action="store_true", help="the table as Markdown, nothing else")
    parser.add_argument("--track", action="store_true", help="bring MLflow up to date with the files, nothing else")
    args = parser.parse_args()
    with one_message():
        profile = str(lookup(load_params(), "profile"))
        files = read_metrics(Path("metrics") / profile)
    rows = table_rows(files) if args.status == 0 else []  # after a failure the files may be of several repros
    markdown = as_text(rows, markdown=True)
    if args.markdown:
        print(markdown)
        return
    if args.track:
        show(track_now(profile, markdown))
        return
    registered = close_parent(args.repro, args.status != 0, profile, markdown)
    if args.status == 0:
        print(f"\n{as_text(rows, markdown=False)}\n")
        print(f"metrics  metrics/{profile}/ (dvc metrics diff compares with the last commit)")
        print("plots    dvc plots show, then open dvc_plots/index.html")
        print(f"MLflow   {os.environ.get('MLFLOW_TRACKING_URI', DEFAULT_URI)} (make mlflow shows it)")
        show(registered)
    sys.exit(args.status)
