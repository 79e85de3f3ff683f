"""List the files below a source's folder, and tell which are images (lookup.py finds an image by its name).

Readers and `make match` list folders only by these functions, so they all see the same files.
"""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from stages.contracts.images import IMAGE_SUFFIXES, UNREAD_SUFFIXES
from stages.core.names import plain
from stages.ingest.lookup import Images

# Files that tools leave next to images and labels; capitals do not matter.
COMPANIONS = {
    "classes.txt", "predefined_classes.txt", "notes.json", "thumbs.db", "ehthumbs.db", "desktop.ini", ".ds_store",
    ".gitkeep", ".gitignore", ".nomedia", "picasa.ini", ".picasa.ini", "readme.dataset.txt", "readme.roboflow.txt",
}  # fmt: skip
# What Ultralytics keeps of labels, phones and Lightroom of edits, Windows of where a file came from.
COMPANION_SUFFIXES = (".cache", ".aae", ".xmp", ":zone.identifier")
# Folders of previews, copies and deleted files, with whatever is in them.
COMPANION_FOLDERS = {"__macosx", "@eadir", ".ipynb_checkpoints", ".thumbnails", ".trash", ".trashes", "$recycle.bin"}
OUTSIDE = " outside of what is read"
BROKEN, STRANGE, CLOSED, AGAIN = (
    "links that lead nowhere",
    "no regular files",
    "folders that cannot be opened",
    "links to folders that are read already",
)


class Entry(NamedTuple):
    """A file or link below a folder; ``kind`` is empty for a file to read, else it says why the file is not read."""

    path: Path
    place: tuple[str, str]  # real folder and name: the same, whichever links lead there
    kind: str


def companion(name: str) -> str:
    """The kind of a file that a tool left behind; empty for other files."""
    lower = name.lower()
    if lower.startswith("._"):
        return "._*"
    if lower in COMPANIONS:
        return name
    return next((f"*{suffix}" for suffix in COMPANION_SUFFIXES if lower.endswith(suffix)), "")


def walk(folder: Path) -> Iterator[Entry]:
    """Everything below a folder, through links too. Each folder is entered once; links to a folder above are not."""
    top = os.path.realpath(folder)
    seen, todo, linked = {top}, [(str(folder), top)], list[tuple[str, str, str]]()
    while todo or linked:
        if not todo:  # what is really there first, so that no link takes its place
            linked.sort(reverse=True)
            path, inside, name = linked.pop()
            real = os.path.realpath(path)
            if real in seen or any(f"{below}/".startswith(real.rstrip("/") + "/") for below in (inside, top)):
                yield Entry(Path(path), (inside, name), AGAIN)
                continue
            seen.add(real)
            todo.append((path, real))
        current, real = todo.pop()
        try:
            entries = sorted(os.scandir(current), key=lambda entry: entry.name)
        except OSError:
            yield Entry(Path(current), (real, ""), CLOSED)
            continue
        for entry in entries:
            place = (real, entry.name)
            if _leads_to(entry, "is_dir"):
                if entry.name.lower() in COMPANION_FOLDERS:
                    yield Entry(Path(entry.path), place, f"{entry.name}/")
                elif entry.is_symlink():
                    linked.append((entry.path, real, entry.name))
                else:
                    below = f"{real.rstrip('/')}/{entry.name}"
                    seen.add(below)
                    todo.append((entry.path, below))
            elif kind := companion(entry.name):
                yield Entry(Path(entry.path), place, kind)
            elif _leads_to(entry, "is_file"):
                yield Entry(Path(entry.path), place, "")
            else:
                yield Entry(Path(entry.path), place, BROKEN if entry.is_symlink() else STRANGE)


def dead_links(folder: Path) -> list[Path]:
    """Links below a folder that lead nowhere. DVC stops at them when it hashes the folder, and says no remedy."""
    places = (Path(place) / name for place, folders, names in os.walk(folder) for name in (*folders, *names))
    return sorted(path for path in places if path.is_symlink() and not path.exists())


def _leads_to(entry: os.DirEntry[str], what: str) -> bool:
    try:
        return bool(getattr(entry, what)())
    except OSError:  # a link to itself
        return False


def is_image(path: Path) -> bool:
    """Whether a file has the suffix of an image that can be read, in any capitals."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def is_unread(path: Path) -> bool:
    """Whether a file has the suffix of an image format that cannot be read."""
    return path.suffix.lower() in UNREAD_SUFFIXES


class Tree:
    """The files below a source's root, and which of them a reader has taken."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._taken: dict[str, set[str]] = {}

    def take(self, path: Path) -> Path:
        """Note that a reader has read this file; return its path."""
        self._take((os.path.realpath(path.parent), path.name))
        return path

    def taken(self, path: Path) -> bool:
        """Whether a reader has read this file."""
        return path.name in self._taken.get(os.path.realpath(path.parent), ())

    def _take(self, place: tuple[str, str]) -> None:
        self._taken.setdefault(place[0], set()).add(place[1])

    def files(self, folder: Path, suffix: str, take: bool = True) -> list[Path]:
        """Files below ``folder`` with that suffix in any capitals, sorted."""
        paths = []
        for path, (real, name), kind in walk(folder):
            if not kind and name.lower().endswith(suffix):
                if take:
                    self._take((real, name))
                paths.append(path)
        return sorted(paths)

    def images(self, folder: Path, renamed: dict[str, str] | None = None, take: bool = True) -> "Images":
        """The images below ``folder``."""
        paths, unread, broken = [], [], []
        for path, place, kind in walk(folder):
            into = broken if kind == BROKEN else None if kind else unread
            if is_image(path) and not kind:
                into = paths
            if into is not None and (is_image(path) or is_unread(path)):
                if take:
                    self._take(place)
                into.append(path)
        return Images(folder, sorted(paths), sorted(unread), sorted(broken), renamed)

    def rest(self) -> dict[str, int]:
        """Kind -> number of files below the root that no reader has read: companions by name, other files by suffix."""
        counts: Counter[str] = Counter()
        for path, (real, name), kind in walk(self.root):
            if name in self._taken.get(real, ()):
                continue
            suffix = path.suffix.lower()
            picture = is_image(path) or is_unread(path)
            counts[kind or (f"{suffix}{OUTSIDE}" if picture else suffix or "without suffix")] += 1
        return {plain(kind): count for kind, count in sorted(counts.items())}
