"""What dvc.lock says that outs consist of, and what a remote has of it."""

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

DIR = ".dir"  # how the hash of a listing of files ends
BUCKETS = frozenset({"s3", "gs", "azure"})  # kinds of remotes that are no folders


class OutFile(NamedTuple):
    """A file of an out: its path below the checkout, and the MD5 that names it in cache and remote."""

    path: str
    oid: str


def md5(path: Path) -> str:
    """MD5 of a file's bytes, as DVC names objects by."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def object_path(cache: Path, oid: str) -> Path:
    """Where a cache has an object."""
    return cache / oid[:2] / oid[2:]


def files_of(path: str, oid: str, read: Callable[[str], bytes | None]) -> list[OutFile] | None:
    """The files of an out; None where the listing of its folder cannot be had, or is damaged.

    Args:
        path: of the out, below the checkout.
        oid: its hash in dvc.lock.
        read: from the hash of a listing to its bytes, None where there is none.
    """
    if not oid.endswith(DIR):
        return [OutFile(path, oid)]
    content = read(oid)
    if content is None or hashlib.md5(content, usedforsecurity=False).hexdigest() != oid.removesuffix(DIR):
        return None
    return [OutFile(f"{path}/{row['relpath']}", row["md5"]) for row in json.loads(content)]


def cached(cache: Path) -> Callable[[str], bytes | None]:
    """Reads an object of a cache; None where it has none."""

    def read(oid: str) -> bytes | None:
        path = object_path(cache, oid)
        return path.read_bytes() if path.is_file() else None

    return read


def sizes(remote: Any, oids: Iterable[str]) -> dict[str, int | None]:
    """Bytes that a remote has of each of these objects, None for one that it lacks.

    A bucket is listed, a thousand objects at a time. Elsewhere each object is asked for: a walk through folders would
    pass over one that cannot be read.

    Raises:
        Exception: what the remote's library raises if it cannot say.
    """
    names = sorted(set(oids))
    paths = [remote.odb.oid_to_path(oid) for oid in names]
    if remote.fs.protocol in BUCKETS:
        listed = remote.fs.fs.find(remote.odb.path, detail=True)
        return {oid: listed[path]["size"] if path in listed else None for oid, path in zip(names, paths, strict=True)}
    held: dict[str, int | None] = {}
    for oid, info in zip(names, remote.fs.info(paths, return_exceptions=True), strict=True):
        if isinstance(info, FileNotFoundError):
            held[oid] = None
        elif isinstance(info, BaseException):
            raise info
        else:
            held[oid] = info["size"]
    return held
