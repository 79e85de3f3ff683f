"""The files of a source: what is below a folder, and which of them are images (lookup.py: how a name finds one).

This is the one place for it: readers list no folder themselves, and `make match` finds its photos here too.
"""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from stages.contracts.images import IMAGE_SUFFIXES, UNREAD_SUFFIXES
from stages.core.names import plain
from stages.ingest.lookup import Images

# What tools leave beside images and labels; capitals do not matter.
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
    """One thing below a folder; ``kind`` is empty for a file to read, else says why it is none."""

    path: Path
    place: tuple[str, str]  # real folder and name: the same, whichever links lead there
    kind: str


def companion(name: str) -> str:
    """The kind of a file that a tool left behind; empty: none."""
    lower = name.lower()
    if lower.startswith("._"):
        return "._*"
    return name if lower in COMPANIONS else next((f"*{one}" for one in COMPANION_SUFFIXES if lower.endswith(one)), "")


def walk(folder: Path) -> Iterator[Entry]:
    """Everything below a folder, over links too. A folder is entered once, and no link leads out of it upwards."""
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
    """Links below a folder that lead nowhere. DVC stops at each when it hashes the folder, and names no way out."""
    places = (Path(place) / name for place, folders, names in os.walk(folder) for name in (*folders, *names))
    return sorted(path for path in places if path.is_symlink() and not path.exists())


def _leads_to(entry: os.DirEntry[str], what: str) -> bool:
    try:
        return bool(getattr(entry, what)())
    except OSError:  # a link to itself
        return False


def is_image(path: Path) -> bool:
    """Whether a file is taken for an image that is read: by its suffix, whatever its capitals."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def is_unread(path: Path) -> bool:
    """Whether a file is a picture of a kind that is not read."""
    return path.suffix.lower() in UNREAD_SUFFIXES


class Tree:
    """The files below a source's root, and which of them a reader has taken."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._taken: dict[str, set[str]] = {}

    def take(self, path: Path) -> Path:
        """The path itself, from now on one that was read."""
        self._take((os.path.realpath(path.parent), path.name))
        return path

    def taken(self, path: Path) -> bool:
        """Whether a file was read already."""
        return path.name in self._taken.get(os.path.realpath(path.parent), ())

    def _take(self, place: tuple[str, str]) -> None:
        self._taken.setdefault(place[0], set()).add(place[1])

    def files(self, folder: Path, suffix: str, take: bool = True) -> list[Path]:
        """Files below ``folder`` with that suffix, whatever its capitals, sorted."""
        found = []
        for path, (real, name), kind in walk(folder):
            if not kind and name.lower().endswith(suffix):
                if take:
                    self._take((real, name))
                found.append(path)
        return sorted(found)

    def images(self, folder: Path, renamed: dict[str, str] | None = None, take: bool = True) -> "Images":
        """The images below ``folder``."""
        found, unread, broken = [], [], []
        for path, place, kind in walk(folder):
            into = broken if kind == BROKEN else None if kind else unread
            if is_image(path) and not kind:
                into = found
            if into is not None and (is_image(path) or is_unread(path)):
                if take:
                    self._take(place)
                into.append(path)
        return Images(folder, sorted(found), sorted(unread), sorted(broken), renamed)

    def rest(self) -> dict[str, int]:
        """Kind -> how many files below the root nobody has read: companions by name, the others by suffix."""
        counts: Counter[str] = Counter()
        for path, (real, name), kind in walk(self.root):
            if name in self._taken.get(real, ()):
                continue
            suffix = path.suffix.lower()
            picture = is_image(path) or is_unread(path)
            counts[kind or (f"{suffix}{OUTSIDE}" if picture else suffix or "without suffix")] += 1
        return {plain(kind): count for kind, count in sorted(counts.items())}
