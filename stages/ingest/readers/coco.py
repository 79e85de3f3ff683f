"""COCO JSON: images, annotations with ``bbox`` [x, y, width, height] in pixels, and categories.

One file, or one for each split: ``train/_annotations.coco.json`` as Roboflow writes it, or
``annotations/instances_train2017.json`` as COCO itself. The split is that in the file's name or folder.
"""

import json
import re
from pathlib import Path, PurePosixPath
from typing import Any

from stages.core.errors import StageError, shown
from stages.ingest.readers.folders import SPLIT_FOLDERS
from stages.ingest.reading import (
    ImageFile,
    Reading,
    Request,
    box_row,
    image_files,
    numbers,
    require_folder,
    upstream_image,
)

KEYS = ("images", "annotations", "categories")
EXPECTED = "a JSON with images, annotations and categories, and the images beside it"
DEPTH = 3  # folders below the source's in which a JSON is looked for


def find_files(root: Path) -> dict[Path, dict[str, Any]]:
    """Every COCO JSON below a folder with its content; other JSONs are none of ours."""
    found = {}
    for path in sorted(root.rglob("*.json")):
        if len(path.relative_to(root).parts) > DEPTH:
            continue
        with path.open("rb") as stream:
            # Files of other tools (one JSON an image) are many and small: only what starts like this one is parsed.
            head = stream.read(1).lstrip(b"\xef\xbb\xbf \n")
        if head not in (b"{", b""):
            continue
        try:
            content = json.loads(path.read_bytes())
        except (ValueError, RecursionError):
            continue
        if isinstance(content, dict) and all(isinstance(content.get(key), list) for key in KEYS):
            found[path] = content
    return found


def split_of(path: Path, root: Path) -> str:
    """Our split that a file's name or folder tells, the nearest word first; "" where none does."""
    parts = [path.stem, *reversed(path.relative_to(root).parts[:-1])]
    words = [word for part in parts for word in re.findall(r"[a-z]+", part.lower())]
    return next((SPLIT_FOLDERS[word] for word in words if word in SPLIT_FOLDERS), "")


def read(request: Request) -> Reading:
    """Images and boxes; with several files an image's id is split and name, because names repeat across splits.

    Raises:
        StageError: no COCO JSON, or several that tell no split or the same one.
    """
    root = require_folder(request.root, request.source, EXPECTED)
    files = find_files(root)
    if not files:
        raise StageError(f"source {request.source}: no COCO JSON in {root}. Expected {EXPECTED}.")
    splits = {path: split_of(path, root) for path in files} if len(files) > 1 else dict.fromkeys(files, "")
    if len(files) > 1 and ("" in splits.values() or len(set(splits.values())) < len(files)):
        said = (f"{path.relative_to(root)}: {split or 'no split'}" for path, split in splits.items())
        raise StageError(f"{root}: several COCO files ({shown(said)}); expected one, or one for each of train, val and "
                         "test by name or folder. Move the others out.")  # fmt: skip
    own_test = {"val", "test"} <= set(splits.values())
    if len(files) > 1 and "train" not in splits.values():
        raise StageError(f"{root}: COCO files for {shown(splits.values())} and none for train. Expected one.")
    reading = Reading()
    for path, content in files.items():
        _File(path, content, splits[path], own_test, request, reading).read()
    return reading


class _File:
    """One JSON of a source."""

    def __init__(
        self, path: Path, content: dict[str, Any], split: str, own_test: bool, request: Request, reading: Reading
    ) -> None:
        self.path, self.content, self.split, self.own_test = path, content, split, own_test
        self.request, self.reading = request, reading
        self.key = path.relative_to(request.root).as_posix()
        self.images = request.account.ledger("images")
        self.objects = request.account.ledger("objects")

    def read(self) -> None:
        """Add the file's images and boxes."""
        beside = image_files(self.path.parent, self.images) if self.path.parent != self.request.root else {}
        files = beside or image_files(self._folder(), self.images)
        names = {
            str(entry.get("id")): str(entry.get("name"))
            for entry in self.content["categories"]
            if isinstance(entry, dict) and entry.get("name") not in (None, "")
        }
        ids = self._images(files)
        for number, entry in enumerate(self.content["annotations"], start=1):
            self._box(f"{self.key}:annotations:{number}", number, entry, names, ids)

    def _folder(self) -> Path:
        """Where a file that has no images beside it has them: the folder of its split, or all of the source."""
        root = self.request.root
        named = [
            path
            for base in (root, root / "images")
            if self.split and base.is_dir()
            for path in sorted(base.iterdir())
            if path.is_dir()
            and any(SPLIT_FOLDERS.get(word) == self.split for word in re.findall(r"[a-z]+", path.name.lower()))
        ]
        return named[0] if named else root

    def _images(self, files: dict[str, Path]) -> dict[str, str]:
        """The file's id of an image -> ours, "" where it is not there."""
        ids: dict[str, str] = {}
        used: set[str] = set()
        for number, entry in enumerate(self.content["images"], start=1):
            self.images.rows_in += 1
            name = entry.get("file_name") if isinstance(entry, dict) else None
            if not isinstance(name, str) or not name or "id" not in entry:
                self.images.reject(f"{self.key}:images:{number}", "malformed_row", str(entry)[:120])
                continue
            stem = PurePosixPath(name.replace("\\", "/")).stem
            if stem not in files:
                ids[str(entry["id"])] = ""
                self.images.reject(f"{self.key}:{name}", "missing_image", name)
                continue
            image_id = f"{self.split}-{stem}" if self.split else stem
            ids[str(entry["id"])] = image_id
            if image_id in used:
                self.images.reject(f"{self.key}:{name}", "duplicate_row", image_id)
                continue
            used.add(image_id)
            self._add(image_id, files[stem])
        for stem, file in files.items():
            if (f"{self.split}-{stem}" if self.split else stem) not in used:
                self.images.rows_in += 1
                self.images.reject(file.relative_to(self.request.root).as_posix(), "no_annotation")
        return ids

    def _add(self, image_id: str, file: Path) -> None:
        if not self.split or self.own_test:
            self.reading.images.append(ImageFile(image_id, file, self.split))
        else:
            upstream, share = "train" if self.split == "train" else "test", self.request.params.val_share
            self.reading.images.append(upstream_image(image_id, file, upstream, image_id, share))

    def _box(self, key: str, number: int, entry: Any, names: dict[str, str], ids: dict[str, str]) -> None:
        self.objects.rows_in += 1
        entry = entry if isinstance(entry, dict) else {}
        image_id = ids.get(str(entry.get("image_id")), "")
        name, box = names.get(str(entry.get("category_id"))), numbers(entry.get("bbox"))
        if not image_id:
            self.objects.reject(key, "image_rejected", f"image_id {entry.get('image_id')!r}")
        elif name is None:
            self.objects.reject(key, "malformed_box", f"category_id {entry.get('category_id')!r} is no category's")
        elif box is None:
            self.objects.reject(key, "malformed_box", f"bbox {entry.get('bbox')!r}"[:120])
        elif entry.get("iscrowd") == 1:
            self.objects.reject(key, "malformed_box", "iscrowd 1: a box around many")
        else:
            x, y, width, height = box
            self.reading.objects.append(box_row(f"{image_id}:{number}", image_id, name, [x, y, x + width, y + height]))
