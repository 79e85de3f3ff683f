"""Compose a profile: profiles/base.yaml, what profiles/NAME.yaml changes, and only what its lists name.

Sections with members (``ingest``, ``detector``, ``encoder``, ``benchmark``, ``ablation``) may have ``defaults``, which
every member inherits, and a member may say ``based_on: OTHER``: it then has OTHER's keys, and its own over them. A
profile changes any of these; inheritance is resolved after the profile was laid over the base. A mapping is changed key
by key, a list as a whole. A profile may say ``based_on: own`` as a whole: profiles/own.yaml, what profiles of own data
share, then lies between the base and it.

``classifier.heads: all`` stands for every head of tables/heads.csv.

What follows from the lists is derived here: ``profile``, ``drawn``, ``trained_encoders``, ``trains`` and
``benchmark_reads``.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from stages.core.errors import StageError, shown
from stages.core.heads import HEADS
from stages.core.params import load_params
from stages.runner.lists import DERIVED, LISTS, SECTIONS, derived

PROFILES = Path("profiles")
BASE = "base"
LAYERS = ("own",)  # between the base and a profile that is based on it; no profiles themselves
DEFAULTS, BASED_ON = "defaults", "based_on"
ALL_HEADS = "all"  # instead of a list in classifier.heads

Tree = dict[str, Any]


def profile_names(folder: Path = PROFILES) -> list[str]:
    """The profiles there are, sorted; the base and the layers are none."""
    return sorted(path.stem for path in folder.glob("*.yaml") if path.stem not in (BASE, *LAYERS))


def merged(*trees: Mapping[str, Any]) -> Tree:
    """Later trees over earlier ones: mappings key by key, everything else as a whole."""
    return OmegaConf.to_container(OmegaConf.merge(*[OmegaConf.create(dict(tree)) for tree in trees]))


def read_profile(name: str, folder: Path = PROFILES) -> Tree:
    """The base with the changes of the layer that the profile is based on, and its own, before inheritance is resolved.

    Raises:
        StageError: no such profile or layer, or one of the files is no mapping.
    """
    if name not in profile_names(folder):
        raise StageError(f"no profile {name!r}; there are: {shown(profile_names(folder))}.")
    return over_base(load_params(folder / f"{name}.yaml"), name, folder)


def over_base(profile: Tree, name: str, folder: Path = PROFILES) -> Tree:
    """What a profile says, laid over the base and the layer that it is based on.

    Raises:
        StageError: it is based on what is no layer.
    """
    said = dict(profile)
    layer = said.pop(BASED_ON, None)
    if layer is not None and layer not in LAYERS:
        raise StageError(f"profiles/{name}.yaml: `{BASED_ON}` is {layer!r}; expected one of: {shown(LAYERS)}, or none.")
    return merged(*(load_params(folder / f"{one}.yaml") for one in (BASE, layer) if one), said)


def members(section: str, content: Mapping[str, Any]) -> Tree:
    """Every member of a section with what it inherits.

    Raises:
        StageError: a member is no mapping, is based on one that is not there, or on itself by a circle.
    """
    own = {name: value for name, value in content.items() if name != DEFAULTS}
    if wrong := [name for name, value in own.items() if not isinstance(value, Mapping)]:
        raise StageError(f"profiles: `{section}.{wrong[0]}` is {own[wrong[0]]!r}, expected a mapping of settings.")

    def resolve(name: str, seen: tuple[str, ...]) -> Tree:
        if name in seen:
            raise StageError(f"profiles: `{section}`: {' is based on '.join((*seen, name))}. Break the circle.")
        parent = own[name].get(BASED_ON)
        if parent is not None and parent not in own:
            raise StageError(f"profiles: `{section}.{name}` is based on {parent!r}; {section} has: {shown(own)}.")
        inherited = resolve(parent, (*seen, name)) if parent is not None else content.get(DEFAULTS) or {}
        said = {key: value for key, value in own[name].items() if key != BASED_ON}
        whole = merged(inherited, said)
        return {key: whole[key] for key in (*said, *whole)}  # what it says itself comes first

    return {name: resolve(name, ()) for name in own}


def resolved(name: str, folder: Path = PROFILES) -> Tree:
    """The whole profile, listed or not, with inheritance resolved.

    Raises:
        StageError: as ``read_profile`` and ``members``.
    """
    content = read_profile(name, folder)
    if wrong := [key for key in (*DERIVED, "profile") if key in content]:
        raise StageError(f"profiles/{name}.yaml: {shown(wrong)} follow from the lists; take them out.")
    classifier = content.get("classifier")
    if isinstance(classifier, dict) and classifier.get("heads") == ALL_HEADS:
        classifier["heads"] = list(HEADS)
    return {key: members(key, value) if key in SECTIONS else value for key, value in content.items()}


def compose(name: str, folder: Path = PROFILES, lists: Mapping[str, Any] | None = None) -> Tree:
    """What params.yaml holds under a profile: its settings and lists, and the sections of what they name.

    Args:
        name: of the profile.
        folder: with the base and the profiles.
        lists: entries of lists that differ from the profile's.

    Raises:
        StageError: as ``resolved``; a list is missing or names what has no section.
    """
    content = resolved(name, folder) | dict(lists or {})
    for key in LISTS:
        value = content.get(key)
        if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
            raise StageError(f"profiles/{name}.yaml: `{key}` is {value!r}, expected a list of names.")
        if len(set(value)) < len(value):
            raise StageError(f"profiles/{name}.yaml: `{key}` has a name twice: {shown(value)}.")
    kept = {"profile": name} | {key: value for key, value in content.items() if key not in SECTIONS}
    for section, named in SECTIONS.items():
        wanted = named(content)
        there = content.get(section) or {}
        if lacking := [one for one in wanted if one not in there]:
            raise StageError(
                f"profile {name}: a list names {shown(lacking)}, which `{section}` has not; it has: {shown(there)}. "
                f"Add `{section}.{lacking[0]}` to profiles/{name}.yaml, or take the name off the list."
            )
        if wanted or section == "detector":  # evaluate_detector reads the section even where no detector is listed
            kept[section] = {one: there[one] for one in wanted}
    kept["labels"] = _listed_labels(kept.get("labels"), kept["label_sources"])
    kept |= derived(kept)
    first = ["profile", "raw", *LISTS, *DERIVED]
    return {key: kept[key] for key in (*first, *(key for key in content if key not in first)) if key in kept}


def _listed_labels(labels: Any, sources: list[str]) -> Any:
    """Section ``labels`` with the policies and label tables of the listed sources."""
    if not isinstance(labels, dict):
        return labels  # the checks say what is wrong
    by_source = {
        key: {one: value for one, value in (labels.get(key) or {}).items() if one in sources}
        for key in ("policies", "catalogues")
    }
    return labels | {key: value for key, value in by_source.items() if key in labels}
