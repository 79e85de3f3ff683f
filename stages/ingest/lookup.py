"""Find the image that a list names: without its suffix, in other capitals, as a path of another machine.

Every reader, `make match` and `make add` look names up here, so they all find the same images.
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


def path_segments(name: str) -> tuple[list[str], bool]:
    """The segments of a path in a list, and whether the path is absolute. The path may be of any machine.

    An address (``https://...``) counts as its path, without the query; in an address of Label Studio's local files the
    query is the path.
    """
    text = plain(name.strip().replace("\\", "/"))
    if LOCAL_FILES in text:
        text = "/" + plain(unquote(text.split(LOCAL_FILES, 1)[1]))
    elif "://" in text:
        address = urlsplit(text)
        text = plain(f"/{address.netloc}{unquote(address.path)}")
    drive = len(text) > 1 and text[1] == ":" and text[0].isalpha()
    segments = [segment for segment in text[2 * drive :].split("/") if segment not in ("", ".")]
    return segments, drive or text.startswith("/")


LOCAL_FILES = "/data/local-files/?d="
_UPLOADED = re.compile(r"(?!(?:19|20)\d{6}-)[0-9a-f]{8}-(?=.)")  # and no date


def _as_tools_write(name: str) -> Iterator[str]:
    """Other spellings of a name: decoded from an address, without the code that Label Studio puts in front of it, or
    without the folders above (``../``) that it was written from.
    """
    segments, _ = path_segments(name)
    below = segments[len(segments) - segments[::-1].index("..") :] if ".." in segments else []
    if len(below) > 1:  # a bare name in a folder above is no file here
        yield "/" + "/".join(below)
    if "%" in name and (decoded := unquote(name)) != name:
        yield decoded
    if "upload" in segments[-3:-1]:  # Label Studio's own folder
        yield segments[-1]
    if segments and (code := _UPLOADED.match(segments[-1])):
        yield segments[-1][code.end() :]


def look_up(folder: Path, segments: Sequence[str]) -> Path | None:
    """The file or folder at this path below a folder, in other capitals too; None if there is none, or several."""
    if (path := folder.joinpath(*segments)).exists():
        return path
    path = folder
    for segment in segments:
        alike = [entry for entry in path.iterdir() if folded(entry.name) == folded(segment)] if path.is_dir() else []
        if len(alike) != 1:
            return None
        path = alike[0]
    return path if path.exists() else None


class Match(NamedTuple):
    """The image that a name leads to: its id, or the reason why there is none."""

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
        """A file's path below the folder, with its suffix. An archive from Windows may have ``\\`` in a file name."""
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

    def find(self, name: str) -> Match:
        """The image that a list calls ``name``.

        The name may have other capitals, another suffix or none, be a path of another machine, or the end of a path
        that only one image has. The reason is missing_image, unread_format, broken_link, or ambiguous_name if several
        images fit.
        """
        exact = self._find(name)
        if exact.reason == "missing_image":
            guesses = (self._find(variant) for variant in _as_tools_write(name))
            return next((variant for variant in guesses if variant.reason != "missing_image"), exact)
        return exact

    def _find(self, name: str) -> Match:
        segments, absolute = path_segments(name)
        if not segments or ".." in segments:
            return Match("", "missing_image", name)
        # A path may start anywhere above: what follows the folder's own name, or any end of an absolute one.
        above = [plain(segment) for segment in self.folder.parts[-1:]]
        starts = [
            start for start in range(len(segments)) if not start or absolute or segments[start - 1 : start] == above
        ]
        ends = ["/".join(segments[start:]) for start in starts]
        for end in ends:
            if key := self.exact(end):
                return Match(key)
            keys = next((self._folded[variant] for variant in _variants(end) if variant in self._folded), [])
            if keys:
                return _only(keys, name)
        for end in ends:
            for kinds, reason, detail in (
                (self._unread, "unread_format", UNREAD_MESSAGE),
                (self._broken, "broken_link", BROKEN_SAID),
            ):
                if path := kinds.get(without_suffix(end)):
                    return Match("", reason, f"{self.name(path)}: {detail}")
        if self._ends is None:
            self._ends = _index_ends([*self.paths, *self._unread])
        # Not every end of an absolute path: x/1.jpg that is not there is no reason to take y/1.jpg.
        for end in ends if len(segments) == 1 or not absolute else []:
            if keys := next((self._ends[variant] for variant in _variants(end) if variant in self._ends), []):
                if len(keys) == 1 and keys[0] in self._unread:
                    return Match("", "unread_format", f"{self.name(self._unread[keys[0]])}: {UNREAD_MESSAGE}")
                return _only(keys, name)
        return Match("", "missing_image", name)

    def pairs(self, names: Sequence[tuple[str, Path]]) -> tuple[dict[str, Path], list[tuple[Path, Match]]]:
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
            match, base = self.find(name), name.rsplit("/", 1)[-1]
            if match.reason == "missing_image" and times[folded(without_suffix(base))] == 1:
                match = self.find(base)  # the annotations have folders that the images have not
            if match.image_id in matched:
                match = Match("", "duplicate_row", f"{match.image_id} has {plain(matched[match.image_id].name)}")
            if match.image_id:
                matched[match.image_id] = path
            else:
                rest.append((path, match))
        return matched, rest

    def reject_rest(self, ledger: Ledger, named: Collection[str], where: str = "") -> None:
        """Reject every file that is no image of the source: it has no annotation, its name is taken, its format is not
        read, or it is a broken link.

        Args:
            named: ids that are in the ledger already.
            where: prefix of the names, such as ``images/``.
        """
        rejected = [(path, "no_annotation", "") for key, path in self.paths.items() if key not in named]
        rejected += [(path, "ambiguous_name", self.paths[self._key(path)].name) for path in self._spare.values()]
        rejected += [(path, "unread_format", UNREAD_MESSAGE) for path in self._unread.values()]
        rejected += [(path, "broken_link", BROKEN_SAID) for path in self._broken.values()]
        for path, reason, detail in rejected:
            ledger.rows_in += 1
            ledger.reject(where + self.name(path), reason, detail)


BROKEN_SAID = "the link leads nowhere"
UNREAD_MESSAGE = "a kind of picture that is not read; save it as JPEG or PNG"


def _variants(end: str) -> tuple[str, str]:
    return folded(end), folded(without_suffix(end))


def _only(keys: list[str], name: str) -> Match:
    return Match(keys[0]) if len(keys) == 1 else Match("", "ambiguous_name", f"{name}: {' or '.join(keys[:4])}")


def _index_ends(keys: Iterable[str]) -> dict[str, list[str]]:
    """End of a path, folded -> the keys that end so."""
    ends: dict[str, list[str]] = {}
    for key in keys:
        segments = key.casefold().split("/")
        for start in range(1, len(segments)):
            ends.setdefault("/".join(segments[start:]), []).append(key)
    return ends
