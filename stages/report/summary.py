"""The end of ``make repro``, one screen: what ran, ten numbers with their baselines, what changed, where to look next.

Usage: python -m stages.run summary [--repro KEY] [--status N] [--markdown | --track]
"""

import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import fmean

from stages.core.files import read_json
from stages.core.params import load_params, lookup
from stages.report.tracked import Registered, close_parent, track_now
from stages.runner import times
from stages.runner.scores import flatten
from stages.runner.stage import new_parser, one_message
from stages.runner.tracking import DEFAULT_URI

MOST_RAN, MOST_NUMBERS, MOST_CHANGES = 7, 10, 4  # lines of the three parts
WIDTH = 100
NOT_METRICS = ("external/", "seeds", "ablation")  # written by commands, not by stages of every repro
LEAST_CHANGE = 5e-4  # what three digits show
Numbers = dict[str, dict[str, float]]  # metric file -> key -> number
Row = tuple[str, str, str, str]  # what, metric, value, beside it


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


def committed_metrics(folder: Path) -> Numbers:
    """The metrics of a profile in the last commit; empty without one."""
    done = subprocess.run(["git", "archive", "HEAD", folder.as_posix()], capture_output=True, check=False)
    if done.returncode:
        return {}
    files = {}
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        for member in archive:
            path, stream = Path(member.name), archive.extractfile(member)
            if path.suffix == ".json" and stream is not None:
                files[path.relative_to(folder).with_suffix("").as_posix()] = json.loads(stream.read())
    return numbers_of(files)


def headline_rows(numbers: Numbers) -> list[Row]:
    """The numbers a person reads first, each next to what it has to beat; at most ``MOST_NUMBERS``."""
    rows: list[Row] = []
    detectors = [own for name, own in numbers.items() if name.startswith("detector/")]
    if detectors:
        value, base = (fmean(own[key] for own in detectors) for key in ("map50", "constant_box"))
        rows.append(("detectors", "mean mAP50", f"{value:.3f}", f"{base:.3f} a constant box"))
    accuracy, given = (numbers.get(f"classifier/{name}", {}) for name in ("accuracy", "given_class"))
    for head in ("mean", "type_group"):
        if head in accuracy:
            called = "mean of heads" if head == "mean" else "types' groups"
            beside = f"{given[head]:.3f} commonest label of the detected class"
            rows.append(("classifier", f"accuracy, {called}", f"{accuracy[head]:.3f}", beside))
    simclr = numbers.get("simclr", {})
    if "kept" in simclr:
        beside = ", ".join(f"{simclr[name]:.3f} {name}" for name in ("imagenet", "untrained") if name in simclr)
        rows.append(("SimCLR", "k-NN, mean of labels", f"{simclr['kept']:.3f}", beside))
    rows += [row for folder in ("retrieval/", "retrieval/labels/") for row in _retrieval_rows(numbers, folder)]
    return rows[:MOST_NUMBERS]


def _retrieval_rows(numbers: Numbers, folder: str) -> list[Row]:
    encoders = {Path(name).name: own for name, own in numbers.items() if f"{Path(name).parent}/" == folder}
    chance = encoders.pop("chance", {})
    rows = []
    for key in sorted(chance):
        hits = {name: own[key] for name, own in encoders.items() if key in own}
        if hits:
            best = max(hits, key=lambda name: hits[name])
            benchmark, _, metric = key.rpartition(".")
            rows.append(
                (benchmark, metric, f"{hits[best]:.3f}", f"{best}, best of {len(hits)}; {chance[key]:.3f} chance")
            )
    return rows


def changes(before: Numbers, now: Numbers) -> list[Row]:
    """Numbers that moved, the largest change first: file, key, ``before -> now``, the difference."""
    moved = [
        (abs(own[key] - old), name, key, old, own[key])
        for name, own in now.items()
        for key in sorted(own)
        if (old := before.get(name, {}).get(key)) is not None and abs(own[key] - old) >= LEAST_CHANGE
    ]
    moved.sort(key=lambda one: (-one[0] / max(abs(one[3]), abs(one[4]), 1), one[1], one[2]))
    return [(name, key, f"{old:.3f} -> {new:.3f}", f"{new - old:+.3f}") for _, name, key, old, new in moved]


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


def aligned(rows: list[tuple[str, ...]]) -> list[str]:
    """Rows as lines with aligned columns, cut at ``WIDTH``."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return [line if len(line) <= WIDTH else f"{line[: WIDTH - 3]}..." for line in lines]


def as_markdown(rows: list[Row]) -> str:
    """Headline rows as a Markdown table."""
    table = [("what", "metric", "value", "beside it"), ("---", "---", "---", "---"), *rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in table)


def screen(ran: list[tuple[str, float]], before: Numbers, now: Numbers, profile: str) -> list[str]:
    """The lines that a repro ends with."""
    moved = changes(before, now)
    lines = ["", "What ran", *ran_lines(ran), "", "Numbers", *aligned(headline_rows(now) or [("none yet",)]), ""]
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
    parser.add_argument("--markdown", action="store_true", help="the numbers as a Markdown table, nothing else")
    parser.add_argument("--track", action="store_true", help="bring MLflow up to date with the files, nothing else")
    args = parser.parse_args()
    with one_message():
        profile = str(lookup(load_params(), "profile"))
        folder = Path("metrics") / profile
        now = read_metrics(folder) if args.status == 0 else {}  # after a failure the files may be of several repros
    markdown = as_markdown(headline_rows(now))
    if args.markdown:
        print(markdown)
        return
    if args.track:
        show(track_now(profile, markdown))
        return
    registered = close_parent(args.repro, args.status != 0, profile, markdown)
    if args.status == 0:
        print("\n".join(screen(times.read(args.repro), committed_metrics(folder), now, profile)))
        show(registered)
        times.forget()
    sys.exit(args.status)
