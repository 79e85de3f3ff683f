"""Check that checkout, dvc.lock, cache and remote agree. Nothing is run, and nothing is changed.

Usage: python -m stages.run verify [--fast] [--remote NAME]  (`make verify REMOTE=store`)

Prints a line for each stage that disagrees, with the difference and how to repair it; the last line sums up. The exit
status is 0 only if all agree. Every file of an out is hashed, in the checkout and in the cache; --fast trusts sizes and
DVC's record of dates instead. In a remote, only the presence and size of every object are compared: `make pull` hashes
what it gets.
"""

import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stages.core.errors import shown
from stages.runner.progress import track
from stages.runner.stage import new_parser, one_message
from stages.sharing.objects import DIR, OutFile, cached, files_of, md5, object_path, sizes
from stages.sharing.remote import explained, opened, reached

SHOWN = 3  # paths that a line names
SIDES = ("dvc.lock", "checkout", "cache", "remote")
LEFT = "Nothing was changed"


@dataclass
class Out:
    """An out of a stage, and how it differs from dvc.lock.

    Attributes:
        stage: its name in dvc.yaml, with the item.
        path: below the checkout.
        oid: its hash in dvc.lock; empty if the lock has none.
        size: bytes of its files by dvc.lock, None if the lock does not say.
        cached: whether the cache keeps it; else git does.
        files: those that it consists of; None if the listing of a folder was not found.
        changed: its state in the checkout by DVC: deleted, modified, new, or empty.
        wrong: paths that differ in the checkout.
        damaged: files whose object in the cache is damaged: its hash is not its name.
        absent: files that the cache lacks.
        lacking: files that the remote lacks, or has in another size.
    """

    stage: str
    path: str
    oid: str
    size: int | None
    cached: bool
    files: list[OutFile] | None = None
    changed: str = ""
    wrong: list[str] = field(default_factory=list)
    damaged: list[OutFile] = field(default_factory=list)
    absent: list[OutFile] = field(default_factory=list)
    lacking: list[OutFile] = field(default_factory=list)


class Hashes:
    """MD5 of files; a file is read only once, also if several links lead to it."""

    def __init__(self) -> None:
        self.known: dict[tuple[int, int], str] = {}

    def of(self, path: Path) -> str:
        """MD5 of a file's bytes."""
        status = path.stat()
        key = status.st_dev, status.st_ino
        if key not in self.known:
            self.known[key] = md5(path)
        return self.known[key]


def outs_of(stage: Any) -> list[Out]:
    """The outs of a stage of DVC, with their state in the checkout."""
    outs = []
    for out in stage.outs:
        oid = out.hash_info.value if out.hash_info else ""
        changed = next(iter(out.workspace_status().values()), "")
        outs.append(Out(stage.addressing, str(out), oid, out.meta.size, out.use_cache, changed=changed))
    return outs


def recipe_changes(stage: Any) -> list[str]:
    """The parts of a stage (command, params, code, data) that differ from dvc.lock."""
    changes = ["its command"] if stage.changed_stage() else []
    for dep in stage.deps:
        for path, how in dep.status().items():
            changes += [f"{path}: {key}" for key in how] if isinstance(how, dict) else [path]
    return changes


def within_any(path: str, outs: set[str]) -> bool:
    """Whether a dep is one of these outs, lies in one, or has one in it."""
    return any(path == out or path.startswith(f"{out}/") or out.startswith(f"{path}/") for out in outs)


def look_at_checkout(out: Out, hashes: Hashes, fast: bool) -> None:
    """Fill ``wrong``: files that are missing, differ from dvc.lock, or are not named in it."""
    if not out.changed and (fast or out.files is None):
        return
    if out.files is None or out.changed == "deleted":
        out.wrong = [out.path]
        return
    for path, oid in out.files:
        if not Path(path).is_file() or hashes.of(Path(path)) != oid:
            out.wrong.append(path)
    if out.changed and not out.wrong:
        named = {file.path for file in out.files}
        present = (path.as_posix() for path in sorted(Path(out.path).rglob("*")) if path.is_file())
        out.wrong = [path for path in present if path not in named] or [out.path]


def look_at_cache(out: Out, cache: Path, hashes: Hashes, fast: bool) -> None:
    """Fill ``damaged`` and ``absent``; a missing or damaged listing is entered under the name of its folder."""
    listing = [OutFile(f"{out.path}/", out.oid)] if out.oid.endswith(DIR) else []
    for file in [*listing, *(out.files or ())]:
        path = object_path(cache, file.oid)
        if not path.is_file():
            out.absent.append(file)
        elif not fast and hashes.of(path) != file.oid.removesuffix(DIR):
            out.damaged.append(file)
    if fast and out.files and not out.absent and out.size is not None:
        kept = {file: object_path(cache, file.oid).stat().st_size for file in out.files}
        # dvc.lock has no sizes of single files, so they are compared with the checkout's.
        if sum(kept.values()) != out.size:
            out.damaged = [
                file
                for file, size in kept.items()
                if Path(file.path).is_file() and Path(file.path).stat().st_size != size
            ] or out.files[:1]


def look_at_remote(outs: list[Out], cache: Path, remote: Any) -> None:
    """Fill ``lacking`` of all outs."""
    wanted = {out.path: [OutFile(f"{out.path}/", out.oid)] if out.oid.endswith(DIR) else [] for out in outs}
    held = sizes(remote, {file.oid for out in outs for file in [*wanted[out.path], *(out.files or ())]})
    for out in outs:
        broken = {file.oid for file in out.damaged}
        for file in [*wanted[out.path], *(out.files or ())]:
            size, kept = held[file.oid], object_path(cache, file.oid)
            known = kept.is_file() and file.oid not in broken
            if size is None or (known and kept.stat().st_size != size):
                out.lacking.append(file)


def problems(out: Out, cache: Path, remote: str, fast: bool) -> Iterator[tuple[set[str], str]]:
    """The differences of an out: the sides that differ, and a sentence with what differs and how to repair it."""
    if not out.oid:
        yield {"dvc.lock"}, f"dvc.lock does not have {out.path}: `dvc repro {out.stage}` makes it"
        return
    sentences, sides = [], set()
    if out.damaged:
        named = [f"{object_path(cache, oid)} ({path})" for path, oid in out.damaged]
        sentences.append(f"the cache has other bytes than the name says in {shown(named, SHOWN)}")
        sides.add("cache")
    if out.absent:
        sentences.append(f"the cache lacks {shown([file.path for file in out.absent], SHOWN)}")
        sides.add("cache")
    if out.wrong:
        present = [path for path in out.wrong if Path(path).is_file()]
        gone = [path for path in out.wrong if path not in present]
        sentences += [f"the checkout has other bytes than dvc.lock says in {shown(present, SHOWN)}"] if present else []
        sentences += [f"the checkout lacks {shown(gone, SHOWN)}"] if gone else []
        sides.add("checkout")
    if sentences:
        yield sides, f"{', '.join(sentences)}: {repair(out, cache, fast)}"
    if out.lacking:
        whence = " where it is intact" if out.absent or out.damaged else ""
        lacking = shown([file.path for file in out.lacking], SHOWN)
        yield {"remote"}, f"{remote} lacks {lacking}, or has it in another size: `make push`{whence} sends it"


def repair(out: Out, cache: Path, fast: bool) -> str:
    """Commands that repair an out in checkout and cache.

    DVC trusts its own records, so wrong files must be deleted first. An object that the cache lacks comes from the
    remote, from an intact file of the checkout, or from running the stage.
    """
    if not out.cached:
        return f"`git checkout -- {shlex.quote(out.path)}`"
    files = [path for path in out.wrong if Path(path).is_file()]
    remove = [str(object_path(cache, oid)) for _, oid in out.damaged] + files
    first = f"`rm -f {' '.join(map(shlex.quote, remove))}`, then " if remove else ""
    if not out.damaged and not out.absent:
        return f"{first}`dvc checkout {out.stage}`"
    intact = not out.wrong and not fast
    instead = f"`dvc commit {out.stage}`" if intact else f"`dvc repro {out.stage}`"
    return f"{first}`dvc pull {out.stage}`, or without a remote {instead}"


@dataclass
class Verdict:
    """The output of ``verify``: a line for each stage that disagrees, and the last line."""

    lines: list[str]
    last: str


def verify(fast: bool = False, name: str | None = None, remote_too: bool = False) -> Verdict:
    """Compare checkout, dvc.lock, cache and, if asked, a remote.

    Args:
        fast: trust sizes and DVC's record of dates instead of hashing.
        name: of the remote; None for the default one.
        remote_too: compare with the remote.

    Raises:
        StageError: the remote cannot be asked, or DVC cannot read dvc.yaml or dvc.lock.
    """
    hashes = Hashes()
    with opened() as (repo, _):
        remote, called = reached(repo, name, LEFT) if remote_too else (None, "")
        cache = Path(repo.cache.local.path)
        in_cache = cached(cache)

        def read(oid: str) -> bytes | None:
            """A listing, of the cache or else of the remote."""
            if (content := in_cache(oid)) is not None or remote is None:
                return content
            path = remote.odb.oid_to_path(oid)
            return remote.fs.cat_file(path) if remote.fs.exists(path) else None

        stages = list(repo.index.stages)
        outs = [out for stage in stages for out in outs_of(stage)]
        changes = {stage.addressing: recipe_changes(stage) for stage in stages}
        for out in track(outs, len(outs), "outs compared"):
            if out.oid and out.cached:
                out.files = files_of(out.path, out.oid, read)
                look_at_cache(out, cache, hashes, fast)
            look_at_checkout(out, hashes, fast)
        if remote is not None:
            try:
                look_at_remote([out for out in outs if out.oid and out.cached], cache, remote)
            except Exception as error:
                raise explained(called, error, LEFT) from error
        return summed_up(
            outs, changes, cache.relative_to(Path.cwd()) if cache.is_relative_to(Path.cwd()) else cache, called, fast
        )


def summed_up(outs: list[Out], changes: dict[str, list[str]], cache: Path, remote: str, fast: bool) -> Verdict:
    """The lines and the verdict."""
    by_stage: dict[str, list[str]] = {stage: [] for stage in changes}
    sides: dict[str, set[str]] = {side: set() for side in SIDES}
    elsewhere = {out.path for out in outs if out.wrong or not out.oid}
    for stage, changed in changes.items():
        # A changed input that another stage makes is that stage's disagreement.
        if own := [change for change in changed if not within_any(change, elsewhere)]:
            by_stage[stage].append(f"changed since dvc.lock: {shown(own, SHOWN)}; `dvc repro {stage}` runs it")
            sides["dvc.lock"].add(stage)
    for out in outs:
        for where, sentence in problems(out, cache, remote, fast):
            by_stage[out.stage].append(sentence)
            for side in where:
                sides[side].add(out.stage)
    lines = [f"{stage}: {'; '.join(sentences)}." for stage, sentences in by_stage.items() if sentences]
    files, size = sum(len(out.files or ()) for out in outs), sum(out.size or 0 for out in outs if out.cached)
    how = "by size and date" if fast else "every byte hashed"
    asked = f"and {remote}" if remote else "no remote asked"
    if not lines:
        return Verdict(
            [],
            f"verify: all {len(by_stage)} stages agree in checkout, dvc.lock, cache, {asked}: {files} files, "
            f"{size / 1e6:.0f} MB, {how}.",
        )
    counted = ", ".join(f"{side} {len(stages)}" for side, stages in sides.items() if stages)
    return Verdict(lines, f"verify: {len(lines)} of {len(by_stage)} stages disagree ({counted}); {how}, {asked}.")


def main() -> None:
    """Print the lines and the verdict; end with status 1 if anything disagrees."""
    parser = new_parser(__doc__)
    parser.add_argument("--fast", action="store_true", help="trust sizes and dates, hash nothing that has not changed")
    parser.add_argument(
        "--remote", metavar="NAME", nargs="?", const="", help="also a remote; without NAME the default one"
    )
    args = parser.parse_args()
    with one_message():
        verdict = verify(args.fast, args.remote or None, args.remote is not None)
        print(*verdict.lines, verdict.last, sep="\n")
    if verdict.lines:
        sys.exit(1)
