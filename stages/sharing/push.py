"""Send the files that dvc.lock names, and the run cache, to a remote; complete an interrupted push.

Usage: python -m stages.run push [--remote NAME] [--jobs N]  (`make push REMOTE=store`)

A push that was killed, or a failing disk, may leave an incomplete object in the remote, or the listing of a folder
without all of its files. `dvc push --run-cache` takes both for complete. This command compares sizes, deletes damaged
objects from the remote and sends them again. It does not send an object that is damaged in the cache (its hash is not
its name). A remote that fails ends the command with one message.
"""

import logging
import time
from pathlib import Path
from typing import Any

from stages.core.errors import StageError
from stages.runner.stage import new_parser, one_message
from stages.sharing.objects import DIR, cached, files_of, md5, object_path, sizes
from stages.sharing.remote import PULSE, explained, opened, reached, watched

log = logging.getLogger(__name__)

LEFT = "Nothing is lost: the cache here is unchanged, and `make push` sends what is still missing there"


def named(repo: Any) -> list[list[str]]:
    """The hashes of each out that the cache has: the out's own first, then those of the files of a folder."""
    read = cached(Path(repo.cache.local.path))
    groups = []
    for stage in repo.index.stages:
        for out in stage.outs:
            if out.use_cache and out.hash_info:
                oid = out.hash_info.value
                files = [file.oid for file in files_of(str(out), oid, read) or ()]
                groups.append([oid, *files] if oid.endswith(DIR) else [oid])
    return groups


def broken(groups: list[list[str]], cache: Path, sizes_there: dict[str, int | None]) -> set[str]:
    """Objects that a push must replace in the remote.

    These are files with another size than the intact file in the cache, and listings with a damaged or missing file.
    """
    damaged = set()
    for oid, size in sizes_there.items():
        path = object_path(cache, oid)
        if size is not None and path.is_file() and path.stat().st_size != size and intact(path, oid):
            damaged.add(oid)
    for listing, *files in groups:
        if sizes_there[listing] is not None and any(sizes_there[oid] is None or oid in damaged for oid in files):
            damaged.add(listing)
    return damaged


def intact(path: Path, oid: str) -> bool:
    """Whether the hash of an object's bytes is its name."""
    return md5(path) == oid.removesuffix(DIR)


def push(name: str | None, jobs: int | None = None) -> str:
    """Send everything; returns a line about what was sent.

    Args:
        name: of the remote; None for the default one.
        jobs: transfers at a time; None for DVC's choice.

    Raises:
        StageError: the remote failed, or an object of the cache is damaged.
    """
    from dvc_data.hashfile.db import get_index

    started = time.monotonic()
    with opened() as (repo, failures):
        remote, called = reached(repo, name, LEFT)
        try:
            cache, groups = Path(repo.cache.local.path), named(repo)
            sizes_there = sizes(remote, {oid for group in groups for oid in group})
            new = {oid: object_path(cache, oid) for oid, size in sizes_there.items() if size is None}
            new = {oid: path for oid, path in new.items() if path.is_file()}
            for oid, path in new.items():
                PULSE.beat()
                if not intact(path, oid):
                    raise StageError(
                        f"{path}: its bytes are not those that its name says, so it is not sent. "
                        "`make verify` says which stage it belongs to and how to repair it."
                    )
            damaged = broken(groups, cache, sizes_there)
            for oid in damaged:
                remote.odb.delete(oid)
            if damaged:
                get_index(remote.odb).clear()
                log.info(
                    f"{called}: deleted {len(damaged)} objects that an earlier push left damaged; they are sent again"
                )
            repo.push(remote=name, run_cache=True, jobs=jobs)
        except StageError:
            raise
        except Exception as error:
            raise explained(called, failures.errors[0] if failures.errors else error, LEFT) from error
    if failures.errors:
        raise explained(called, failures.errors[0], LEFT)
    again = {oid: object_path(cache, oid) for oid in damaged}
    megabytes = sum(path.stat().st_size for path in (new | again).values()) / 1e6
    seconds = time.monotonic() - started
    return f"{called}: sent {len(new | again)} objects, {megabytes:.1f} MB, and the run cache in {seconds:.1f} s"


def main() -> None:
    """Run the command line."""
    parser = new_parser(__doc__)
    parser.add_argument("--remote", metavar="NAME", help="one of `dvc remote list`; without it the default one")
    parser.add_argument("--jobs", type=int, help="transfers at a time")
    args = parser.parse_args()
    with one_message():
        print(watched(lambda: push(args.remote, args.jobs), LEFT))
