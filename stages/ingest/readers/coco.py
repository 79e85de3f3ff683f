"""COCO JSON: images, annotations with ``bbox`` [x, y, width, height] in pixels, and categories.

One file, or one for each split: ``train/_annotations.coco.json`` as Roboflow writes it, or
``annotations/instances_train2017.json`` as COCO itself. The split is in the file's name or folder.
"""

import json
import re
from pathlib import Path
from typing import Any

from stages.core.errors import StageError, shown
from stages.core.names import plain
from stages.ingest.box_repair import around
from stages.ingest.files import Tree
from stages.ingest.lookup import Images
from stages.ingest.readers.folders import SPLIT_FOLDERS
from stages.ingest.reading import (
    ImageFile,
    Reading,
    Request,
    box_row,
    numbers,
    require_folder,
    upstream_image,
)

KEYS = ("images", "annotations", "categories")
EXPECTED = "a JSON with images, annotations and categories, and the images next to it"
DEPTH = 3  # levels of folders in which a JSON is searched


def find_files(tree: Tree) -> dict[Path, dict[str, Any]]:
    """Every COCO JSON below a source's root with its content; other JSONs are ignored."""
    files, root = {}, tree.root
    for path in tree.files(root, ".json", take=False):
        if len(path.relative_to(root).parts) > DEPTH:
            continue
        with path.open("rb") as stream:
            # Other tools write one JSON an image: only files that start like an object are parsed.
            head = stream.read(1).lstrip(b"\xef\xbb\xbf \n")
        if head not in (b"{", b""):
            continue
        try:
            content = json.loads(path.read_bytes())
        except (ValueError, RecursionError):
            continue
        if isinstance(content, dict) and all(isinstance(content.get(key), list) for key in KEYS):
            files[tree.take(path)] = content
    return files


def split_of(path: Path, root: Path) -> str:
    """The split in a file's name or folder, the nearest word first; "" if there is none."""
    names = [path.stem, *reversed(path.relative_to(root).parts[:-1])]
    words = [word for name in names for word in re.findall(r"[a-z]+", name.lower())]
    return next((SPLIT_FOLDERS[word] for word in words if word in SPLIT_FOLDERS), "")


def read(request: Request) -> Reading:
    """Images and boxes; with several files an image's id is split and name, because names repeat across splits.

    Raises:
        StageError: no COCO JSON, or several without a split or with the same one.
    """
    root = require_folder(request.root, request.source, EXPECTED)
    files = find_files(request.files)
    if not files:
        raise StageError(f"source {request.source}: no COCO JSON in {root}. Expected {EXPECTED}.")
    splits = {path: split_of(path, root) for path in files} if len(files) > 1 else dict.fromkeys(files, "")
    if len(files) > 1 and ("" in splits.values() or len(set(splits.values())) < len(files)):
        each = (f"{path.relative_to(root)}: {split or 'no split'}" for path, split in splits.items())
        raise StageError(f"{root}: several COCO files ({shown(each)}); expected one, or one for each of train, val and "
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
        tree = self.request.files
        in_folder = tree.images(self.path.parent, take=False) if self.path.parent != self.request.root else None
        images = tree.images(self.path.parent if in_folder else self._folder())
        names = {
            plain_id(entry.get("id")): plain(str(entry.get("name")).strip())
            for entry in self.content["categories"]
            if isinstance(entry, dict) and entry.get("name") not in (None, "")
        }
        ids = self._images(images)
        for number, entry in enumerate(self.content["annotations"], start=1):
            self._box(f"{self.key}:annotations:{number}", number, entry, names, ids)

    def _folder(self) -> Path:
        """Image folder of a file without images in its own folder: the folder of its split, or the source."""
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

    def _images(self, images: Images) -> dict[str, str]:
        """The file's id of an image -> our image_id, "" if the image is missing."""
        ids: dict[str, str] = {}
        used: set[str] = set()
        for number, entry in enumerate(self.content["images"], start=1):
            self.images.rows_in += 1
            name = entry.get("file_name") if isinstance(entry, dict) else None
            if not isinstance(name, str) or not name or "id" not in entry:
                self.images.reject(f"{self.key}:images:{number}", "malformed_row", str(entry)[:120])
                continue
            key, reason, detail = images.find(name)
            ids[plain_id(entry["id"])] = image_id = f"{self.split}/{key}" if self.split and key else key
            if reason or key in used:
                self.images.reject(f"{self.key}:{name}", reason or "duplicate_row", detail or image_id)
                continue
            used.add(key)
            size = numbers([entry.get("width"), entry.get("height")], 2)
            if size:
                self.reading.stated[image_id] = (int(size[0]), int(size[1]))
            self._add(image_id, images.paths[key])
        images.reject_rest(self.images, used)
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
        image_id = ids.get(plain_id(entry.get("image_id")), "")
        name, box = names.get(plain_id(entry.get("category_id"))), corners(entry.get("bbox"))
        if not image_id:
            self.objects.reject(key, "image_rejected", f"image_id {entry.get('image_id')!r}")
            return
        object_id = f"{image_id}:{number}"
        if box is None and (box := outline(entry.get("segmentation"))):
            self.objects.repair(object_id, "polygon", "no bbox, but a segmentation")
        problem = "" if box else f"bbox {entry.get('bbox')!r}"[:120]
        if name is None:
            problem = f"category_id {entry.get('category_id')!r} is no category's"
        elif entry.get("iscrowd") in (1, True):
            problem = "iscrowd: a box around many"
        if problem or box is None or name is None:
            self.objects.reject(key, "malformed_box", problem)
            self.reading.lost.add(image_id)
            return
        self.reading.objects.append(box_row(object_id, image_id, name, box))


def plain_id(value: Any) -> str:
    """An id as text; 1.0 is 1, as tables with gaps write whole numbers."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def corners(bbox: Any) -> list[float] | None:
    """[x1, y1, x2, y2] of COCO's [x, y, width, height]; None for other values."""
    values = numbers(bbox)
    return [values[0], values[1], values[0] + values[2], values[1] + values[3]] if values else None


def outline(segmentation: Any) -> list[float] | None:
    """The box around the polygons of a segmentation; None without polygons (a mask, or nothing)."""
    polygons = segmentation if isinstance(segmentation, list) else []
    flat = [value for polygon in polygons if isinstance(polygon, list) for value in polygon]
    values = numbers(flat, len(flat))
    return around(values) if values else None
