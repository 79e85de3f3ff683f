"""How a name of a list finds an image: without its suffix, in other capitals, as a path of another machine.

This is the one place for it: every reader, `make match` and `make add` look names up here.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from stages.contracts.images import IMAGE_SUFFIXES, UNREAD_SUFFIXES
from stages.contracts.ledger import Ledger
from stages.core.names import folded, plain


def without_suffix(name: str) -> str:
    """A name without the suffix of an image, if it has one: ``v1.2`` keeps its 2."""
    stem, dot, suffix = name.rpartition(".")
    known = f".{suffix.lower()}" in IMAGE_SUFFIXES or f".{suffix.lower()}" in UNREAD_SUFFIXES
    return stem if dot and known and stem and not stem.endswith("/") else name


def path_parts(name: str) -> tuple[list[str], bool]:
    """The parts of a path that a list holds, written on whatever machine, and whether it is absolute; of an address
    as shops export them the path, without what follows a question mark, unless Label Studio wrote the path there.
    """
    text = plain(name.strip().replace("\\", "/"))
    if LOCAL_FILES in text:
        text = "/" + plain(unquote(text.split(LOCAL_FILES, 1)[1]))
    elif "://" in text:
        address = urlsplit(text)
        text = plain(f"/{address.netloc}{unquote(address.path)}")
    drive = len(text) > 1 and text[1] == ":" and text[0].isalpha()
    parts = [part for part in text[2 * drive :].split("/") if part not in ("", ".")]
    return parts, drive or text.startswith("/")


LOCAL_FILES = "/data/local-files/?d="
_UPLOADED = re.compile(r"(?!(?:19|20)\d{6}-)[0-9a-f]{8}-(?=.)")  # and no date


def _as_tools_write(name: str) -> Iterator[str]:
    """What a name may be of a file that a tool had: as in an address, with the code that Label Studio puts before it,
    or seen from a folder elsewhere.
    """
    parts, _ = path_parts(name)
    below = parts[len(parts) - parts[::-1].index("..") :] if ".." in parts else []
    if len(below) > 1:  # a bare name in a folder above is no file here
        yield "/" + "/".join(below)
    if "%" in name and (decoded := unquote(name)) != name:
        yield decoded
    if "upload" in parts[-3:-1]:  # Label Studio's own folder
        yield parts[-1]
    if parts and (code := _UPLOADED.match(parts[-1])):
        yield parts[-1][code.end() :]


def look_up(folder: Path, parts: Sequence[str]) -> Path | None:
    """What these parts of a path lead to below a folder, in other capitals too; None: nothing, or several things."""
    if (path := folder.joinpath(*parts)).exists():
        return path
    path = folder
    for part in parts:
        alike = [entry for entry in path.iterdir() if folded(entry.name) == folded(part)] if path.is_dir() else []
        if len(alike) != 1:
            return None
        path = alike[0]
    return path if path.exists() else None


class Found(NamedTuple):
    """What a name leads to: an image's id, or why it leads to none."""

    image_id: str
    reason: str = ""
    detail: str = ""


class Images:
    """Images below a folder. An image's id is its path below that folder, without suffix.

    Attributes:
        folder: where they lie.
        paths: image_id -> file, sorted by path.
    """

    def __init__(
        self,
        folder: Path,
        files: Iterable[Path],
        unread: Iterable[Path] = (),
        broken: Iterable[Path] = (),
        renamed: dict[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.paths: dict[str, Path] = {}
        self._renamed = renamed or {}
        self._spare: dict[str, Path] = {}  # name with suffix -> file whose id another file has
        self._unread = {self._key(path): path for path in unread}
        self._broken = {self._key(path): path for path in broken}
        self._folded: dict[str, list[str]] = {}
        self._ends: dict[str, list[str]] | None = None
        for path in files:
            key = self._key(path)
            if key in self.paths:
                self._spare[self.name(path)] = path
            else:
                self._add(key, path)

    def __len__(self) -> int:
        return len(self.paths)

    def _add(self, key: str, path: Path) -> None:
        self.paths[key] = path
        self._folded.setdefault(key.casefold(), []).append(key)
        self._ends = None

    def name(self, path: Path) -> str:
        """A file's path below the folder, with its suffix; an archive of Windows may hold it as one name."""
        return plain(path.relative_to(self.folder).as_posix().replace("\\", "/"))

    def _key(self, path: Path) -> str:
        key = self.name(path.with_suffix(""))
        start = next((start for start in self._renamed if key.startswith(start)), None)
        return key if start is None else self._renamed[start] + key.removeprefix(start)

    def exact(self, name: str) -> str:
        """The id of the image with this path below the folder, with its suffix or without; empty: there is none."""
        name = plain(name)
        if name in self._spare:  # two files of one name: this is the one that is meant
            self._add(name, self._spare.pop(name))
        stem = without_suffix(name)
        if stem in self.paths and plain(self.paths[stem].name) == name.rsplit("/", 1)[-1]:
            return stem
        return next((key for key in (name, stem) if key in self.paths), "")

    def find(self, name: str) -> Found:
        """The image that a list calls ``name``: in other capitals, with another suffix or none, a path of another
        machine, or the end of a path that only one image has.

        The reason is missing_image, unread_format, broken_link, or ambiguous_name where several images could be meant.
        """
        found = self._find(name)
        if found.reason == "missing_image":
            others = (self._find(other) for other in _as_tools_write(name))
            return next((other for other in others if other.reason != "missing_image"), found)
        return found

    def _find(self, name: str) -> Found:
        parts, absolute = path_parts(name)
        if not parts or ".." in parts:
            return Found("", "missing_image", name)
        # A path may start anywhere above: what follows the folder's own name, or any end of an absolute one.
        above = [plain(part) for part in self.folder.parts[-1:]]
        starts = [start for start in range(len(parts)) if not start or absolute or parts[start - 1 : start] == above]
        ends = ["/".join(parts[start:]) for start in starts]
        for end in ends:
            if key := self.exact(end):
                return Found(key)
            keys = next((self._folded[one] for one in _variants(end) if one in self._folded), [])
            if keys:
                return _only(keys, name)
        for end in ends:
            for kinds, reason, said in (
                (self._unread, "unread_format", UNREAD_SAID),
                (self._broken, "broken_link", BROKEN_SAID),
            ):
                if path := kinds.get(without_suffix(end)):
                    return Found("", reason, f"{self.name(path)}: {said}")
        if self._ends is None:
            self._ends = _index_ends([*self.paths, *self._unread])
        # Not every end of an absolute path: x/1.jpg that is not there is no reason to take y/1.jpg.
        for end in ends if len(parts) == 1 or not absolute else []:
            if keys := next((self._ends[one] for one in _variants(end) if one in self._ends), []):
                if len(keys) == 1 and keys[0] in self._unread:
                    return Found("", "unread_format", f"{self.name(self._unread[keys[0]])}: {UNREAD_SAID}")
                return _only(keys, name)
        return Found("", "missing_image", name)

    def pairs(self, names: Sequence[tuple[str, Path]]) -> tuple[dict[str, Path], list[tuple[Path, Found]]]:
        """Annotation files and the images they belong to: image_id -> file, and the files that have no image.

        Args:
            names: path of an annotation below its folder, without suffix, and the file.
        """
        matched: dict[str, Path] = {}
        later, rest = [], []
        for name, path in names:
            key = self.exact(name)
            if key and key not in matched:
                matched[key] = path
            else:
                later.append((name, path))
        times = Counter(folded(without_suffix(name).rsplit("/", 1)[-1]) for name, _ in names)
        for name, path in later:
            found, base = self.find(name), name.rsplit("/", 1)[-1]
            if found.reason == "missing_image" and times[folded(without_suffix(base))] == 1:
                found = self.find(base)  # the annotations have folders that the images have not
            if found.image_id in matched:
                found = Found("", "duplicate_row", f"{found.image_id} has {plain(matched[found.image_id].name)}")
            if found.image_id:
                matched[found.image_id] = path
            else:
                rest.append((path, found))
        return matched, rest

    def reject_rest(self, ledger: Ledger, named: Collection[str], where: str = "") -> None:
        """Put on record every file that is no image of the source: without annotation, of a name that is taken, of a
        kind that is not read, a broken link.

        Args:
            named: ids that are in the ledger already.
            where: what stands before the names, such as ``images/``.
        """
        rejected = [(path, "no_annotation", "") for key, path in self.paths.items() if key not in named]
        rejected += [(path, "ambiguous_name", self.paths[self._key(path)].name) for path in self._spare.values()]
        rejected += [(path, "unread_format", UNREAD_SAID) for path in self._unread.values()]
        rejected += [(path, "broken_link", BROKEN_SAID) for path in self._broken.values()]
        for path, reason, detail in rejected:
            ledger.rows_in += 1
            ledger.reject(where + self.name(path), reason, detail)


BROKEN_SAID = "the link leads nowhere"
UNREAD_SAID = "a kind of picture that is not read; save it as JPEG or PNG"


def _variants(end: str) -> tuple[str, str]:
    return folded(end), folded(without_suffix(end))


def _only(keys: list[str], name: str) -> Found:
    return Found(keys[0]) if len(keys) == 1 else Found("", "ambiguous_name", f"{name}: {' or '.join(keys[:4])}")


def _index_ends(keys: Iterable[str]) -> dict[str, list[str]]:
    """Every end of a path, folded -> the keys that end so."""
    ends: dict[str, list[str]] = {}
    for key in keys:
        parts = key.casefold().split("/")
        for start in range(1, len(parts)):
            ends.setdefault("/".join(parts[start:]), []).append(key)
    return ends
