"""The metrics of the active profile as one flat table, as ``make repro`` prints it at its end.

Reads: metrics/<profile>/**/*.json. Writes: nothing.
"""

from pathlib import Path
from typing import Any

from stages.core.files import read_json
from stages.core.params import load_params, lookup


def flat_numbers(content: Any, prefix: str = "") -> dict[str, float]:
    """Every number in nested dicts, under its path joined by dots."""
    if isinstance(content, bool):
        return {}
    if isinstance(content, (int, float)):
        return {prefix.rstrip("."): float(content)}
    if isinstance(content, dict):
        return {
            name: value for key in content for name, value in flat_numbers(content[key], f"{prefix}{key}.").items()
        }
    return {}


def final_metrics(folder: Path | None = None) -> dict[str, float]:
    """Numbers of all metric files of the active profile, named ``file.key.key``; characters MLflow takes."""
    folder = folder or Path("metrics") / str(lookup(load_params(), "profile"))
    numbers: dict[str, float] = {}
    for path in sorted(folder.rglob("*.json")):
        name = path.relative_to(folder).with_suffix("").as_posix().replace("/", ".")
        if name != "accounts":
            numbers |= flat_numbers(read_json(path), f"{name}.")
    return {key.replace("@", "_at_"): value for key, value in numbers.items()}
