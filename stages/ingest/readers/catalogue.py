"""The generic catalogue: a folder of images and a table whose columns params name.

Boxes (header ``image,<class column>,x1,y1,x2,y2`` or ``xmin,ymin,xmax,ymax``, pixels, x2 and y2 exclusive) and splits
(header ``<group column>,split``) are optional tables, of our own in the annotations folder or the owner's beside the
images. Groups that the splits file does not name are split by hash. Reads `clothing-dataset` as published.
"""

import csv
import io
from pathlib import Path

from stages.contracts.tables import SPLITS
from stages.core.errors import StageError, shown
from stages.ingest.readers.table_rows import read_rows
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
    grouped = [options.group_column] if options.group_column else []
    rows = read_rows(request.root / options.table, [options.image_column, *grouped, *options.item_columns]).rows
    splits = _splits(_beside(options.splits, request), options) if options.splits else {}
    reading = Reading()
    ledger = request.account.ledger("items")
    seen: set[str] = set()
    for number, row in rows:
        ledger.rows_in += 1
        key = f"{options.table}:{number}"
        image_id = row[options.image_column].removesuffix(options.suffix)
        if image_id in seen and options.boxes == options.table:
            ledger.rows_in -= 1  # a row a box: they are counted there
        elif image_id in seen:
            ledger.reject(key, "duplicate_row", image_id)
        elif image_id not in images:
            ledger.reject(key, "missing_image", f"{options.images}/{image_id}{options.suffix}")
        else:
            seen.add(image_id)
            group = row[options.group_column] if options.group_column else ""
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
        _read_boxes(_beside(options.boxes, request), options, request, reading)
    return reading


def _beside(name: str, request: Request) -> Path:
    """A table in the annotations folder, else in the source's own."""
    own = request.annotations / name
    return own if own.is_file() or not (request.root / name).is_file() else request.root / name


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


CORNERS = (("x1", "y1", "x2", "y2"), ("xmin", "ymin", "xmax", "ymax"))


def box_columns(columns: list[str], image_column: str) -> tuple[str, tuple[str, ...]] | None:
    """The columns of a box table with the image's name and the four corners; None where it is no such table."""
    image = next((name for name in ("image", image_column) if name in columns), None)
    corners = next((names for names in CORNERS if set(names) <= set(columns)), None)
    return (image, corners) if image and corners else None


def _splits(path: Path, options: CatalogueOptions) -> dict[str, str]:
    splits = {}
    if options.group_column is None:
        raise StageError(f"{path}: splits are by group, and the params name no `group_column`. Name one, or no splits.")
    for number, row in read_rows(path, [options.group_column, "split"]).rows:
        if row["split"] not in SPLITS:
            raise StageError(f"{path}, line {number}: split {row['split']!r}; expected one of {shown(SPLITS)}.")
        splits[row[options.group_column]] = row["split"]
    return splits


def _read_boxes(path: Path, options: CatalogueOptions, request: Request, reading: Reading) -> None:
    known = {image.image_id for image in reading.images}
    ledger = request.account.ledger("objects")
    counts: dict[str, int] = {}
    table = read_rows(path)
    image, corners = box_columns(table.columns, options.image_column) or ("image", CORNERS[0])
    for number, row in read_rows(path, [image, options.boxes_class_column, *corners]).rows:
        ledger.rows_in += 1
        key = f"{path.name}:{number}"
        image_id = row[image].removesuffix(options.suffix)
        box = numbers([row[corner] for corner in corners])
        if image_id not in known:
            ledger.reject(key, "missing_image", image_id)
        elif box is None:
            ledger.reject(key, "malformed_box", [row[corner] for corner in corners])
        else:
            counts[image_id] = counts.get(image_id, 0) + 1
            name = f"{image_id}:{counts[image_id]}"
            reading.objects.append(box_row(name, image_id, row[options.boxes_class_column], box))
