"""The generic catalogue: a folder of images and a CSV whose columns params name.

Boxes (header ``image,<class column>,x1,y1,x2,y2``, pixels, x2 and y2 exclusive) and splits (header
``<group column>,split``) are optional files of our own in the annotations folder. Groups that the splits
file does not name are split by hash. Reads `clothing-dataset` as published.
"""

import csv
import io
from pathlib import Path

from stages.contracts.tables import SPLITS
from stages.core.errors import StageError, shown
from stages.ingest.reading import (
    CatalogueOptions,
    ImageFile,
    Reading,
    Request,
    box_row,
    image_files,
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
    images = image_files(
        require_folder(request.root / options.images, request.source, expected), request.account.ledger("images")
    )
    taken = {"item_id", "image_id", "group"} & set(options.item_columns)
    if taken:
        raise StageError(
            f"params.yaml: `ingest.{request.source}.catalogue.item_columns` has {shown(taken)}, names that ingest "
            "gives itself. Rename the column in the CSV, or leave it out."
        )
    columns = [options.image_column, options.group_column, *options.item_columns]
    rows = read_csv(request.root / options.table, columns)
    splits = _splits(request.annotations / options.splits, options) if options.splits else {}
    reading = Reading()
    ledger = request.account.ledger("items")
    seen: set[str] = set()
    for number, row in rows:
        ledger.rows_in += 1
        key = f"{options.table}:{number}"
        image_id = row[options.image_column].removesuffix(options.suffix)
        if image_id in seen:
            ledger.reject(key, "duplicate_row", image_id)
        elif image_id not in images:
            ledger.reject(key, "missing_image", f"{options.images}/{image_id}{options.suffix}")
        else:
            seen.add(image_id)
            group = row[options.group_column]
            reading.items.append(
                {"item_id": image_id, "image_id": image_id, "group": group}
                | {column: row[column] for column in options.item_columns}
            )
            reading.images.append(ImageFile(image_id, images[image_id], splits.get(group, ""), group))
    request.account.ledger("images").rows_in += len(images)
    for stem, file in images.items():
        if stem not in seen:
            request.account.ledger("images").reject(f"{options.images}/{file.name}", "no_annotation")
    if options.boxes:
        _read_boxes(request.annotations / options.boxes, options, request, reading)
    return reading


def read_csv(path: Path, columns: list[str]) -> list[tuple[int, dict[str, str]]]:
    """Rows of a CSV with their line numbers, values as strings.

    Raises:
        StageError: when the file or one of ``columns`` is missing, or it has no rows.
    """
    if not path.is_file():
        raise StageError(f"{path}: no such file. Expected a CSV with columns {', '.join(columns)}.")
    try:
        text = path.read_text(encoding="utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""))
        header = reader.fieldnames or []
        rows = [(reader.line_num, {name: value or "" for name, value in row.items()}) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise StageError(f"{path}: not a CSV in UTF-8 ({error}). Save it as CSV UTF-8.") from None
    missing = [column for column in columns if column not in header]
    if missing:
        raise StageError(
            f"{path}, line 1: no column {shown(missing)}; it has {shown(header)}. "
            "Correct the column names in params.yaml."
        )
    if not rows:
        raise StageError(f"{path}: a header but no rows. Expected one row for each image.")
    return rows


def _splits(path: Path, options: CatalogueOptions) -> dict[str, str]:
    splits = {}
    for number, row in read_csv(path, [options.group_column, "split"]):
        if row["split"] not in SPLITS:
            raise StageError(f"{path}, line {number}: split {row['split']!r}; expected one of {shown(SPLITS)}.")
        splits[row[options.group_column]] = row["split"]
    return splits


def _read_boxes(path: Path, options: CatalogueOptions, request: Request, reading: Reading) -> None:
    known = {image.image_id for image in reading.images}
    ledger = request.account.ledger("objects")
    counts: dict[str, int] = {}
    for number, row in read_csv(path, ["image", options.boxes_class_column, "x1", "y1", "x2", "y2"]):
        ledger.rows_in += 1
        key = f"{path.name}:{number}"
        image_id = row["image"].removesuffix(options.suffix)
        box = numbers([row[corner] for corner in ("x1", "y1", "x2", "y2")])
        if image_id not in known:
            ledger.reject(key, "missing_image", image_id)
        elif box is None:
            ledger.reject(key, "malformed_box", [row[corner] for corner in ("x1", "y1", "x2", "y2")])
        else:
            counts[image_id] = counts.get(image_id, 0) + 1
            name = f"{image_id}:{counts[image_id]}"
            reading.objects.append(box_row(name, image_id, row[options.boxes_class_column], box))
