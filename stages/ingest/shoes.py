"""The shoes data set: ``training|validation/<class>/*.jpg`` and one ``annotations_<class>.json`` for each class."""

from pathlib import Path

from stages.core.errors import StageError
from stages.core.files import read_json
from stages.ingest.reading import (
    ImageFile,
    Reading,
    Request,
    box_row,
    image_files,
    numbers,
    require_folder,
    upstream_split,
)

FOLDERS = {"training": "train", "validation": "validation"}
EXPECTED = "training/<class>/*.jpg, validation/<class>/*.jpg and annotations_<class>.json"


def read(request: Request) -> Reading:
    """Images and boxes; class_name is the class of the shoe.

    Raises:
        StageError: when there is no annotation file or an image folder is missing.
    """
    require_folder(request.root, request.source, EXPECTED)
    files = {path.stem.removeprefix("annotations_"): path for path in request.root.rglob("annotations_*.json")}
    if not files:
        raise StageError(f"{request.root}: no annotations_<class>.json. Expected {EXPECTED}.")
    reading = Reading()
    folders = {place.name for folder in FOLDERS for place in (request.root / folder).glob("*/")}
    for shoe in sorted(folders - set(files)):
        _read_class(shoe, Path(f"annotations_{shoe}.json"), {}, request, reading)
    for shoe, path in sorted(files.items()):
        content = read_json(path)
        if not isinstance(content, dict):
            raise StageError(f"{path}: expected an object of image names, found {type(content).__name__}.")
        _read_class(shoe, path, {Path(name).stem: boxes for name, boxes in content.items()}, request, reading)
    return reading


def _read_class(shoe: str, path: Path, boxes: dict[str, object], request: Request, reading: Reading) -> None:
    ledger, objects = request.account.ledger("images"), request.account.ledger("objects")
    for folder, upstream in FOLDERS.items():
        place = require_folder(request.root / folder, request.source, EXPECTED) / shoe
        for stem, file in image_files(place, ledger).items():
            ledger.rows_in += 1
            rows = boxes.pop(stem, None)
            if not isinstance(rows, list):
                ledger.reject(f"{folder}/{shoe}/{file.name}", "no_annotation", path.name)
                continue
            image_id = f"{shoe}-{folder}-{stem}"
            split = upstream_split(upstream, image_id, request.params.val_share)
            reading.images.append(ImageFile(image_id, file, split))
            for number, row in enumerate(rows, start=1):
                objects.rows_in += 1
                box = numbers(row)
                if box is None:
                    objects.reject(f"{path.name}:{stem}:{number}", "malformed_box", row)
                else:
                    reading.objects.append(box_row(f"{image_id}:{number}", image_id, shoe, box))
    for stem, rows in sorted(boxes.items()):
        ledger.rows_in += 1
        ledger.reject(f"{path.name}:{stem}", "missing_image")
        for number in range(len(rows) if isinstance(rows, list) else 0):
            objects.rows_in += 1
            objects.reject(f"{path.name}:{stem}:{number + 1}", "image_rejected", "missing_image")
