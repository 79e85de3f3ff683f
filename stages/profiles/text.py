"""The text of params.yaml: writes composed values for a person to read, and finds values edited by hand.

The first lines name the profile and hold a digest of the composed values. If the values in the file have that digest,
nobody has edited it, even if the profiles have changed since. Otherwise the composed values are needed to tell the
edits. They are the first of these with the digest: the profiles composed now, the record of the last composition
(.work), the committed profiles composed. If none has it, the profiles composed now count.
"""

import subprocess
import tempfile
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from stages.core.errors import StageError, shown
from stages.core.files import digest, parse_yaml
from stages.core.params import load_params
from stages.profiles.compose import BASE, LAYERS, PROFILES, Tree, compose, profile_names
from stages.runner.lists import DERIVED, LISTS, derived
from stages.runner.scores import flatten

RECORD = Path(".work/composed.yaml")
WIDTH, SHORT = 100, 80  # columns of a line, and of a member written on one line
DIGEST_LINE = "# Composed values: "
HEADER = """\
# Profile {name}, composed from profiles/base.yaml and profiles/{name}.yaml: what its lists name.
# Every setting and its reason stand there. Values may be edited here too: `make use PROFILE={name}`
# says which edits it would lose, and keeps them with KEEP=1. Comments are not kept.
"""
NOTHING = object()  # the key is not there


class Plain(yaml.SafeDumper):
    """Writes shared values out instead of using anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        """Ignore aliases of all data."""
        return True


def dumped_short(content: Mapping[str, Any], depth: int = 0) -> str:
    """YAML of a small profile: a mapping of plain settings takes few lines, and no empty lines separate sections."""
    text = ""
    for key, value in content.items():
        start = f"{'  ' * depth}{_flow(key)}:"
        nested = isinstance(value, dict) and any(isinstance(inner, dict) for inner in value.values())
        if nested and len(f"{start} {_flow(value)}") > WIDTH:
            text += f"{start}\n{dumped_short(value, depth + 1)}"
            continue
        lines = textwrap.wrap(
            f"{start} {_flow(value)}", WIDTH, subsequent_indent="  " * depth + "    ", break_long_words=False,
            break_on_hyphens=False,
        )  # fmt: skip
        # Wrapping turns several spaces in a name into one.
        wrapped = "\n".join(lines)
        text += (wrapped if parse_yaml(wrapped) == {key: value} else f"{start} {_flow(value)}") + "\n"
    return text


def dumped(content: Mapping[str, Any]) -> str:
    """YAML of params: one setting a line, lists and short members on one line, an empty line between sections."""
    lines: list[str] = []
    for key, value in content.items():
        lines += ["", *_lines(key, value, 0)] if isinstance(value, dict) else _lines(key, value, 0)
    return "\n".join(lines) + "\n"


def _lines(key: str, value: Any, depth: int) -> list[str]:
    start = f"{'  ' * depth}{_flow(key)}:"
    if isinstance(value, dict) and value:
        short = f"{start} {_flow(value)}"
        if depth and len(short) <= SHORT:
            return [short]
        return [start, *(line for name, inner in value.items() for line in _lines(name, inner, depth + 1))]
    line = f"{start} {_flow(value)}"
    if isinstance(value, list) and len(line) > WIDTH:
        return [start, *(f"{'  ' * depth}- {_flow(item)}" for item in value)]
    return [line]


def _flow(value: Any) -> str:
    style = {"default_flow_style": True, "sort_keys": False, "allow_unicode": True, "width": 10**6}
    text = yaml.dump(value, Dumper=Plain, **style)
    return text.removesuffix("\n").removesuffix("\n...")


def fingerprint(content: Mapping[str, Any]) -> str:
    """Digest of values, as 16 hex digits; the order of keys does not count."""
    return digest(yaml.safe_dump(dict(content), sort_keys=True))[:16]


def params_text(name: str, composed: Mapping[str, Any], edited: Mapping[str, Any] | None = None) -> str:
    """Text of the file: its first lines, then the composed values or, if given, those with kept edits."""
    return f"{HEADER.format(name=name)}{DIGEST_LINE}{fingerprint(composed)}\n\n{dumped(edited or composed)}"


def write_params(path: Path, name: str, composed: Mapping[str, Any], edited: Mapping[str, Any] | None = None) -> None:
    """Write params.yaml, and the record of what was composed."""
    path.write_text(params_text(name, composed, edited), encoding="utf-8")
    RECORD.parent.mkdir(parents=True, exist_ok=True)
    RECORD.write_text(dumped(composed), encoding="utf-8")


def hand_edits(path: Path, folder: Path = PROFILES) -> dict[str, tuple[Any, Any]]:
    """Edits of params.yaml by hand: dotted key -> (edited value, composed value); ``NOTHING`` = key missing.

    Raises:
        StageError: the file is no YAML mapping, or names a profile that does not exist.
    """
    if not path.is_file():
        return {}
    text, content = path.read_text(encoding="utf-8"), load_params(path)
    if content.get("profile") not in profile_names(folder):
        raise StageError(
            f"{path}: its `profile` is none of {shown(profile_names(folder))}, so its edits cannot be found. Save the "
            "file elsewhere, then run this again with --discard-edits (make use DISCARD=1)."
        )
    digests = [line.removeprefix(DIGEST_LINE).strip() for line in text.splitlines() if line.startswith(DIGEST_LINE)]
    if digests and digests[0] == fingerprint(content):
        return {}
    candidates = list(_candidates(content, folder))
    same = [candidate for candidate in candidates if digests and fingerprint(candidate) == digests[0]]
    if not candidates:
        raise StageError(
            f"{path} was edited, and profile {content['profile']} cannot be composed any more: repair it first."
        )
    return differences(content, (same or candidates)[0])


def _candidates(content: Mapping[str, Any], folder: Path) -> Iterator[Tree]:
    """Values that the file may have been composed from: the current profiles, the record, the committed profiles."""
    name = content["profile"]
    with suppress(StageError):
        yield compose(name, folder)
    if RECORD.is_file():
        yield parse_yaml(RECORD.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as committed:
        for file in (BASE, *LAYERS, name):
            show = ["git", "show", f"HEAD:./{folder}/{file}.yaml"]
            done = subprocess.run(show, capture_output=True, text=True, check=False)
            (Path(committed) / f"{file}.yaml").write_text(done.stdout, encoding="utf-8")
        with suppress(StageError):
            yield compose(name, Path(committed))


def differences(edited: Mapping[str, Any], composed: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Dotted key -> (edited value, composed value) where they differ, without values derived from lists."""
    new, old = flatten(dict(edited)), flatten(dict(composed))
    return {
        key: (new.get(key, NOTHING), old.get(key, NOTHING))
        for key in dict.fromkeys([*old, *new])
        if new.get(key, NOTHING) != old.get(key, NOTHING) and key.split(".")[0] not in (*DERIVED, "profile")
    }


def with_edits(name: str, edits: Mapping[str, tuple[Any, Any]], folder: Path = PROFILES) -> Tree:
    """The profile composed with the edited lists, with the edited values and the values derived from both.

    Raises:
        StageError: naming edits that would add or remove a setting.
    """
    content = compose(name, folder, {key: edits[key][0] for key in LISTS if key in edits})
    lost = []
    for key, (value, composed) in edits.items():
        *parents, last = key.split(".")
        inner: Any = content
        for parent in parents:
            inner = inner.get(parent) if isinstance(inner, dict) else None
        present = isinstance(inner, dict) and last in inner
        if value is NOTHING:
            lost += [key] if present else []  # the edited lists may not name it either
        elif present or (isinstance(inner, dict) and composed is NOTHING):
            inner[last] = value
        else:
            lost.append(key)
    if lost:
        raise StageError(
            f"profile {name}: edits of {shown(lost)} cannot be kept: it has no such settings, or they were taken out. "
            "Write them into the profile, or drop all edits with --discard-edits (make use DISCARD=1)."
        )
    return content | derived(content)
