"""Get the files that dvc.lock names, and the run cache, from a remote, as `dvc pull --run-cache` does, and check them.

Usage: python -m stages.run pull [--remote NAME] [--jobs N] [--force]  (`make pull REMOTE=store`)

Every object is hashed as it arrives, and discarded if it is damaged. A remote that fails ends the command with one
message. --force replaces files of the checkout that differ from dvc.lock and are in no cache.
"""

import time
from pathlib import Path

from stages.core.errors import StageError, shown
from stages.runner.stage import new_parser, one_message
from stages.sharing.objects import OutFile, cached, files_of, object_path
from stages.sharing.remote import explained, opened, reached, watched

LEFT = "Nothing is lost: the checkout here is unchanged, and `make pull` goes on where it stopped"


def pull(name: str | None, jobs: int | None = None, force: bool = False) -> str:
    """Get everything and put it into the checkout; returns a line about what arrived.

    Args:
        name: of the remote; None for the default one.
        jobs: transfers at a time; None for DVC's choice.
        force: replace files of the checkout that are in no cache.

    Raises:
        StageError: the remote failed or lacks something, or a file of the checkout would be lost.
    """
    from dvc.exceptions import DvcException

    started = time.monotonic()
    with opened() as (repo, failures):
        _, called = reached(repo, name, LEFT)
        repo.config["remote"][name or repo.config["core"]["remote"]]["verify"] = True
        try:
            count = repo.fetch(remote=name, run_cache=True, jobs=jobs)
        except Exception as error:
            raise explained(called, failures.errors[0] if failures.errors else error, LEFT) from error
        if failures.errors:
            raise explained(called, failures.errors[0], LEFT)
        cache = Path(repo.cache.local.path)
        read, lacking, total = cached(cache), [], 0
        for stage in repo.index.stages:
            for out in stage.outs:
                if out.use_cache and out.hash_info:
                    files = files_of(str(out), out.hash_info.value, read) or [OutFile(f"{out}/", "")]
                    total += len(files)
                    lacking += [path for path, oid in files if not oid or not object_path(cache, oid).is_file()]
        try:
            repo.checkout(force=force, allow_missing=True)
        except DvcException as error:
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            raise StageError(
                f"What {called} has is in the cache, but not in the checkout: {' '.join(lines[:4])} Files that differ "
                "from dvc.lock and are in no cache stay as they are; `--force` replaces them."
            ) from error
    if lacking:
        raise StageError(
            f"{called} lacks {len(lacking)} of {total} files that dvc.lock names, or has them damaged: "
            f"{shown(lacking, 3)}. The others are in place. Run `make push` where they were made, or `make repro` here."
        )
    return f"{called}: got {count} objects in {time.monotonic() - started:.1f} s; the checkout has all {total} files"


def main() -> None:
    """Run the command line."""
    parser = new_parser(__doc__)
    parser.add_argument("--remote", metavar="NAME", help="one of `dvc remote list`; without it the default one")
    parser.add_argument("--jobs", type=int, help="transfers at a time")
    parser.add_argument("--force", action="store_true", help="replace files of the checkout that are in no cache")
    args = parser.parse_args()
    with one_message():
        print(watched(lambda: pull(args.remote, args.jobs, args.force), LEFT))
