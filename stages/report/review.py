"""Print what a change did to metrics, params, labels and stages, as Markdown for a pull request.

It compares the work tree with a commit, by default ``main``.

Usage: python -m stages.run review [BASE] [--profile NAME]

Reads: metrics/<profile>/, params.yaml, data/relabel.csv and dvc.lock of both, seeds.json as committed at BASE, pictures
in data/<profile>/report/. If params.yaml belongs to another profile on one side, the params of both sides are composed
from profiles/.
"""

import csv
import io
import json
import subprocess
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stages.core.errors import StageError
from stages.core.files import parse_yaml
from stages.core.params import load_params, lookup
from stages.profiles.compose import PROFILES, compose
from stages.report.key_metrics import (
    LEAST_CHANGE,
    Change,
    Numbers,
    committed_metrics,
    files_at,
    key_metrics,
    moved,
    read_metrics,
)
from stages.report.seeds import LEAST, reach, seed_numbers
from stages.runner.scores import flatten
from stages.runner.stage import new_parser, one_message

MOST_CHANGES, MOST_PARAMS, MOST_ITEMS, MOST_NAMES = 8, 6, 3, 8  # rows of tables; items of a stage, names in a line
WIDTH = 48  # characters of a param's value
BEYOND, UNKNOWN, WITHIN = range(3)  # in the order in which they are printed
CAUSES = {
    "new": "new",
    "cmd": "their command changed",
    "params": "their params changed",
    "code": "their code changed",
    "labels": "data/relabel.csv changed",
    "deps": "what earlier stages made changed",
    "outs": "nothing but their outs changed",
}
NOTHING = "–"  # shown if one side has no value
CORRECTIONS = Path("data/relabel.csv")

Stages = Mapping[str, Mapping[str, Any]]  # entries of a dvc.lock


def verdict(change: float, seeds: Sequence[float]) -> tuple[int, str]:
    """Whether a change exceeds the difference of two seeds, as a rank and in words; unknown for fewer than 3 seeds.

    Args:
        seeds: the same number of every seed.
    """
    if len(seeds) < LEAST:
        return UNKNOWN, "no spread"
    ends = reach(seeds)
    return (BEYOND, f"**beyond** ±{ends:.3f}") if abs(change) > ends else (WITHIN, f"within ±{ends:.3f}")


def number(value: float) -> str:
    """A number with three digits; counts without."""
    return f"{value:.0f}" if abs(value) > 1 and value == int(value) else f"{value:.3f}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table, and an empty line after it."""
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in lines] + [""]


def key_metric_lines(before: Numbers, now: Numbers, seeds: Sequence[Numbers], base: str) -> list[str]:
    """A table of the key metrics that changed, and a line with the unchanged ones."""
    old, new = ({(row.what, row.metric): row for row in key_metrics(numbers)} for numbers in (before, now))
    spread = [{(row.what, row.metric): row.value for row in key_metrics(numbers)} for numbers in seeds]
    rows, still = [], []
    for name, row in new.items():
        called, was = " ".join(name), old.get(name)
        if was is None:
            rows.append((UNKNOWN, [called, NOTHING, number(row.value), "new", NOTHING, row.baseline]))
        elif abs(row.value - was.value) < LEAST_CHANGE:
            still.append(f"{called} {number(row.value)}")
        else:
            change = row.value - was.value
            rank, words = verdict(change, [own[name] for own in spread if name in own])
            rows.append((rank, [called, number(was.value), number(row.value), f"{change:+.3f}", words, row.baseline]))
    rows.sort(key=lambda row: row[0])
    header = ["key metric", base, "now", "change", "seeds", "baseline, now"]
    lines = table(header, [row for _, row in rows]) if rows else []
    if gone := [" ".join(name) for name in old if name not in new]:
        lines += [f"Key metrics gone: {_first(gone)}.", ""]
    return [*lines, f"Key metrics unchanged: {'; '.join(still)}.", ""] if still else lines


def change_lines(before: Numbers, now: Numbers, seeds: Sequence[Numbers], base: str) -> list[str]:
    """The number of changes, and a table of the most important: those beyond the seeds first, then the largest."""
    changed, judged = moved(before, now), []
    for change in changed:
        values = [own[change.name][change.key] for own in seeds if change.key in own.get(change.name, {})]
        judged.append((*verdict(change.new - change.old, values), change))
    judged.sort(key=lambda row: row[0])
    count = Counter(rank for rank, _, _ in judged)
    keys = [{(name, key) for name, own in side.items() for key in own} for side in (before, now)]
    summary = f"**{len(changed)} of {len(keys[0] & keys[1])} numbers changed**"
    if changed:
        summary += f": {count[BEYOND]} beyond the spread of the seeds, {count[WITHIN]} within"
        summary += f", {count[UNKNOWN]} without a spread" if count[UNKNOWN] else ""
    more = [f"{len(own)} {how}" for how, own in (("new", keys[1] - keys[0]), ("gone", keys[0] - keys[1])) if own]
    lines = [f"{summary}{''.join(f'; {count}' for count in more)}.", ""]
    if changed:
        lines += table(
            ["number", base, "now", "change", "seeds"],
            [
                [f"{name} {key}", number(old), number(new), f"{new - old:+.3f}", words]
                for _, words, (name, key, old, new) in judged[:MOST_CHANGES]
            ],
        )
    if len(changed) > MOST_CHANGES:
        lines += [f"{len(changed) - MOST_CHANGES} more: `dvc metrics diff {base}`.", ""]
    return lines


def spread_lines(before: Numbers, seeds: Sequence[Numbers], file: Path, base: str) -> list[str]:
    """An explanation of the spread, and whether it was measured on BASE's results."""
    if not seeds:
        return [f"No spread: `{file}` at {base} has none of the metrics. `make seeds` there measures it.", ""]
    known = [
        any(abs(own[name][key] - value) < 2e-6 for own in seeds)
        for name, numbers in before.items()
        for key, value in numbers.items()
        if key in seeds[0].get(name, {})
    ]
    lines = [
        f"±: two runs that differ in their seed alone differ by less, 19 times of 20 ({len(seeds)} seeds, `{file}`)."
    ]
    if strange := known.count(False):
        lines.append(f"It was measured on other results: {strange} of {len(known)} numbers at {base} are of no seed.")
    return [*lines, ""]


def params_at(base: str, profile: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Params of a profile at a commit and now, from params.yaml if both are of the profile, else composed.

    Raises:
        StageError: the profile cannot be composed on one of the sides.
    """
    committed = files_at(base, Path("params.yaml"))
    old, new = parse_yaml(committed.get(Path("params.yaml"), b"{}").decode()) or {}, load_params()
    if old.get("profile") == new.get("profile") == profile:
        return old, new
    with tempfile.TemporaryDirectory() as folder:
        for path, content in files_at(base, PROFILES).items():
            (Path(folder) / path.name).write_bytes(content)
        return compose(profile, Path(folder)), compose(profile)


def params_lines(old: Mapping[str, Any], new: Mapping[str, Any], base: str) -> list[str]:
    """A table of changed params, or of their sections if there are many."""
    sides = [flatten(dict(old)), flatten(dict(new))]
    changed = [key for key in sorted(sides[0] | sides[1]) if _value(sides[0], key) != _value(sides[1], key)]
    if not changed:
        return ["**No param changed.**", ""]
    lines = [f"**{len(changed)} param{'s' * (len(changed) > 1)} changed**", ""]
    if len(changed) <= MOST_PARAMS:
        rows = [[f"`{key}`", *(_short(_value(side, key)) for side in sides)] for key in changed]
        return lines + table(["param", base, "now"], rows)
    groups = Counter(".".join(key.split(".")[: 2 if key.count(".") > 1 else 1]) for key in changed).most_common()
    shown = [[f"`{name}`", str(count)] for name, count in groups[:MOST_PARAMS]]
    lines += table(["section", "params changed"], shown)
    left = f"{len(groups) - MOST_PARAMS} more sections, and all" if len(groups) > MOST_PARAMS else "All"
    return [*lines, f"{left} values: `dvc params diff {base}`.", ""]


def _value(side: Mapping[str, Any], key: str) -> str:
    return json.dumps(side[key], ensure_ascii=False) if key in side else NOTHING


def _short(text: str) -> str:
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 3]}..."


def corrections_lines(before: bytes, now: bytes) -> list[str]:
    """How many corrections of labels by hand are new, changed or gone; no line if the two sides are equal.

    Args:
        before, now: content of data/relabel.csv.
    """
    sides = []
    for content in (before, now):
        rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig", "replace"))))[1:]  # without the header
        sides.append({tuple(row[:3]): row[3] for row in rows if len(row) > 3})
    differ = sorted(key for key in sides[0].keys() | sides[1].keys() if sides[0].get(key) != sides[1].get(key))
    done = []
    for verb, keys in (
        ("corrected", [key for key in differ if key not in sides[0]]),
        ("corrected to another value", [key for key in differ if key in sides[0] and key in sides[1]]),
        ("no longer corrected", [key for key in differ if key not in sides[1]]),
    ):
        if keys:
            counts = Counter(column for _, _, column in keys)
            done.append(f"{len(keys)} {verb} ({', '.join(f'{count} of {name}' for name, count in counts.items())})")
    return [f"**Labels changed by hand**, in `{CORRECTIONS}`: {'; '.join(done)}.", ""] if done else []


def stages_of(lock: bytes, profile: str) -> Stages:
    """The stages in a dvc.lock that write outs of a profile."""
    entries = (parse_yaml(lock.decode()) or {}).get("stages", {})
    return {
        name: entry
        for name, entry in entries.items()
        if any(profile in Path(out["path"]).parts[1:2] for out in entry.get("outs", []))
    }


def cause(old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> str | None:
    """Why a stage ran: the first of ``CAUSES`` that differs in its two lock entries; None when they are equal."""
    if old is None:
        return "new"
    for field in ("cmd", "params"):
        if old.get(field) != new.get(field):
            return field
    hashes = [{dep["path"]: dep.get("md5") for dep in entry.get("deps", [])} for entry in (old, new)]
    if differ := [path for path in hashes[0] | hashes[1] if hashes[0].get(path) != hashes[1].get(path)]:
        if any(path.startswith(("stages", "tables")) for path in differ):
            return "code"
        return "labels" if CORRECTIONS.as_posix() in differ else "deps"
    return "outs" if old.get("outs") != new.get("outs") else None


def stage_lines(before: Stages, now: Stages, base: str) -> list[str]:
    """Stages that ran, by cause."""
    if not before or not now:
        return [f"Which stages ran is not known: `dvc.lock` {'now' if before else f'at {base}'} has none of them.", ""]
    ran = {name: why for name, entry in now.items() if (why := cause(before.get(name), entry))}
    lines = [f"**{len(ran)} of {len(now)} stages ran**"]
    for why, sentence in CAUSES.items():
        items: dict[str, list[str]] = {}
        for name in sorted(name for name in ran if ran[name] == why):
            items.setdefault(name.split("@")[0], []).append(name)
        entries = [
            entry
            for stage, names in items.items()
            for entry in ([f"`{stage}` × {len(names)}"] if len(names) > MOST_ITEMS else [f"`{name}`" for name in names])
        ]
        if entries:
            lines.append(f"- {sentence}: {_first(entries)}")
    if gone := sorted(set(before) - set(now)):
        lines.append(f"- gone: {_first([f'`{name}`' for name in gone])}")
    return [*lines, ""]


def _first(names: Sequence[str]) -> str:
    rest = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"{', '.join(names[:MOST_NAMES])}{rest}"


def pictures(report: Path, changed: Sequence[Change]) -> list[Path]:
    """Pictures of one detector and two encoders, those whose numbers moved most.

    Args:
        report: data/<profile>/report.
    """
    order: dict[tuple[str, str], int] = {}
    for place, change in enumerate(changed):
        if change.name.startswith(("detector/", "retrieval/")):
            order.setdefault((Path(change.name).name, change.key.rpartition(".")[0]), place)
    boxes = {path: (path.stem, "") for path in sorted(report.glob("detector/*.jpg"))}
    galleries = {path: (path.parent.name, path.stem) for path in sorted(report.glob("retrieval/*/*.jpg"))}
    first: dict[str, Path] = {}
    for path in sorted(galleries, key=lambda path: order.get(galleries[path], len(changed))):
        first.setdefault(path.parent.name, path)
    return [*sorted(boxes, key=lambda path: order.get(boxes[path], len(changed)))[:1], *list(first.values())[:2]]


def look_lines(report: Path, changed: Sequence[Change], base: str) -> list[str]:
    """Links to pictures, and the command for plots."""
    paths = pictures(report, changed)
    links = [f"![{' '.join(path.relative_to(report).with_suffix('').parts)}]({path.as_posix()})" for path in paths]
    if not links:
        links = [f"No pictures: `dvc pull {report}` or `make repro` brings them."]
    return [*links, "", f"Plots of both: `dvc plots diff {base}`, then open `dvc_plots/index.html`."]


def review(base: str, profile: str, active: str) -> list[str]:
    """The lines of the review.

    Raises:
        StageError: git does not know BASE, or there are no metrics of the profile.
    """
    asked = ["git", "rev-parse", "--verify", "--quiet", "--short", f"{base}^{{commit}}"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StageError(
            f"BASE is {base!r}: git knows no such commit here. `git fetch`, or name another: `git branch -a`."
        )
    folder = Path("metrics", profile)
    before, now = committed_metrics(folder, base), read_metrics(folder)
    if not now:
        raise StageError(
            f"{folder}: no metrics, so there is nothing to review. `make repro PROFILE={profile}` makes them. Commit "
            f"{folder} next to the demo's at {base} and on your branch, then bring the demo's params.yaml and dvc.lock "
            "back: `git checkout params.yaml dvc.lock`."
        )
    file = folder / "seeds.json"
    seeds = seed_numbers(json.loads(files_at(base, file).get(file, b"{}")))
    lines = [f"### {profile}: {base} ({done.stdout.strip()}) and now", ""]
    if before:
        lines += key_metric_lines(before, now, seeds, base) + change_lines(before, now, seeds, base)
        lines += spread_lines(before, seeds, file, base)
    else:
        lines += [f"{base} has no metrics of {profile}: all numbers are new. Commit {folder} there to compare.", ""]
        lines += key_metric_lines(before, now, seeds, base)
    try:
        lines += params_lines(*params_at(base, profile), base)
    except StageError as error:
        lines += [f"Params are not compared: {error}", ""]
    now_corrected = CORRECTIONS.read_bytes() if CORRECTIONS.is_file() else b""
    lines += corrections_lines(files_at(base, CORRECTIONS).get(CORRECTIONS, b""), now_corrected)
    lock = Path("dvc.lock")
    texts = files_at(base, lock).get(lock, b""), lock.read_bytes() if lock.is_file() else b""
    lines += stage_lines(*(stages_of(text, profile) for text in texts), base)
    plots = look_lines(Path("data", profile, "report"), moved(before, now), base)
    return lines + (plots if profile == active else plots[:-2])


def main() -> None:
    """The command."""
    parser = new_parser(__doc__)
    parser.add_argument(
        "base", nargs="?", default="main", metavar="BASE", help="a commit, branch or tag (default: main)"
    )
    parser.add_argument(
        "--profile", help="name of a profile whose metrics are committed; that of params.yaml by default"
    )
    args = parser.parse_args()
    with one_message():
        active = str(lookup(load_params(), "profile"))
        lines = review(args.base, args.profile or active, active)
    print("\n".join(lines))
