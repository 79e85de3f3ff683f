"""Compare a reproduction with what is committed: dvc.lock and metrics/, by the rule of CONTRIBUTING.md.

Usage: python .ci/compare.py REPRODUCED_FOLDER      compare it with the checkout this file is in
       python .ci/compare.py --record               write down the CPU that made dvc.lock

Equal bytes pass. Where they differ, the CPU decides: on the CPU that made the lock nothing may differ. On another
one, outs of stages that train (and of stages after them) may differ, if every metric is within TOLERANCE of the
committed one; that is said loudly. Commands, params and the hashes of code must be equal everywhere.
"""

import json
import platform
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
RECORD = ROOT / ".ci" / "lock-cpu.json"
TOLERANCE = 0.2  # of scores in [0, 1]: another rounding acts as another seed, and a benchmark has 32 to 160 queries
CHOSEN = "epoch"  # the epoch that a training keeps is no score: curves are flat, and any may be best
SHOWN = 12  # names that a line shows
EXACT = ("demo", "ingest", "boxes", "labels")  # nothing is trained before these


def cpu() -> dict[str, str]:
    """What tells one CPU model from another."""
    wanted = ("vendor_id", "cpu family", "model", "model name", "stepping")
    found = {"machine": platform.machine()}
    info = Path("/proc/cpuinfo")
    for line in info.read_text().splitlines() if info.is_file() else []:
        key, _, value = line.partition(":")
        if key.strip() in wanted:
            found.setdefault(key.strip(), value.strip())
    return found


def numbers(content: Any, prefix: str = "") -> dict[str, float]:
    """Every number in nested dicts."""
    if isinstance(content, dict):
        return {name: value for key in content for name, value in numbers(content[key], f"{prefix}/{key}").items()}
    return {prefix: float(content)} if isinstance(content, (int, float)) else {}


def differing_stages(committed: Path, reproduced: Path) -> list[str]:
    """Stages whose entries in dvc.lock differ, whatever the order of keys."""
    locks = [yaml.safe_load((folder / "dvc.lock").read_text())["stages"] for folder in (committed, reproduced)]
    return sorted(name for name in locks[0] | locks[1] if locks[0].get(name) != locks[1].get(name))


def other_recipe(committed: Path, reproduced: Path) -> list[str]:
    """Stages whose command, params or code differ: the lock was not made from this code."""

    def recipe(entry: dict[str, Any]) -> Any:
        code = [dep for dep in entry.get("deps", []) if dep["path"].startswith(("stages", "tables"))]
        return entry["cmd"], entry.get("params"), code

    locks = [yaml.safe_load((folder / "dvc.lock").read_text())["stages"] for folder in (committed, reproduced)]
    names = locks[0] | locks[1]
    return sorted(
        name
        for name in names
        if any(name not in lock for lock in locks) or recipe(locks[0][name]) != recipe(locks[1][name])
    )


def differing_files(committed: Path, reproduced: Path) -> list[str]:
    """Files of metrics/demo that differ or exist on one side only."""
    folders = [folder / "metrics" / "demo" for folder in (committed, reproduced)]
    names = {path.relative_to(folder) for folder in folders for path in folder.rglob("*") if path.is_file()}
    return sorted(
        str(name)
        for name in names
        if not all((folder / name).is_file() for folder in folders)
        or (folders[0] / name).read_bytes() != (folders[1] / name).read_bytes()
    )


def beyond_tolerance(committed: Path, reproduced: Path, files: list[str]) -> list[str]:
    """Numbers of metric files that moved by more than TOLERANCE (counts: by more than that share)."""
    lines = []
    for name in (name for name in files if name.endswith(".json")):
        pair = [folder / "metrics" / "demo" / name for folder in (committed, reproduced)]
        if not all(path.is_file() for path in pair):
            lines.append(f"{name}: only on one side")
            continue
        old, new = (numbers(json.loads(path.read_text())) for path in pair)
        for key in sorted(old | new):
            if key.endswith(f"/{CHOSEN}") and key in old and key in new:
                continue
            if key not in old or key not in new or abs(old[key] - new[key]) > TOLERANCE * max(1.0, abs(old[key])):
                lines.append(f"{name}{key}: committed {old.get(key)}, reproduced {new.get(key)}")
    return lines


def shown(names: list[str]) -> str:
    """The first names of a list."""
    return ", ".join(names[:SHOWN]) + (f", ... and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def main() -> int:
    """0 when the reproduction passes."""
    if sys.argv[1:] == ["--record"]:
        RECORD.write_text(json.dumps(cpu(), indent=2, sort_keys=True) + "\n")
        return 0
    reproduced = Path(sys.argv[1])
    stages, files = differing_stages(ROOT, reproduced), differing_files(ROOT, reproduced)
    if not stages and not files:
        print("reproduction: dvc.lock and metrics/demo are equal to the committed ones")
        return 0
    print("reproduction DIFFERS")
    print(f"  {len(stages)} stages in dvc.lock: {shown(stages)}\n  {len(files)} files in metrics/demo: {shown(files)}")
    if not RECORD.is_file() or json.loads(RECORD.read_text()) == cpu():
        print("This is the CPU model that made dvc.lock, so the bytes must be equal. If code, params or packages")
        print("changed, run `make lock` and commit dvc.lock, metrics/ and .ci/lock-cpu.json with the change.")
        return 1
    problems = [
        f"stage {name}: the lock was made from other code, params or command" for name in other_recipe(ROOT, reproduced)
    ]
    problems += [
        f"stage {name} trains nothing and must be equal everywhere" for name in stages if name.split("@")[0] in EXACT
    ]
    problems += beyond_tolerance(ROOT, reproduced, files)
    for line in problems[:SHOWN]:
        print(f"  FAILED {line}")
    if len(problems) > SHOWN:
        print(f"  ... and {len(problems) - SHOWN} more")
    if not problems:
        print(f"WARNING: another CPU model made dvc.lock; every metric is within {TOLERANCE} of the committed one.")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
