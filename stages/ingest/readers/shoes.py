"""The shoes data set: ``training|validation/<class>/*.jpg``, and boxes in one JSON for each class or in YOLO files."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stages.contracts.ledger import Account
from stages.core.errors import StageError
from stages.core.files import read_json
from stages.core.names import plain
from stages.ingest.box_repair import around
from stages.ingest.files import COMPANION_FOLDERS, Tree
from stages.ingest.lookup import Images, without_suffix
from stages.ingest.readers.yolo import read_labels, reject_labels
from stages.ingest.readers.yolo_layout import class_names
from stages.ingest.reading import (
    Reading,
    Request,
    box_row,
    numbers,
    require_folder,
    upstream_image,
)

FOLDERS = {"training": "train", "validation": "validation"}
EXPECTED = (
    "training/<class>/*.jpg, validation/<class>/*.jpg and annotations_<class>.json, or a YOLO .txt next to each image"
)


@dataclass
class Entries:
    """The entries of one annotation file: image stem -> its boxes, unchecked."""

    name: str
    boxes: dict[str, Any] = field(default_factory=dict)


def class_folders(root: Path) -> set[str]:
    """Classes that have an image folder."""
    names = {place.name for folder in FOLDERS for place in (root / folder).glob("*/")}
    return {name for name in names if name != "labels" and name.lower() not in COMPANION_FOLDERS}


def find_jsons(files: Tree) -> dict[tuple[str, str], Path]:
    """(folder, class) -> annotations_<class>.json; folder is empty for a file in neither of the two.

    Raises:
        StageError: two files have the boxes of the same images.
    """
    jsons: dict[tuple[str, str], Path] = {}
    for path in files.files(files.root, ".json", take=False):
        if not path.name.startswith("annotations_"):
            continue
        top = files.take(path).relative_to(files.root).parts[0]
        key = (top if top in FOLDERS else "", path.stem.removeprefix("annotations_"))
        if key in jsons:
            raise StageError(f"{path}: {jsons[key]} holds boxes of class {key[1]} as well. Keep one of the two.")
        jsons[key] = path
    return jsons


def read_entries(path: Path | None, shoe: str, images: Iterable[Images], account: Account) -> Entries:
    """The entries of a JSON by the ids of their images. If two names are of one image, the second is rejected.

    Without a file there are no entries.

    Raises:
        StageError: the file is not JSON, or not an object.
    """
    if path is None:
        return Entries(f"annotations_{shoe}.json")
    content = read_json(path)
    if not isinstance(content, dict):
        raise StageError(f"{path}: expected an object of image names, found {type(content).__name__}.")
    entries = Entries(path.name)
    for name, boxes in content.items():
        ids = (each.find(name).image_id for each in images)
        stem = next(filter(None, ids), "") or without_suffix(plain(name))
        if stem in entries.boxes:
            reject_entry(f"{path.name}:{name}", boxes, "ambiguous_name", account)
        else:
            entries.boxes[stem] = boxes
    return entries


def reject_entry(key: str, boxes: Any, reason: str, account: Account) -> None:
    """Record an entry without an image as rejected, with its boxes."""
    account.ledger("images").rows_in += 1
    account.ledger("images").reject(key, reason)
    reject_boxes(key, boxes, reason, account)


def reject_boxes(key: str, boxes: Any, reason: str, account: Account) -> None:
    """Record the boxes of an entry as rejected with their image."""
    objects = account.ledger("objects")
    for number in range(len(boxes) if isinstance(boxes, list) else 0):
        objects.rows_in += 1
        objects.reject(f"{key}:{number + 1}", "image_rejected", reason)


def find_labels(files: Tree, folder: str, shoe: str) -> list[tuple[str, Path]]:
    """Names without suffix and YOLO label files of a class, next to the images or in a labels folder."""
    root = files.root
    places = (
        root / folder / shoe,
        root / folder / shoe / "labels",
        root / folder / "labels" / shoe,
        root / "labels" / folder / shoe,
    )
    names: dict[Path, str] = {}
    for place in places:
        for path in files.files(place, ".txt") if place.is_dir() else []:
            name = path.relative_to(place).with_suffix("").as_posix()
            names.setdefault(path, name.removeprefix("labels/"))
    return [(name, path) for path, name in names.items()]


def label_names(files: Tree, classes: set[str]) -> list[str]:
    """Class names by number: from classes.txt if there is one, else the sorted classes."""
    places = (files.root / "classes.txt", files.root / "labels" / "classes.txt")
    lists = [path for path in places if path.is_file()]
    return class_names(files.take(lists[0])) if lists else sorted(classes)


def read(request: Request) -> Reading:
    """Images and boxes; class_name is the class of the shoe, by its folder.

    Raises:
        StageError: there is no annotation file, or an image folder is missing.
    """
    root = require_folder(request.root, request.source, EXPECTED)
    jsons = find_jsons(request.files)
    classes = class_folders(root) | {shoe for _, shoe in jsons}
    labels = {(folder, shoe): find_labels(request.files, folder, shoe) for folder in FOLDERS for shoe in classes}
    if not jsons and not any(labels.values()):
        raise StageError(f"{root}: no annotations_<class>.json. Expected {EXPECTED}.")
    for folder in FOLDERS:
        require_folder(root / folder, request.source, EXPECTED)
    names = label_names(request.files, classes)
    reading = Reading()
    for shoe in sorted(classes):
        _read_class(shoe, jsons, {folder: labels[folder, shoe] for folder in FOLDERS}, names, request, reading)
    return reading


def _read_class(
    shoe: str,
    jsons: dict[tuple[str, str], Path],
    labels: dict[str, list[tuple[str, Path]]],
    names: list[str],
    request: Request,
    reading: Reading,
) -> None:
    ledger, objects = request.account.ledger("images"), request.account.ledger("objects")
    images = {folder: request.files.images(request.root / folder / shoe) for folder in FOLDERS}
    shared = read_entries(jsons.get(("", shoe)), shoe, images.values(), request.account)
    own = {
        folder: read_entries(jsons.get((folder, shoe)), shoe, [images[folder]], request.account) for folder in FOLDERS
    }
    pairs = {folder: images[folder].pairs(labels[folder]) for folder in FOLDERS}
    # An entry of the shared JSON that fits images of both folders is ambiguous.
    wanting = {folder: set(images[folder].paths) - set(own[folder].boxes) for folder in FOLDERS}
    unclear = set.intersection(*wanting.values()) & set(shared.boxes)
    for folder, upstream in FOLDERS.items():
        for stem, file in images[folder].paths.items():
            ledger.rows_in += 1
            key = f"{folder}/{shoe}/{images[folder].name(file)}"
            label = pairs[folder][0].get(stem)
            entries = own[folder] if stem in own[folder].boxes else shared
            boxes = None if stem in unclear else entries.boxes.pop(stem, None)
            if boxes is None and label is None:
                ledger.reject(key, "ambiguous_name" if stem in unclear else "no_annotation", shared.name)
                continue
            if boxes is not None and not isinstance(boxes, list):
                ledger.reject(key, "malformed_row", f"{entries.name}: {str(boxes)[:120]}, expected a list of boxes")
                continue
            image_id = f"{shoe}-{folder}-{stem}"
            reading.images.append(upstream_image(image_id, file, upstream, image_id, request.params.val_share))
            if boxes is None:
                _read_label(label, shoe, image_id, names, request, reading)
                continue
            _add_boxes(boxes, f"{entries.name}:{stem}", shoe, image_id, request, reading)
            if label is not None:
                ledger.repair(key, "json_before_txt", label.relative_to(request.root).as_posix())
    for stem in sorted(unclear):
        reject_boxes(f"{shared.name}:{stem}", shared.boxes.pop(stem), "ambiguous_name", request.account)
    for entries in (shared, *own.values()):
        _reject_rest(entries, request)
    for folder, (_, rest) in pairs.items():
        for path, lookup in rest:
            key = path.relative_to(request.root).as_posix()
            ledger.rows_in += 1
            ledger.reject(key, lookup.reason, lookup.detail if lookup.reason != "missing_image" else "")
            reject_labels(path, key, lookup.reason, objects)
        images[folder].reject_rest(ledger, images[folder].paths, f"{folder}/{shoe}/")


def _reject_rest(entries: Entries, request: Request) -> None:
    for stem, boxes in sorted(entries.boxes.items()):
        reject_entry(f"{entries.name}:{stem}", boxes, "missing_image", request.account)


def _add_boxes(boxes: list[Any], key: str, shoe: str, image_id: str, request: Request, reading: Reading) -> None:
    objects = request.account.ledger("objects")
    for number, row in enumerate(boxes, start=1):
        objects.rows_in += 1
        box, object_id = numbers(row), f"{image_id}:{number}"
        if box is None and (box := around(row)):
            objects.repair(object_id, "polygon", f"{str(row)[:120]}")
        if box is None:
            objects.reject(f"{key}:{number}", "malformed_box", row)
            reading.lost.add(image_id)
            continue
        reading.objects.append(box_row(object_id, image_id, shoe, box))
        reading.units[object_id] = "display"


def _read_label(
    label: Path | None, shoe: str, image_id: str, names: list[str], request: Request, reading: Reading
) -> None:
    """The boxes of a YOLO file. The folder is the class, because labeling tools often number one class only."""
    assert label is not None
    key = label.relative_to(request.root).as_posix()
    first = len(reading.objects)
    read_labels(label, key, image_id, names, request.account.ledger("objects"), reading)
    for row in reading.objects[first:]:
        if row["class_name"] != shoe:
            request.account.ledger("objects").repair(row["object_id"], "class_of_folder", row["class_name"])
            row["class_name"] = shoe
