"""The generic catalogue: a folder of images and a table whose columns params name.

Boxes (header ``image,<class column>,x1,y1,x2,y2`` or ``xmin,ymin,xmax,ymax``, pixels, x2 and y2 exclusive) and splits
(header ``<group column>,split``) are optional tables, in the annotations folder or next to the images. Groups that the
splits file does not name are split as the table's own split column says, else by hash. The reader reads
`clothing-dataset` as published.
"""

from pathlib import Path

from stages.contracts.tables import SPLITS
from stages.core.errors import StageError, shown
from stages.core.table_rows import read_rows
from stages.ingest.lookup import Images, without_suffix
from stages.ingest.readers.folders import split_word
from stages.ingest.reading import (
    CatalogueOptions,
    ImageFile,
    Reading,
    Request,
    box_row,
    numbers,
    require_folder,
    split_image,
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
    further = [name for name in (options.group_column, options.split_column) if name]
    table = request.files.take(request.root / options.table)
    rows = read_rows(table, [options.image_column, *further, *options.item_columns]).rows
    splits = _splits(_table_path(options.splits, request), options) if options.splits else {}
    own = _own_splits(rows, options.split_column, table) if options.split_column else {}
    reading = Reading()
    ledger = request.account.ledger("items")
    seen: set[str] = set()
    for number, row in rows:
        ledger.rows_in += 1
        key = f"{options.table}:{number}"
        image_id, reason, detail = images.find(row[options.image_column])
        if image_id in seen and options.boxes == options.table:
            ledger.rows_in -= 1  # a row a box: they are counted there
        elif image_id in seen:
            ledger.reject(key, "duplicate_row", image_id)
        elif reason:
            ledger.reject(key, reason, _looked_for(detail, options) if reason == "missing_image" else detail)
        else:
            seen.add(image_id)
            group = row[options.group_column] if options.group_column else ""
            reading.items.append(
                {"item_id": image_id, "image_id": image_id, "group": group}
                | {column: row[column] for column in options.item_columns}
            )
            path = images.paths[image_id]
            if group in splits:
                reading.images.append(ImageFile(image_id, path, splits[group], group))
            else:
                split, share = own.get(number, ""), request.params.val_share
                reading.images.append(split_image(image_id, path, split, group, set(own.values()), share))
    request.account.ledger("images").rows_in += len(seen)
    images.reject_rest(request.account.ledger("images"), seen, f"{options.images}/")
    if options.boxes:
        _read_boxes(_table_path(options.boxes, request), images, options, request, reading)
    return reading


def _table_path(name: str, request: Request) -> Path:
    """The path of a table: in the annotations folder, else in the source's own."""
    own = request.annotations / name
    return own if own.is_file() or not (request.root / name).is_file() else request.files.take(request.root / name)


def _looked_for(name: str, options: CatalogueOptions) -> str:
    return f"{options.images}/{name}{options.suffix if without_suffix(name) == name else ''}"


CORNERS = (("x1", "y1", "x2", "y2"), ("xmin", "ymin", "xmax", "ymax"))


def box_columns(columns: list[str], image_column: str) -> tuple[str, tuple[str, ...]] | None:
    """The columns of a box table with the image's name and the four corners; None where it is no such table."""
    image = next((name for name in ("image", image_column) if name in columns), None)
    corners = next((names for names in CORNERS if set(names) <= set(columns)), None)
    return (image, corners) if image and corners else None


def _own_splits(rows: list[tuple[int, dict[str, str]]], column: str, table: Path) -> dict[int, str]:
    """Line -> our split, of the rows that say one."""
    splits = {}
    for number, row in rows:
        if not row[column]:
            continue
        split = split_word(row[column])
        if split is None:
            raise StageError(
                f"{table}, line {number}: `{column}` is {row[column]!r}; expected train, val or test, or nothing. "
                "Correct the row, or take `split_column` out of the params."
            )
        splits[number] = split
    return splits


def _splits(path: Path, options: CatalogueOptions) -> dict[str, str]:
    splits = {}
    if options.group_column is None:
        raise StageError(f"{path}: splits are by group, and the params name no `group_column`. Name one, or no splits.")
    for number, row in read_rows(path, [options.group_column, "split"]).rows:
        if row["split"] not in SPLITS:
            raise StageError(f"{path}, line {number}: split {row['split']!r}; expected one of {shown(SPLITS)}.")
        splits[row[options.group_column]] = row["split"]
    return splits


def _read_boxes(path: Path, images: Images, options: CatalogueOptions, request: Request, reading: Reading) -> None:
    known = {image.image_id for image in reading.images}
    ledger = request.account.ledger("objects")
    counts: dict[str, int] = {}
    table = read_rows(path)
    image, corners = box_columns(table.columns, options.image_column) or ("image", CORNERS[0])
    for number, row in read_rows(path, [image, options.boxes_class_column, *corners]).rows:
        ledger.rows_in += 1
        key = f"{path.name}:{number}"
        image_id, reason, detail = images.find(row[image])
        box = numbers([row[corner] for corner in corners])
        if image_id not in known:
            ledger.reject(key, reason or "missing_image", detail or image_id)
        elif box is None:
            ledger.reject(key, "malformed_box", [row[corner] for corner in corners])
            reading.lost.add(image_id)
        else:
            counts[image_id] = counts.get(image_id, 0) + 1
            name = f"{image_id}:{counts[image_id]}"
            reading.objects.append(box_row(name, image_id, row[options.boxes_class_column], box))
