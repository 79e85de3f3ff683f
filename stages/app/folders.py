"""Finds the photos below folders, and compares them with the files that the wardrobe already knows."""

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
from stages.ingest.lookup import UNREAD_MESSAGE

COUNTS = ("added", "moved", "changed", "removed", "unchanged", "duplicate", "unreadable", "left_out")


@dataclass(frozen=True)
class Broken:
    """A photo that cannot be read, and why, in one line without its path."""

    path: Path
    reason: str


@dataclass
class Scan:
    """The result of scanning some folders.

    Attributes:
        stamps: path of each photo -> its stamp (``models.stamp``).
        left_out: kind of file that is no photo, or that the project does not read -> how many.
        missing: folders and photos that do not exist.
        broken: photos whose stamp cannot be read.
    """

    stamps: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    missing: list[str] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)


@dataclass(frozen=True)
class Change:
    """What changed in the wardrobe: photos were added or removed, or the folders were scanned again.

    Attributes:
        photos: different photos in the wardrobe now.
        garments: garments in them.
        counts: files by the keys ``COUNTS``. Each photo file of the scanned folders is either added, moved, changed or
            unchanged. Some of these are also duplicate (the bytes of another file) or unreadable (no image, or it
            cannot be opened). left_out counts files that are no photos, or of a kind that the project does not read.
        broken: the unreadable files.
        left_out: kind of file -> how many.
        missing: folders and photos that were added and do not exist any more.
        busy: another process or thread is adding photos, so nothing was done.
    """

    photos: int
    garments: int
    counts: dict[str, int]
    broken: list[Broken] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)
    missing: list[Path] = field(default_factory=list)
    busy: bool = False

    def lines(self) -> list[str]:
        """Lines for people: the counts, then each file that was not read."""
        if self.busy:
            return ["another process is adding photos: what it has not saved yet is not searched"]
        changes = [f"{self.counts[name]} {name}" for name in COUNTS[:-1] if self.counts[name]]
        lines = [f"{self.photos} photos, {self.garments} garments" + (f" ({', '.join(changes)})" if changes else "")]
        if self.left_out:
            kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.left_out.items()))
            lines.append(f"left out: {kinds}")
        lines += [f"not there, so its photos are not searched: {shown_path(path)}" for path in self.missing]
        return lines + [f"unreadable: {shown_path(photo.path)}: {photo.reason}" for photo in self.broken]


def absolute(path: Path) -> str:
    """The path by which the wardrobe knows a file, wherever the command was started; links stay as they are."""
    return os.path.normpath(path.absolute())


def scan(places: Sequence[str], left_out: Collection[str]) -> Scan:
    """The photos at ``places``, which are folders or photos, without the paths ``left_out`` below such a folder."""
    result = Scan()
    for place in places:
        out = [inside for inside in left_out if below(inside, place)]
        path = Path(place)
        if path.is_dir():
            for entry in walk(path):
                _take(result, entry.path, entry.kind, out)
        elif os.path.lexists(place):
            _take(result, path, "" if path.exists() else BROKEN, out)
        else:
            result.missing.append(place)
    return result


def _take(result: Scan, path: Path, kind: str, left_out: Collection[str]) -> None:
    if kind:
        if kind in (BROKEN, CLOSED):
            result.left_out[kind] += 1
    elif not is_image(path):
        result.left_out[f"{path.suffix.lower() or 'no suffix'}{f' ({UNREAD_MESSAGE})' if is_unread(path) else ''}"] += 1
    elif not any(below(str(path), out) for out in left_out):
        try:
            result.stamps[str(path)] = stamp(path)
        except OSError as error:
            result.broken.append(Broken(path, error.strerror or str(error)))


def scan_to_add(places: Iterable[Path], left_out: Collection[str]) -> Scan:
    """The photos at places that are to be added.

    Raises:
        StageError: a place does not exist, is a file that is no photo, or is a folder without photos.
    """
    result = Scan()
    for place in places:
        if not os.path.lexists(place):
            raise StageError(f"{place}: no such file or folder. Give photos of your clothes, or folders with them.")
        if not place.is_dir() and not is_image(place):
            reason = UNREAD_MESSAGE if is_unread(place) else "is no image"
            raise StageError(f"{place}: {reason}; expected a file named {', '.join(sorted(IMAGE_SUFFIXES))}.")
        scanned = scan([absolute(place)], left_out)
        if not scanned.stamps and not scanned.broken:
            rest = ", ".join(f"{count} {kind}" for kind, count in sorted(scanned.left_out.items()))
            raise StageError(
                f"{place}: no image in it{f' ({rest})' if rest else ''}; expected files named "
                f"{', '.join(sorted(IMAGE_SUFFIXES))}."
            )
        result.stamps |= scanned.stamps
        result.left_out += scanned.left_out
        result.broken += scanned.broken
    return result


def with_added(roots: Roots, places: Sequence[str]) -> Roots:
    """The roots after ``places`` were added: a folder covers everything below it, and leaves nothing of it out."""
    added = list(roots.added)
    for place in places:
        in_left_out = any(below(place, path) and path != place for path in roots.left_out)
        if in_left_out or not any(below(place, root) for root in added):
            added = [root for root in added if not below(root, place)] + [place]
    return Roots(sorted(added), [out for out in roots.left_out if not any(below(out, place) for place in places)])


def without(roots: Roots, places: Sequence[str]) -> Roots:
    """The roots after ``places`` were removed; a place below a folder that stays is left out from now on."""
    added = [root for root in roots.added if not any(below(root, place) for place in places)]
    left_out = [out for out in roots.left_out if any(below(out, root) for root in added)]
    left_out += [
        place
        for place in places
        if any(below(place, root) for root in added) and not any(below(place, out) for out in left_out)
    ]
    return Roots(added, sorted(left_out))


def count_changes(before: Collection[File], now: Collection[File]) -> Counter[str]:
    """Count the files of the scanned places by what happened to them; see ``Change``.

    A new path with the bytes of a path that is gone counts as moved. Each path that is gone explains at most one move.
    """
    old = {file.path: file for file in before}
    new = {file.path: file for file in now}
    gone = Counter(file.sha256 for file in before if file.path not in new and file.sha256)
    counts: Counter[str] = Counter()
    for file in now:
        if file.path in old:
            counts["unchanged" if file.sha256 == old[file.path].sha256 else "changed"] += 1
        elif file.sha256 and gone[file.sha256]:
            gone[file.sha256] -= 1
            counts["moved"] += 1
        else:
            counts["added"] += 1
    counts["removed"] = sum(file.path not in new for file in before) - counts["moved"]
    hashes = [file.sha256 for file in now if file.sha256]
    counts["duplicate"] = len(hashes) - len(set(hashes))
    return counts
