"""The generic catalogue: a folder of images and a CSV whose columns params name.

Boxes (header ``image,<class column>,x1,y1,x2,y2``, pixels, x2 and y2 exclusive) and splits (header
``<group column>,split``) are optional files of our own in the annotations folder. Groups that the splits
file does not name are split by hash. Reads `clothing-dataset` as published.
"""

from pathlib import Path

from stages.contracts.tables import SPLITS
from stages.core.errors import StageError, shown
from stages.core.files import read_csv
from stages.ingest.files import Images, without_suffix
from stages.ingest.reading import (
    CatalogueOptions,
    ImageFile,
    Reading,
    Request,
    box_row,
    numbers,
    require_folder,
)


def read(request: Request) -> Reading:
    """Items, their images, and boxes where there are any.

    Raises:
        StageError: when a file or a column is missing, or a split has another name than ours.
    """
    options = request.params.catalogue
    if options is None:
        raise StageError(f"params.yaml: `ingest.{request.source}.catalogue` is empty but reader catalogue needs it.")
    expected = f"{options.images}/*{options.suffix} and {options.table}"
    images = request.files.images(require_folder(request.root / options.images, request.source, expected))
    taken = {"item_id", "image_id", "group"} & set(options.item_columns)
    if taken:
        raise StageError(
            f"params.yaml: `ingest.{request.source}.catalogue.item_columns` has {shown(taken)}, names that ingest "
            "gives itself. Rename the column in the CSV, or leave it out."
        )
    columns = [options.image_column, options.group_column, *options.item_columns]
    rows = read_csv(request.files.take(request.root / options.table), columns)
    splits = _splits(request.annotations / options.splits, options) if options.splits else {}
    reading = Reading()
    ledger = request.account.ledger("items")
    seen: set[str] = set()
    for number, row in rows:
        ledger.rows_in += 1
        key = f"{options.table}:{number}"
        image_id, reason, detail = images.find(row[options.image_column])
        if image_id in seen:
            ledger.reject(key, "duplicate_row", image_id)
        elif reason:
            ledger.reject(key, reason, _looked_for(detail, options) if reason == "missing_image" else detail)
        else:
            seen.add(image_id)
            group = row[options.group_column]
            reading.items.append(
                {"item_id": image_id, "image_id": image_id, "group": group}
                | {column: row[column] for column in options.item_columns}
            )
            reading.images.append(ImageFile(image_id, images.paths[image_id], splits.get(group, ""), group))
    request.account.ledger("images").rows_in += len(seen)
    images.reject_rest(request.account.ledger("images"), seen, f"{options.images}/")
    if options.boxes:
        _read_boxes(request.annotations / options.boxes, images, options, request, reading)
    return reading


def _looked_for(name: str, options: CatalogueOptions) -> str:
    return f"{options.images}/{name}{options.suffix if without_suffix(name) == name else ''}"


def _splits(path: Path, options: CatalogueOptions) -> dict[str, str]:
    splits = {}
    for number, row in read_csv(path, [options.group_column, "split"]):
        if row["split"] not in SPLITS:
            raise StageError(f"{path}, line {number}: split {row['split']!r}; expected one of {shown(SPLITS)}.")
        splits[row[options.group_column]] = row["split"]
    return splits


def _read_boxes(path: Path, images: Images, options: CatalogueOptions, request: Request, reading: Reading) -> None:
    known = {image.image_id for image in reading.images}
    ledger = request.account.ledger("objects")
    counts: dict[str, int] = {}
    for number, row in read_csv(path, ["image", options.boxes_class_column, "x1", "y1", "x2", "y2"]):
        ledger.rows_in += 1
        key = f"{path.name}:{number}"
        image_id, reason, detail = images.find(row["image"])
        box = numbers([row[corner] for corner in ("x1", "y1", "x2", "y2")])
        if image_id not in known:
            ledger.reject(key, reason or "missing_image", detail or image_id)
        elif box is None:
            ledger.reject(key, "malformed_box", [row[corner] for corner in ("x1", "y1", "x2", "y2")])
            reading.lost.add(image_id)
        else:
            counts[image_id] = counts.get(image_id, 0) + 1
            name = f"{image_id}:{counts[image_id]}"
            reading.objects.append(box_row(name, image_id, row[options.boxes_class_column], box))
