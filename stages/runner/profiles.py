"""Switch profiles: ``python -m stages.run use NAME`` copies profiles/NAME.yaml over params.yaml.

dvc.lock keeps entries of items that the lists no longer name, and a folder that a stage depends on would be
hashed with their leftovers: entries of the new profile's stages that its lists do not name are taken out, and
their outs removed. Entries of other profiles go as well: git has them, and every profile has folders of its own.
"""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from stages.core.errors import StageError, shown
from stages.core.files import parse_yaml
from stages.runner.progress import say
from stages.runner.stage import new_parser, one_message

PROFILES = Path("profiles")


def changed_by_hand(params: Path, profiles: Path = PROFILES) -> bool:
    """Whether params.yaml is none of the profiles as committed: copying over it would lose a person's work."""
    if not params.is_file():
        return False
    text = params.read_bytes()
    if any(text == path.read_bytes() for path in profiles.glob("*.yaml")):
        return False
    status = subprocess.run(["git", "status", "--porcelain", str(params)], capture_output=True, text=True, check=False)
    return bool(status.stdout.strip())


def prune_lock(lock: dict[str, Any], stages: set[str]) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """The lock with only ``stages``, and the outs of each stage that went."""
    entries = lock.get("stages") or {}
    gone = {
        name: [out["path"] for out in entry.get("outs", [])] for name, entry in entries.items() if name not in stages
    }
    return {**lock, "stages": {name: entry for name, entry in entries.items() if name in stages}}, gone


def stage_names() -> set[str]:
    """Stages of dvc.yaml under the active params."""
    result = subprocess.run(["dvc", "stage", "list", "--name-only"], capture_output=True, text=True, check=False)
    if result.returncode:
        raise StageError(f"`dvc stage list` failed: {result.stderr.strip()}")
    return set(result.stdout.split())


def use(name: str) -> None:
    """Copy the profile, prune the lock, remove leftovers of its own items.

    Raises:
        StageError: unknown profile, or params.yaml has changes that are in no profile and no commit.
    """
    source = PROFILES / f"{name}.yaml"
    if not source.is_file():
        raise StageError(f"no profile {name!r}; there are: {shown(path.stem for path in PROFILES.glob('*.yaml'))}.")
    params = Path("params.yaml")
    if changed_by_hand(params):
        raise StageError(
            "params.yaml has changes that are neither committed nor a profile. Commit them, save them as "
            "profiles/<name>.yaml, or discard them with `git checkout params.yaml`; then run this again."
        )
    shutil.copyfile(source, params)
    # Folders that stages depend on whether or not a list puts anything into them.
    for folder in (f"data/{name}/annotations", f"data/{name}/boxes", f"models/{name}/detectors"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        if not any(Path(folder).iterdir()):
            (Path(folder) / ".gitkeep").touch()
    lock_file = Path("dvc.lock")
    removed: list[str] = []
    if lock_file.is_file():
        lock, gone = prune_lock(parse_yaml(lock_file.read_text(encoding="utf-8")) or {}, stage_names())
        lock_file.write_text(yaml.safe_dump(lock, sort_keys=False), encoding="utf-8")
        mine = (f"data/{name}/", f"models/{name}/", f"metrics/{name}/")
        for path in (Path(path) for paths in gone.values() for path in paths if path.startswith(mine)):
            if path.is_dir():
                shutil.rmtree(path)
                removed.append(str(path))
            elif path.exists():
                path.unlink()
                removed.append(str(path))
    say(f"params.yaml is now profile {name}." + (f" Removed leftovers: {', '.join(removed)}." if removed else ""))


def main() -> None:
    """The command."""
    parser = new_parser(__doc__)
    parser.add_argument("name", help="a file of profiles/ without .yaml")
    args = parser.parse_args()
    with one_message():
        use(args.name)
