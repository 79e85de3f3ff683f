"""Names that complete a command line of ``seamline``: what each kind of word may be, in a checkout.

Imports stand in the functions, so that a completion answers at once.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

BENCHES = ("stages", "ingest", "retrieval", "simclr", "gallery", "wardrobe", "page", "export", "cluster")  # of bench/
SHELLS = ("bash", "zsh", "fish")
WARDROBE = ("add", "remove", "list", "query")  # what `seamline wardrobe` does


def is_checkout(folder: Path) -> bool:
    """Whether a folder is the root of a checkout of Seamline."""
    return (folder / "dvc.yaml").is_file() and (folder / "stages" / "console.py").is_file()


def params() -> dict[str, Any]:
    """What params.yaml says; empty where there is none that can be read."""
    import yaml

    from stages.core.files import parse_yaml

    try:
        content = parse_yaml(Path("params.yaml").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    return content if isinstance(content, dict) else {}


def profiles() -> list[str]:
    """Names of the profiles."""
    from stages.profiles.compose import profile_names

    return profile_names()


def sections() -> list[str]:
    """Sections of params.yaml whose seeds ``seamline seeds`` can change."""
    from stages.report.seeds import TRAINED

    return list(TRAINED)


def targets() -> list[str]:
    """What DVC can reproduce: each stage, and each of its items as stage@item."""
    from stages.core.files import parse_yaml

    content = params()
    names = []
    for stage, entry in parse_yaml(Path("dvc.yaml").read_text(encoding="utf-8"))["stages"].items():
        lists = [*entry.get("matrix", {}).values(), *([entry["foreach"]] if "foreach" in entry else [])]
        names += [stage, *(f"{stage}@{item}" for key in lists for item in content.get(key.strip("${}"), []))]
    return names


def variants() -> list[str]:
    """Variants of the ablation of the active profile."""
    from stages.core.errors import StageError
    from stages.profiles.compose import resolved

    try:
        return list(resolved(str(params().get("profile")))["ablation"])
    except (StageError, KeyError):
        return []


# What a word of the command line may be -> the names that complete it.
NAMES: dict[str, Callable[[], Sequence[str]]] = {
    "profile": profiles,
    "section": sections,
    "target": targets,
    "bench": lambda: BENCHES,
    "shell": lambda: SHELLS,
    "wardrobe": lambda: WARDROBE,
    "source": lambda: params().get("sources", []),
    "detector": lambda: params().get("detectors", []),
    "benchmark": lambda: params().get("benchmarks", []),
    "encoder": lambda: params().get("encoders", []),
    "variant": variants,
}
