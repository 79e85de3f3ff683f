"""The shoes data set: ``training|validation/<class>/*.jpg``, and boxes in one JSON for each class or in YOLO files."""

from pathlib import Path
from typing import Any

from stages.core.errors import StageError
from stages.ingest.readers.shoes_files import (
    EXPECTED,
    FOLDERS,
    Entries,
    class_folders,
    find_jsons,
    find_labels,
    label_names,
    read_entries,
    reject_boxes,
    reject_entry,
)
from stages.ingest.readers.yolo_lines import read_labels, reject_labels
from stages.ingest.reading import (
    Reading,
    Request,
    box_row,
    image_files,
    numbers,
    require_folder,
    upstream_image,
)


def read(request: Request) -> Reading:
    """Images and boxes; class_name is the class of the shoe, which the folder says.

    Raises:
        StageError: when there is no annotation file or an image folder is missing.
    """
    root = require_folder(request.root, request.source, EXPECTED)
    jsons = find_jsons(root)
    classes = class_folders(root) | {shoe for _, shoe in jsons}
    labels = {(folder, shoe): find_labels(root, folder, shoe) for folder in FOLDERS for shoe in classes}
    if not jsons and not any(labels.values()):
        raise StageError(f"{root}: no annotations_<class>.json. Expected {EXPECTED}.")
    for folder in FOLDERS:
        require_folder(root / folder, request.source, EXPECTED)
    names = label_names(root, classes)
    reading = Reading()
    for shoe in sorted(classes):
        _read_class(shoe, jsons, {folder: labels[folder, shoe] for folder in FOLDERS}, names, request, reading)
    return reading


def _read_class(
    shoe: str,
    jsons: dict[tuple[str, str], Path],
    labels: dict[str, dict[str, Path]],
    names: list[str],
    request: Request,
    reading: Reading,
) -> None:
    ledger, objects = request.account.ledger("images"), request.account.ledger("objects")
    shared = read_entries(jsons.get(("", shoe)), shoe, request.account)
    own = {folder: read_entries(jsons.get((folder, shoe)), shoe, request.account) for folder in FOLDERS}
    images = {folder: image_files(request.root / folder / shoe, ledger) for folder in FOLDERS}
    # Where an entry of the shared JSON could be of either folder, nobody can tell whose boxes they are.
    wanting = {folder: set(images[folder]) - set(own[folder].boxes) for folder in FOLDERS}
    unclear = set.intersection(*wanting.values()) & set(shared.boxes)
    for folder, upstream in FOLDERS.items():
        for stem, file in images[folder].items():
            ledger.rows_in += 1
            key = f"{folder}/{shoe}/{file.name}"
            label = labels[folder].pop(stem, None)
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
    for path in (path for found in labels.values() for path in found.values()):
        key = path.relative_to(request.root).as_posix()
        ledger.rows_in += 1
        ledger.reject(key, "missing_image")
        reject_labels(path, key, "missing_image", objects)


def _reject_rest(entries: Entries, request: Request) -> None:
    for stem, boxes in sorted(entries.boxes.items()):
        reject_entry(f"{entries.name}:{stem}", boxes, "missing_image", request.account)


def _add_boxes(boxes: list[Any], key: str, shoe: str, image_id: str, request: Request, reading: Reading) -> None:
    objects = request.account.ledger("objects")
    for number, row in enumerate(boxes, start=1):
        objects.rows_in += 1
        box = numbers(row)
        if box is None:
            objects.reject(f"{key}:{number}", "malformed_box", row)
            continue
        object_id = f"{image_id}:{number}"
        reading.objects.append(box_row(object_id, image_id, shoe, box))
        reading.units[object_id] = "display"


def _read_label(
    label: Path | None, shoe: str, image_id: str, names: list[str], request: Request, reading: Reading
) -> None:
    """A YOLO file's boxes; the folder is the class, because labelling tools often number one class only."""
    assert label is not None
    key = label.relative_to(request.root).as_posix()
    first = len(reading.objects)
    read_labels(label, key, image_id, names, request.account.ledger("objects"), reading)
    for row in reading.objects[first:]:
        if row["class_name"] != shoe:
            request.account.ledger("objects").repair(row["object_id"], "class_of_folder", row["class_name"])
            row["class_name"] = shoe
