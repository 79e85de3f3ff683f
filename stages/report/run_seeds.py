"""Run the pipeline with several training seeds: ``make seeds [SEEDS="0 1 2"] [ONLY=encoder] [PROFILE=name] [KEEP=1]``.

Usage: python -m stages.run run_seeds SEED SEED SEED ... [--only SECTION ...] [--profile NAME] [--keep]
       python -m stages.run run_seeds --markdown [--only SECTION ...] [--profile NAME]     prints the measured table

Each seed runs in ``.work/seeds/<profile>-<seed>``: a copy of the work tree (tracked and new files, with uncommitted
changes) that uses the project's DVC cache, and whose params.yaml has the seed in all sections that train (seeds.py).
Results that do not depend on a seed come from the cache, and repeated ones from the run cache. The project's own
params.yaml, dvc.lock, data and models do not change. Tracking is off in these trees. `dvc exp run --queue` would create
the trees as well, but not resume, collect or clean up.

Writes metrics/<profile>/seeds.json. An interrupted run resumes when it is started again. The tree of a finished seed
keeps its dvc.lock and metrics; its data and models are deleted (DVC's cache has them) unless KEEP=1.
"""

import configparser
import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stages.core.errors import StageError, shown
from stages.core.files import parse_yaml, read_json, write_json
from stages.core.params import load_params, lookup
from stages.profiles.compose import compose, profile_names
from stages.profiles.text import dumped
from stages.report.key_metrics import Numbers, read_metrics
from stages.report.seeds import LEAST, TRAINED, as_markdown, claims, metrics_spread, spread, with_seed
from stages.runner.stage import new_parser, one_message

log = logging.getLogger(__name__)

TREES = Path(".work/seeds")
OWN = ("dvc.lock", "metrics", "data", "models", ".work", ".dvc")  # files of a tree that stay when code is copied again
BULK = ("data", "models", ".work")  # deleted when a seed has finished


def run(*command: str, cwd: Path, env: dict[str, str] | None = None) -> str:
    """Output of a command.

    Raises:
        StageError: it fails.
    """
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StageError(f"`{' '.join(command)}` failed in {cwd}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def copy_tree(root: Path, tree: Path) -> None:
    """Copy the files that git tracks, or would track, into ``tree``; files deleted at the root are deleted there.

    A tree from an earlier run keeps its own dvc.lock and metrics, which belong together.
    """
    names = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=root).split("\0")
    ran = (tree / "dvc.lock").is_file()
    tree.mkdir(parents=True, exist_ok=True)
    for old in tree.iterdir():
        if old.name not in OWN:
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    for name in filter(None, names):
        if not (root / name).is_file() or (ran and name.split("/")[0] in ("dvc.lock", "metrics")):
            continue
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / name, tree / name)


def link_inputs(root: Path, tree: Path) -> None:
    """Link files that neither git nor a stage provides: the downloads below data/raw, and downloaded weights."""
    weights = root / ".work" / "weights"
    weights.mkdir(parents=True, exist_ok=True)
    sources = [*(root / "data" / "raw").glob("*"), weights]
    for source in sources:
        place = tree / source.relative_to(root)
        if source.is_dir() and not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(source, target_is_directory=True)


def configure(root: Path, tree: Path) -> None:
    """Use the project's DVC settings and its cache, without git, as the tree is inside the project's repository."""
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(root / ".dvc" / "config.local", encoding="utf-8")
    cache = root / run("dvc", "cache", "dir", cwd=root).strip()
    settings.read_dict({"core": {"no_scm": "true"}, "cache": {"dir": str(cache.resolve())}})
    with (tree / ".dvc" / "config.local").open("w", encoding="utf-8") as stream:
        settings.write(stream)


def prepare(root: Path, tree: Path, profile: str | None, seed: int, sections: Sequence[str]) -> None:
    """Prepare a tree in which `dvc repro` trains with ``seed`` in ``sections`` of params.yaml."""
    fresh = not (tree / "dvc.lock").is_file()
    copy_tree(root, tree)
    link_inputs(root, tree)
    configure(root, tree)
    if profile and fresh:
        run(sys.executable, "-m", "stages.run", "use", profile, "--discard-edits", cwd=tree)
    elif profile:
        (tree / "params.yaml").write_text(dumped(compose(profile, tree / "profiles")), encoding="utf-8")
    params = with_seed(load_params(tree / "params.yaml"), seed, sections)
    (tree / "params.yaml").write_text(dumped(params), encoding="utf-8")


def repro(tree: Path, seed: int) -> None:
    """Run `dvc repro` in the tree.

    Raises:
        StageError: a stage fails.
    """
    environment = {key: value for key, value in os.environ.items() if key not in ("DVC_ROOT", "DVC_STAGE")}
    environment["SEAMLINE_TRACKING"] = "off"
    if status := subprocess.run(["dvc", "repro"], cwd=tree, env=environment, check=False).returncode:
        raise StageError(
            f"seed {seed}: `dvc repro` failed with status {status} in {tree}; its message is above. Run `make seeds` "
            "again when the cause is gone: finished stages are not repeated."
        )


def collect(tree: Path, profile: str) -> tuple[dict[str, dict[str, Any]], Numbers]:
    """The seed's claims and metrics, only from outs of current stages, as a tree may have older files."""
    stages = set(run("dvc", "stage", "list", "--name-only", cwd=tree).split())
    lock = parse_yaml((tree / "dvc.lock").read_text(encoding="utf-8"))["stages"]
    outs = sorted(out["path"] for name in lock if name in stages for out in lock[name].get("outs", []))
    reports = [Path(path) for path in outs if path.startswith(f"data/{profile}/report/")]
    models = [Path(path) for path in outs if path.startswith(f"models/{profile}/encoders/")]
    metrics = read_metrics(tree / "metrics" / profile)
    own = {name: f"metrics/{profile}/{name}.json" for name in metrics}
    made = {name: metrics[name] for name, file in own.items() if any(Path(file).is_relative_to(out) for out in outs)}
    folder = Path.cwd()
    os.chdir(tree)
    try:
        return claims(reports, models), made
    finally:
        os.chdir(folder)


def suffix(only: Sequence[str], joint: str) -> str:
    """Suffix of files and folders of a run with the seeds of some sections; empty for all sections."""
    return "".join(f"{joint}{section}" for section in sorted(only))


def one_seed(
    root: Path, seed: int, profile: str | None, keep: bool, only: Sequence[str] = ()
) -> tuple[str, dict[str, dict[str, Any]], Numbers]:
    """Run one seed: name of the profile, claims and metrics."""
    name = profile or str(lookup(load_params(root / "params.yaml"), "profile"))
    tree = root / TREES / f"{name}-{seed}{suffix(only, '-')}"
    started = time.monotonic()
    log.info(f"seed {seed}: preparing {tree.relative_to(root)}")
    prepare(root, tree, profile, seed, only or TRAINED)
    repro(tree, seed)
    scores, metrics = collect(tree, name)
    if not keep:
        for folder in BULK:
            shutil.rmtree(tree / folder, ignore_errors=True)
    log.info(f"seed {seed}: {len(scores)} scores after {time.monotonic() - started:.0f} s")
    return name, scores, metrics


def measure(root: Path, seeds: list[int], profile: str | None, keep: bool, only: Sequence[str] = ()) -> dict[str, Any]:
    """Run all seeds, write and return the content of seeds.json; with ``only``, only these sections' seeds change.

    Raises:
        StageError: fewer than three seeds, an unknown profile, or a stage that fails.
    """
    if len(set(seeds)) < max(LEAST, len(seeds)):
        raise StageError(f"SEEDS is {' '.join(map(str, seeds))}: expected {LEAST} or more different seeds.")
    profiles = profile_names(root / "profiles")
    if profile is not None and profile not in profiles:
        raise StageError(f"no profile {profile!r}; there are: {shown(profiles)}.")
    done = {seed: one_seed(root, seed, profile, keep, only) for seed in seeds}
    name = next(iter(done.values()))[0]
    content = {"profile": name, **spread({seed: rows for seed, (_, rows, _) in done.items()})}
    content["metrics"] = metrics_spread({seed: metrics for seed, (_, _, metrics) in done.items()})
    if only:
        content["sections"] = sorted(only)
    write_json(root / "metrics" / name / f"seeds{suffix(only, '_')}.json", content)
    return content


def main() -> None:
    """The command."""
    parser = new_parser(__doc__)
    parser.add_argument("seeds", nargs="*", type=int, metavar="SEED", help="the training seeds, such as 0 1 2")
    parser.add_argument(
        "--only", nargs="+", choices=TRAINED, default=[], metavar="SECTION",
        help=f"sections of params.yaml whose seeds change, of {', '.join(TRAINED)} (default: all of them)",
    )  # fmt: skip
    parser.add_argument("--profile", help="name of a profile; the active params.yaml by default")
    parser.add_argument("--keep", action="store_true", help="keep data and models of every seed")
    parser.add_argument("--markdown", action="store_true", help="print the measured table, run nothing")
    args = parser.parse_args()
    with one_message():
        name = args.profile or str(lookup(load_params(), "profile"))
        path = Path("metrics") / name / f"seeds{suffix(args.only, '_')}.json"
        if args.markdown:
            if not path.is_file():
                only = f' ONLY="{" ".join(args.only)}"' if args.only else ""
                raise StageError(f"{path}: no such file. `make seeds{only} PROFILE={name}` measures and writes it.")
            content = read_json(path)
        else:
            content = measure(Path.cwd(), args.seeds, args.profile, args.keep, args.only)
        print(as_markdown(content))
    if not args.markdown:
        log.info(f"written to {path}")
