"""Print on one screen what ran, ten numbers with their baselines, what changed, and where to look next.

`make repro` ends with it.

Usage: python -m stages.run summary [--repro KEY] [--status N] [--markdown | --track]
"""

import logging
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from stages.core.errors import shown
from stages.core.params import load_params, lookup
from stages.ingest.files import dead_links
from stages.report.finish_tracking import Registered, close_parent, track_now
from stages.report.key_metrics import Numbers, committed_metrics, key_metrics, moved, read_metrics
from stages.runner import times
from stages.runner.stage import new_parser, one_message
from stages.runner.tracking import DEFAULT_URI

log = logging.getLogger(__name__)

MOST_RAN, MOST_CHANGES = 7, 4  # lines of two of the three parts
WIDTH = 100
Row = tuple[str, str, str, str]  # what, metric, value, baseline


def key_metric_rows(numbers: Numbers) -> list[Row]:
    """The key metrics with three digits."""
    return [(row.what, row.metric, f"{row.value:.3f}", row.baseline) for row in key_metrics(numbers)]


def changes(before: Numbers, now: Numbers) -> list[Row]:
    """Numbers that changed, the largest change first: file, key, ``before -> now``, the difference."""
    return [(name, key, f"{old:.3f} -> {new:.3f}", f"{new - old:+.3f}") for name, key, old, new in moved(before, now)]


def ran_lines(ran: Iterable[tuple[str, float]]) -> list[str]:
    """What ran and how long, stages of one name together, the longest first."""
    seconds: dict[str, list[float]] = {}
    for stage, took in ran:
        seconds.setdefault(stage.split("@")[0], []).append(took)
    order = sorted(seconds, key=lambda name: -sum(seconds[name]))
    shown = [(name, len(seconds[name]), sum(seconds[name])) for name in order[:MOST_RAN]]
    if rest := order[MOST_RAN:]:
        shown.append(("others", sum(len(seconds[name]) for name in rest), sum(sum(seconds[name]) for name in rest)))
    if not shown:
        return ["nothing ran: all files are those of dvc.lock"]
    return aligned([(name, f"{count} x" if count > 1 else "", f"{took:.0f} s") for name, count, took in shown])


def aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Rows as lines with aligned columns, cut at ``WIDTH``."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return [line if len(line) <= WIDTH else f"{line[: WIDTH - 3]}..." for line in lines]


def as_markdown(rows: list[Row]) -> str:
    """Rows as a Markdown table."""
    table = [("what", "metric", "value", "baseline"), ("---", "---", "---", "---"), *rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in table)


def screen(ran: list[tuple[str, float]], before: Numbers, now: Numbers, profile: str) -> list[str]:
    """The lines that a repro ends with."""
    moved = changes(before, now)
    lines = ["", "What ran", *ran_lines(ran), "", "Numbers", *aligned(key_metric_rows(now) or [("none yet",)]), ""]
    lines.append(f"Changed since the last commit: {len(moved)} of {sum(map(len, now.values()))} numbers")
    lines += aligned(moved[:MOST_CHANGES]) if moved else []
    uri = os.environ.get("MLFLOW_TRACKING_URI", DEFAULT_URI)
    return [
        *lines,
        "",
        "Look next",
        f"dvc metrics diff                  every change; dvc metrics show metrics/{profile}/retrieval/*.json",
        "dvc plots diff                    curves and matrices of both: open dvc_plots/index.html",
        f"data/{profile}/report".ljust(34) + "by class, by category, every k; pictures of what was found",
        f"make docs, make mlflow            docs/leaderboard.md; runs in {uri}",
    ]


def dead_ends(content: dict[str, Any]) -> list[str]:
    """Why DVC may have stopped without saying what to do: links in the sources' folders that lead nowhere."""
    raw = Path(str(content.get("raw")))
    dead = [path for source in content.get("sources") or [] for path in dead_links(raw / str(source))]
    if not dead:
        return []
    return [
        f"DVC stops at a link that leads nowhere: {shown(dead, 3)}. Remove it, or keep DVC away from it with a line in "
        f".dvcignore: /{dead[0].as_posix()}"
    ]


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
    parser.add_argument("--markdown", action="store_true", help="only print the numbers, as a Markdown table")
    parser.add_argument("--track", action="store_true", help="only bring MLflow up to date with the files")
    args = parser.parse_args()
    with one_message():
        content = load_params()
        profile = str(lookup(content, "profile"))
        folder = Path("metrics") / profile
        now = read_metrics(folder) if args.status == 0 else {}  # after a failure the files may be of several repros
    markdown = as_markdown(key_metric_rows(now))
    if args.markdown:
        print(markdown)
        return
    if args.track:
        show(track_now(profile, markdown))
        return
    registered = close_parent(args.repro, args.status != 0, profile, markdown)
    if args.status == 0:
        ran = [(time.stage, time.end - time.process) for time in times.read(args.repro)]
        print("\n".join(screen(ran, committed_metrics(folder), now, profile)))
        show(registered)
    else:
        for line in dead_ends(content):
            log.error(line)
    sys.exit(args.status)
