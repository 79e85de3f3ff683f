"""Switch profiles: ``python -m stages.run use NAME`` composes params.yaml, checks it and writes it.

If params.yaml was edited by hand, the command lists the edits and stops. ``--keep-edits`` keeps them, edits of lists
included; ``--discard-edits`` drops them.

Stages of items that the profile's lists do not name are removed from dvc.lock, and their outs are deleted. Otherwise
DVC would hash these leftover files with the folder of a dependency. Entries of other profiles are removed from dvc.lock
as well; git has them, and their files stay, because every profile has its own folders.
"""

import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stages.core.errors import StageError
from stages.core.files import parse_yaml
from stages.core.params import PARAMS_FILE
from stages.profiles.compose import PROFILES, compose, profile_names, read_profile
from stages.profiles.text import NOTHING, hand_edits, with_edits, write_params
from stages.runner.stage import new_parser, one_message

log = logging.getLogger(__name__)

SHOWN = 12  # edits named in a message


def shown_edits(edits: Mapping[str, tuple[Any, Any]]) -> str:
    """A line for each edit: the key, the value in the file, the composed value."""
    lines = [
        f"  {key}: {'taken out' if value is NOTHING else repr(value)}"
        f" ({'not there' if composed is NOTHING else repr(composed)} was composed)"
        for key, (value, composed) in list(edits.items())[:SHOWN]
    ]
    return "\n".join([*lines, *([f"  and {len(edits) - SHOWN} more"] if len(edits) > SHOWN else [])])


def write_composed(name: str, keep: bool = False, discard: bool = False) -> dict[str, tuple[Any, Any]]:
    """Compose, check and write params.yaml; return the edits by hand that it keeps.

    Raises:
        StageError: unknown profile, params that fail a check, edits that would be lost.
    """
    read_profile(name)  # an unknown name is reported first, before torch is imported
    edits = {} if discard else hand_edits(PARAMS_FILE)
    if edits and not keep:
        raise StageError(
            f"{PARAMS_FILE} was edited by hand:\n{shown_edits(edits)}\n"
            f"Write them into profiles/{name}.yaml, keep them here with --keep-edits (make use PROFILE={name} KEEP=1), "
            f"or drop them with --discard-edits (make use PROFILE={name} DISCARD=1)."
        )
    composed = compose(name)
    content = with_edits(name, edits) if edits else composed
    from stages.profiles.check import check  # imports torch, which --help and refusals do not need

    check(content, PROFILES / f"{name}.yaml")
    write_params(PARAMS_FILE, name, composed, content)
    return edits


def prune_lock(lock: dict[str, Any], stages: set[str]) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """The lock with only ``stages``, and the outs of each removed stage."""
    entries = lock.get("stages") or {}
    gone = {
        name: [out["path"] for out in entry.get("outs", [])] for name, entry in entries.items() if name not in stages
    }
    return {**lock, "stages": {name: entry for name, entry in entries.items() if name in stages}}, gone


def active_stages() -> dict[str, list[Path]]:
    """Stages of dvc.yaml under the active params, and the outs of each, relative to the project."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo() as repo:
            root = Path(repo.root_dir)
            stages = {stage.addressing: stage.outs for stage in repo.index.stages}
            return {name: [Path(out.fs_path).relative_to(root) for out in outs] for name, outs in stages.items()}
    except DvcException as error:
        raise StageError(f"DVC cannot read dvc.yaml under these params: {error}") from None


def leftovers(gone: dict[str, list[str]], profile: str, stages: dict[str, list[Path]]) -> list[Path]:
    """Outs of removed stages in the profile's folders that are neither in an out of a current stage nor around one."""
    own = tuple(f"{area}/{profile}/" for area in ("data", "models", "metrics"))
    made = [out for outs in stages.values() for out in outs]
    paths = [Path(path) for paths in gone.values() for path in paths if path.startswith(own)]
    return [
        path for path in paths if not any(path == out or out in path.parents or path in out.parents for out in made)
    ]


def use(name: str, keep: bool = False, discard: bool = False) -> None:
    """Compose params.yaml, prune the lock, delete leftover outs of the profile.

    Raises:
        StageError: as ``write_composed``.
    """
    edits = write_composed(name, keep, discard)
    # Stages depend on these folders even where no list puts anything into them.
    for folder in (f"data/{name}/annotations", f"data/{name}/boxes", f"models/{name}/detectors"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        if not any(Path(folder).iterdir()):
            (Path(folder) / ".gitkeep").touch()
    lock_file = Path("dvc.lock")
    removed: list[str] = []
    if lock_file.is_file():
        stages = active_stages()
        text = lock_file.read_text(encoding="utf-8")
        gone = prune_lock(parse_yaml(text) or {}, set(stages))[1]
        if gone:  # in DVC's own format, so that nothing else in it changes
            from dvc.utils.serialize import dumps_yaml, parse_yaml_for_update

            lock_file.write_text(dumps_yaml(prune_lock(parse_yaml_for_update(text, lock_file), set(stages))[0]))
        for path in leftovers(gone, name, stages):
            if path.is_dir():
                shutil.rmtree(path)
                removed.append(str(path))
            elif path.exists():
                path.unlink()
                removed.append(str(path))
    kept = f", with your edits:\n{shown_edits(edits)}" if edits else "."
    log.info(
        f"params.yaml is now profile {name}{kept}" + (f" Removed leftovers: {', '.join(removed)}." if removed else "")
    )


def main() -> None:
    """The command."""
    parser = new_parser(__doc__)
    parser.add_argument("name", help=f"a file of profiles/ without .yaml: {', '.join(profile_names())}")
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--keep-edits", action="store_true", help="put edits of params.yaml by hand into the new one")
    choice.add_argument("--discard-edits", action="store_true", help="drop them")
    args = parser.parse_args()
    with one_message():
        use(args.name, args.keep_edits, args.discard_edits)
