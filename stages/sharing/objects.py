"""The files of outs by dvc.lock, as objects named by their MD5 in DVC's cache, and their sizes in a remote."""

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

DIR = ".dir"  # suffix of the hash of a listing: the object that names the files of a folder
BUCKETS = frozenset({"s3", "gs", "azure"})  # kinds of remotes without folders


class OutFile(NamedTuple):
    """A file of an out: its path below the checkout, and the MD5 that names it in cache and remote."""

    path: str
    oid: str


def md5(path: Path) -> str:
    """MD5 of a file's bytes, as DVC names objects by."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def object_path(cache: Path, oid: str) -> Path:
    """The path of an object in a cache."""
    return cache / oid[:2] / oid[2:]


def files_of(path: str, oid: str, read: Callable[[str], bytes | None]) -> list[OutFile] | None:
    """The files of an out; None if the listing of its folder is missing or damaged.

    Args:
        path: of the out, below the checkout.
        oid: its hash in dvc.lock.
        read: returns the bytes of a listing by its hash, None if there is no such listing.
    """
    if not oid.endswith(DIR):
        return [OutFile(path, oid)]
    content = read(oid)
    if content is None or hashlib.md5(content, usedforsecurity=False).hexdigest() != oid.removesuffix(DIR):
        return None
    return [OutFile(f"{path}/{row['relpath']}", row["md5"]) for row in json.loads(content)]


def cached(cache: Path) -> Callable[[str], bytes | None]:
    """A function that reads an object of a cache by its hash; it returns None if the cache lacks the object."""

    def read(oid: str) -> bytes | None:
        path = object_path(cache, oid)
        return path.read_bytes() if path.is_file() else None

    return read


def sizes(remote: Any, oids: Iterable[str]) -> dict[str, int | None]:
    """The size of each object in a remote, in bytes; None if the remote lacks it.

    A bucket is listed, a thousand objects at a time. In other remotes each object is asked for, because a walk through
    folders would skip a folder that cannot be read.

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
