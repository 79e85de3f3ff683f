"""params.yaml as text: composed values for a person to read, and hand edits told from composed values.

The first lines name the profile and carry a digest of the composed values. While the values in the file have that
digest, nobody has edited it, whatever has become of the profiles meanwhile. Otherwise the values that were composed
are looked for: in the record of the last composition (.work), then by composing again, from the profiles as they are
and as they are committed. In a fresh clone the last two find them; where nothing does, the profiles as they are count.
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
WIDTH, SHORT = 100, 80  # columns of a line, and of a member that stands on one
DIGEST_LINE = "# Composed values: "
HEADER = """\
# Profile {name}, composed from profiles/base.yaml and profiles/{name}.yaml: what its lists name.
# Every setting and its reason stand there. Values may be edited here too: `make use PROFILE={name}`
# says which edits it would lose, and keeps them with KEEP=1. Comments are not kept.
"""
NOTHING = object()  # the key is not there


class Plain(yaml.SafeDumper):
    """No anchors: shared values are written out."""

    def ignore_aliases(self, data: Any) -> bool:
        """Always."""
        return True


def dumped_short(content: Mapping[str, Any], depth: int = 0) -> str:
    """YAML of a small profile: a mapping of plain settings takes as few lines as it can, and no section is apart."""
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
        # Spaces in a name may be more than one; a line break would make them one.
        wrapped = "\n".join(lines)
        text += (wrapped if parse_yaml(wrapped) == {key: value} else f"{start} {_flow(value)}") + "\n"
    return text


def dumped(content: Mapping[str, Any]) -> str:
    """YAML of params: a setting a line, lists and short members on one line, sections apart."""
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


def params_text(name: str, composed: Mapping[str, Any], kept: Mapping[str, Any] | None = None) -> str:
    """The file: its first lines, and the composed values or those with kept edits."""
    return f"{HEADER.format(name=name)}{DIGEST_LINE}{fingerprint(composed)}\n\n{dumped(kept or composed)}"


def write_params(path: Path, name: str, composed: Mapping[str, Any], kept: Mapping[str, Any] | None = None) -> None:
    """Write params.yaml, and the record of what was composed."""
    path.write_text(params_text(name, composed, kept), encoding="utf-8")
    RECORD.parent.mkdir(parents=True, exist_ok=True)
    RECORD.write_text(dumped(composed), encoding="utf-8")


def hand_edits(path: Path, folder: Path = PROFILES) -> dict[str, tuple[Any, Any]]:
    """What a person has changed in params.yaml: dotted key -> value there, value composed (``NOTHING`` = not there).

    Raises:
        StageError: the file is no YAML mapping, or names no profile that is there.
    """
    if not path.is_file():
        return {}
    text, content = path.read_text(encoding="utf-8"), load_params(path)
    if content.get("profile") not in profile_names(folder):
        raise StageError(
            f"{path}: its `profile` is none of {shown(profile_names(folder))}, so its edits cannot be told. Save the "
            "file elsewhere, then run this again with --discard-edits (make use DISCARD=1)."
        )
    digests = [line.removeprefix(DIGEST_LINE).strip() for line in text.splitlines() if line.startswith(DIGEST_LINE)]
    if digests and digests[0] == fingerprint(content):
        return {}
    candidates = list(_candidates(content, folder))
    same = [candidate for candidate in candidates if digests and fingerprint(candidate) == digests[0]]
    if not candidates:
        raise StageError(
            f"{path} was edited, and profile {content['profile']} does not compose any more: mend it first."
        )
    return differences(content, (same or candidates)[0])


def _candidates(content: Mapping[str, Any], folder: Path) -> Iterator[Tree]:
    """Values that the file may have been composed of: as the profiles are, as recorded, as committed."""
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
    """Dotted key -> value there, value composed, where they differ; what is derived from lists does not count."""
    new, old = flatten(dict(edited)), flatten(dict(composed))
    return {
        key: (new.get(key, NOTHING), old.get(key, NOTHING))
        for key in dict.fromkeys([*old, *new])
        if new.get(key, NOTHING) != old.get(key, NOTHING) and key.split(".")[0] not in (*DERIVED, "profile")
    }


def with_edits(name: str, edits: Mapping[str, tuple[Any, Any]], folder: Path = PROFILES) -> Tree:
    """The profile composed with the edited lists, with the edited values in it, and with what follows from both.

    Raises:
        StageError: naming edits of settings that these params do not have, or that took a setting out.
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
            lost += [key] if present else []  # a list may have taken it out
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
