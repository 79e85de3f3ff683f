"""Compose a profile: profiles/base.yaml with the changes of profiles/NAME.yaml, and only the sections its lists name.

Sections with members (``ingest``, ``detector``, ``encoder``, ``benchmark``, ``ablation``) may have ``defaults``, which
every member inherits. A member with ``based_on: OTHER`` inherits the keys of OTHER and overrides them with its own. A
profile may change any of these; inheritance is resolved after the profile is merged into the base. Mappings are merged
key by key, lists replaced as a whole. A whole profile may be ``based_on: own``: profiles/own.yaml, which holds what
profiles of own data share, is then merged between the base and the profile.

``classifier.heads: all`` stands for every head of tables/heads.csv.

Values that follow from the lists are derived: ``profile``, ``drawn``, ``salient_sources``, ``crop_boxes``,
``box_reads``, ``trained_encoders``, ``trains`` and ``benchmark_reads``.
"""

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from stages.core.errors import StageError, shown
from stages.core.heads import HEADS
from stages.core.params import load_params
from stages.runner.lists import DERIVED, LISTS, SECTIONS, derived

PROFILES = Path("profiles")
BASE = "base"
LAYERS = ("own",)  # merged between the base and a profile that is based on them; no profiles of their own
DEFAULTS, BASED_ON = "defaults", "based_on"
ALL_HEADS = "all"  # instead of a list in classifier.heads

Tree = dict[str, Any]


def profile_names(folder: Path = PROFILES) -> list[str]:
    """The names of all profiles, sorted, without the base and the layers."""
    return sorted(path.stem for path in folder.glob("*.yaml") if path.stem not in (BASE, *LAYERS))


def merged(*trees: Mapping[str, Any]) -> Tree:
    """Merge trees, later ones over earlier ones: mappings key by key, other values as a whole.

    The result shares nothing with the trees. (``OmegaConf.merge`` gives the same, far more slowly.)
    """
    result: Tree = {}
    for tree in trees:
        for key, value in tree.items():
            if isinstance(value, Mapping):
                below = result.get(key)
                result[key] = merged(below if isinstance(below, Mapping) else {}, value)
            else:
                result[key] = deepcopy(value)
    return result


def read_profile(name: str, folder: Path = PROFILES) -> Tree:
    """The base merged with the profile's layer and the profile, before inheritance is resolved.

    Raises:
        StageError: the profile or its layer does not exist, or one of the files is no mapping.
    """
    if name not in profile_names(folder):
        raise StageError(f"no profile {name!r}; there are: {shown(profile_names(folder))}.")
    return over_base(load_params(folder / f"{name}.yaml"), name, folder)


def over_base(profile: Tree, name: str, folder: Path = PROFILES) -> Tree:
    """Content of a profile, merged over the base and the layer that it is based on.

    Raises:
        StageError: ``based_on`` names no layer.
    """
    settings = dict(profile)
    layer = settings.pop(BASED_ON, None)
    if layer is not None and layer not in LAYERS:
        raise StageError(f"profiles/{name}.yaml: `{BASED_ON}` is {layer!r}; expected one of: {shown(LAYERS)}, or none.")
    return merged(*(load_params(folder / f"{file}.yaml") for file in (BASE, layer) if file), settings)


def members(section: str, content: Mapping[str, Any]) -> Tree:
    """Every member of a section with the settings that it inherits.

    Raises:
        StageError: a member is no mapping, is based on a missing member, or on itself by a circle.
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
        settings = {key: value for key, value in own[name].items() if key != BASED_ON}
        resolved = merged(inherited, settings)
        return {key: resolved[key] for key in (*settings, *resolved)}  # its own keys come first

    return {name: resolve(name, ()) for name in own}


def resolved(name: str, folder: Path = PROFILES) -> Tree:
    """The whole profile with inheritance resolved, also of members that no list names.

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
    """Content of params.yaml for a profile: its settings, its lists, and the sections that the lists name.

    Args:
        name: of the profile.
        folder: of the base and the profiles.
        lists: lists that replace those of the profile.

    Raises:
        StageError: as ``resolved``; a list is missing, or names something that has no section.
    """
    content = resolved(name, folder) | dict(lists or {})
    for key in LISTS:
        value = content.get(key)
        if not isinstance(value, list) or not all(isinstance(member, str) and member for member in value):
            raise StageError(f"profiles/{name}.yaml: `{key}` is {value!r}, expected a list of names.")
        if len(set(value)) < len(value):
            raise StageError(f"profiles/{name}.yaml: `{key}` has a name twice: {shown(value)}.")
    kept = {"profile": name} | {key: value for key, value in content.items() if key not in SECTIONS}
    for section, named in SECTIONS.items():
        wanted = named(content)
        members = content.get(section) or {}
        if lacking := [member for member in wanted if member not in members]:
            raise StageError(
                f"profile {name}: a list names {shown(lacking)}, which `{section}` has not; it has: {shown(members)}. "
                f"Add `{section}.{lacking[0]}` to profiles/{name}.yaml, or take the name off the list."
            )
        if wanted or section == "detector":  # evaluate_detector reads the section even where no detector is listed
            kept[section] = {member: members[member] for member in wanted}
    kept["labels"] = _listed_labels(kept.get("labels"), kept["label_sources"])
    kept |= derived(kept)
    first = ["profile", "raw", *LISTS, *DERIVED]
    return {key: kept[key] for key in (*first, *(key for key in content if key not in first)) if key in kept}


def _listed_labels(labels: Any, sources: list[str]) -> Any:
    """Section ``labels`` with the policies and label tables of the listed sources."""
    if not isinstance(labels, dict):
        return labels  # check.py reports it
    by_source = {
        key: {source: value for source, value in (labels.get(key) or {}).items() if source in sources}
        for key in ("policies", "catalogues")
    }
    return labels | {key: value for key, value in by_source.items() if key in labels}
