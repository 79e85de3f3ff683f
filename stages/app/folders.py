"""The photos below folders: which files are there, and what has become of those that were known."""

import os
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stages.app.items import shown_path
from stages.app.models import stamp
from stages.app.store import File, Roots, below
from stages.contracts.images import IMAGE_SUFFIXES
from stages.core.errors import StageError
from stages.ingest.files import BROKEN, CLOSED, is_image, is_unread, walk
from stages.ingest.lookup import UNREAD_SAID

COUNTS = ("added", "moved", "changed", "removed", "unchanged", "duplicate", "unreadable", "left_out")


@dataclass(frozen=True)
class Broken:
    """A photo that cannot be read, and why, in one line without its path."""

    path: Path
    reason: str


@dataclass
class Scan:
    """What is below some folders.

    Attributes:
        stamps: path of each photo -> its stamp.
        left_out: kind of file that is no photo, or is not read -> how many.
        missing: folders and photos that are not there.
        broken: photos whose stamp cannot be read.
    """

    stamps: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    missing: list[str] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)


@dataclass(frozen=True)
class Change:
    """What an addition, a removal or another look at the folders did.

    Attributes:
        photos: different photos in the wardrobe now.
        garments: garments in them.
        counts: of files, with the keys ``COUNTS``. added, moved, changed and unchanged are all files of the folders
            that were looked at; duplicate and unreadable are some of these: a file with the bytes of another one, and
            one that is no picture or cannot be opened. left_out: files that are no photos, or of a kind that is not
            read.
        broken: the unreadable ones.
        left_out: kind of file -> how many.
        missing: folders and photos that were added and are not there.
        busy: another process or thread is adding, so nothing was done.
    """

    photos: int
    garments: int
    counts: dict[str, int]
    broken: list[Broken] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)
    missing: list[Path] = field(default_factory=list)
    busy: bool = False

    def said(self) -> list[str]:
        """Lines for people: the counts, then each file that was not read."""
        if self.busy:
            return ["another process is adding photos: what it has not saved yet is not searched"]
        parts = [f"{self.counts[name]} {name}" for name in COUNTS[:-1] if self.counts[name]]
        lines = [f"{self.photos} photos, {self.garments} garments" + (f" ({', '.join(parts)})" if parts else "")]
        if self.left_out:
            kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.left_out.items()))
            lines.append(f"left out: {kinds}")
        lines += [f"not there, so its photos are not searched: {shown_path(path)}" for path in self.missing]
        return lines + [f"unreadable: {shown_path(one.path)}: {one.reason}" for one in self.broken]


def absolute(path: Path) -> str:
    """The path by which the wardrobe knows a file, wherever the command was started; links stay as they are."""
    return os.path.normpath(path.absolute())


def scan(places: Sequence[str], left_out: Collection[str]) -> Scan:
    """The photos at some places, which are folders or photos, without what was taken out of such a folder again."""
    result = Scan()
    for place in places:
        out = [path for path in left_out if below(path, place)]
        there = Path(place)
        if there.is_dir():
            for entry in walk(there):
                _take(result, entry.path, entry.kind, out)
        elif os.path.lexists(place):
            _take(result, there, "" if there.exists() else BROKEN, out)
        else:
            result.missing.append(place)
    return result


def _take(result: Scan, path: Path, kind: str, left_out: Collection[str]) -> None:
    if kind:
        if kind in (BROKEN, CLOSED):
            result.left_out[kind] += 1
    elif not is_image(path):
        result.left_out[f"{path.suffix.lower() or 'no suffix'}{f' ({UNREAD_SAID})' if is_unread(path) else ''}"] += 1
    elif not any(below(str(path), out) for out in left_out):
        try:
            result.stamps[str(path)] = stamp(path)
        except OSError as error:
            result.broken.append(Broken(path, error.strerror or str(error)))


def scan_to_add(places: Iterable[Path], left_out: Collection[str]) -> Scan:
    """The photos at places that are to be added.

    Raises:
        StageError: a place is not there, is a file that is no photo, or a folder without any.
    """
    result = Scan()
    for place in places:
        if not os.path.lexists(place):
            raise StageError(f"{place}: no such file or folder. Give photos of your clothes, or folders with them.")
        if not place.is_dir() and not is_image(place):
            said = UNREAD_SAID if is_unread(place) else "is no image"
            raise StageError(f"{place}: {said}; expected a file named {', '.join(sorted(IMAGE_SUFFIXES))}.")
        found = scan([absolute(place)], left_out)
        if not found.stamps and not found.broken:
            rest = ", ".join(f"{count} {kind}" for kind, count in sorted(found.left_out.items()))
            raise StageError(
                f"{place}: no image in it{f' ({rest})' if rest else ''}; expected files named "
                f"{', '.join(sorted(IMAGE_SUFFIXES))}."
            )
        result.stamps |= found.stamps
        result.left_out += found.left_out
        result.broken += found.broken
    return result


def with_added(roots: Roots, places: Sequence[str]) -> Roots:
    """What was added, with more places: a folder stands for all below it, and nothing of it is left out any more."""
    added = list(roots.added)
    for place in places:
        out = any(below(place, path) and path != place for path in roots.left_out)  # alone in a folder that is left out
        if out or not any(below(place, root) for root in added):
            added = [root for root in added if not below(root, place)] + [place]
    return Roots(sorted(added), [out for out in roots.left_out if not any(below(out, place) for place in places)])


def without(roots: Roots, places: Sequence[str]) -> Roots:
    """What was added, without some places: what lies below a folder that stays is left out from now on."""
    added = [root for root in roots.added if not any(below(root, place) for place in places)]
    left_out = [out for out in roots.left_out if any(below(out, root) for root in added)]
    left_out += [
        place
        for place in places
        if any(below(place, root) for root in added) and not any(below(place, out) for out in left_out)
    ]
    return Roots(added, sorted(left_out))


def count_changes(before: Collection[File], now: Collection[File]) -> Counter[str]:
    """What became of the files of the places that were looked at; see ``Change``.

    A new path with the bytes of one that is gone has been moved; each path that is gone has moved to one place.
    """
    old = {one.path: one for one in before}
    new = {one.path: one for one in now}
    gone = Counter(one.sha256 for one in before if one.path not in new and one.sha256)
    counts: Counter[str] = Counter()
    for one in now:
        if one.path in old:
            counts["unchanged" if one.sha256 == old[one.path].sha256 else "changed"] += 1
        elif one.sha256 and gone[one.sha256]:
            gone[one.sha256] -= 1
            counts["moved"] += 1
        else:
            counts["added"] += 1
    counts["removed"] = sum(one.path not in new for one in before) - counts["moved"]
    hashes = [one.sha256 for one in now if one.sha256]
    counts["duplicate"] = len(hashes) - len(set(hashes))
    return counts
