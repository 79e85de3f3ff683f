"""DeepFashion Category and Attribute Prediction, complete: Anno_coarse (Anno in old releases), Eval, Img/img."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from stages.contracts.tables import SPLITS
from stages.core.errors import StageError, shown
from stages.ingest.readers.deepfashion_lists import (
    ATTRIBUTE_SEPARATOR,
    CATEGORIES,
    ImageRows,
    category_name,
    compare_rows,
    find_list,
    list_images,
    list_rows,
    need_list,
    partition_rows,
    read_boxes,
    reject_unnamed,
    rows_stated,
    status_counts,
    text_lines,
    warn_missing,
)
from stages.ingest.reading import Reading, Request

EXPECTED = (
    "Eval/list_eval_partition.txt, Anno_coarse/list_{category_cloth,category_img,attr_cloth,attr_img,bbox}.txt (or "
    "Anno/) and Img/img/<garment>/img_00000001.jpg"
)
PARTITION = ("image_name", "evaluation_status")
CATEGORY_ROWS = ("image_name", "category_label")
CATEGORY_NAMES = ("category_name", "category_type")
ATTRIBUTE_NAMES = ("attribute_name", "attribute_type")
ATTRIBUTE_ROWS = ("image_name", "attribute_labels")
BOXES = ("image_name", "x_1", "y_1", "x_2", "y_2")
ANNO = ("Anno_coarse", "Anno")


def read(request: Request) -> Reading:
    """Images with upstream's split, category and attributes, and one box for each.

    Lists of attributes and of boxes may be missing, which the account notes. Boxes are those of Img/img.

    Raises:
        StageError: partition, categories or the image folder are missing, a list does not start like upstream's, or the
            50 categories are different.
    """
    partition = partition_rows(request, EXPECTED, PARTITION)
    categories = need_list(request, EXPECTED, *_places("list_category_img.txt"))
    names = find_list(request.files, *_places("list_category_cloth.txt"))
    if names is not None:
        check_names(names)
    images = list_images(request, EXPECTED)
    reading = Reading()
    rows = ImageRows(request, reading, images)
    _read_partition(request, rows, partition)
    _read_categories(request, rows, list_rows(request, categories, CATEGORY_ROWS))
    _read_attributes(request, rows)
    read_boxes(request, reading, images, EXPECTED, _places("list_bbox.txt"), BOXES)
    reject_unnamed(request, images, set(rows.by_image))
    return reading


def _places(name: str) -> list[str]:
    return [f"{folder}/{name}" for folder in ANNO] + [name]


def check_names(path: Path) -> None:
    """Refuse a list of categories that differs from upstream's, as other lists refer to it by numbers.

    Raises:
        StageError: a category differs, or the file does not start like upstream's.
    """
    first, second, *lines = [*text_lines(path), ""]
    rows_stated(path, first, second, CATEGORY_NAMES)
    rows = [line.split() for line in lines if line.strip()]
    for number, name in enumerate(CATEGORIES):
        actual = rows[number][0] if number < len(rows) else "nothing"
        if actual != name:
            raise StageError(
                f"{path}, line {number + 3}: category {number + 1} is {actual!r}, expected {name!r}. Download it again."
            )


def _read_partition(request: Request, rows: ImageRows, lines: list[tuple[str, list[str]]]) -> None:
    ledger = request.account.ledger("items")
    present, missing = Counter[str](), Counter[str]()
    for key, fields in lines:
        ledger.rows_in += 1
        if len(fields) != len(PARTITION) or fields[1] not in SPLITS:
            ledger.reject(key, "malformed_row", " ".join(fields)[:120])
        elif rows.add(key, *fields) is not None:
            present[fields[1]] += 1
        elif rows.images.find(fields[0]) is None:
            missing[fields[1]] += 1
    status_counts(request, "partition", present, missing)


def _read_categories(request: Request, rows: ImageRows, lines: list[tuple[str, list[str]]]) -> None:
    """Fill in the categories; an image without one keeps its row."""
    ledger = request.account.ledger("category lines")
    for key, fields in lines:
        ledger.rows_in += 1
        row = rows.by_image.get(rows.images.find(fields[0]) or "")
        name = category_name(fields[1]) if len(fields) == len(CATEGORY_ROWS) else None
        if name is None:
            ledger.reject(key, "malformed_row", " ".join(fields)[:120])
        elif row is None:
            ledger.reject(key, "missing_image", fields[0])
        elif row["category"] is not None:
            ledger.reject(key, "duplicate_row", fields[0])
        else:
            row["category"] = name
            ledger.kept += 1


def _read_attributes(request: Request, rows: ImageRows) -> None:
    """Fill in the attributes: the names of those with value 1 (-1 is no, 0 is unknown)."""
    cloth = find_list(request.files, *_places("list_attr_cloth.txt"))
    values_file = find_list(request.files, *_places("list_attr_img.txt"))
    if cloth is None or values_file is None:
        warn_missing(request, EXPECTED, "list_attr_cloth.txt or list_attr_img.txt", "images have no attributes")
        return
    # Names have spaces; the last field is the attribute's type.
    names = [" ".join(fields[:-1]) for _, fields in list_rows(request, cloth, ATTRIBUTE_NAMES)]
    ledger = request.account.ledger("attribute lines")
    for key, name, values in _attribute_lines(request, values_file):
        ledger.rows_in += 1
        row = rows.by_image.get(rows.images.find(name) or "")
        if len(values) != len(names) or not set(values) <= {"1", "-1", "0"}:
            ledger.reject(key, "malformed_row", f"expected {len(names)} of 1, -1, 0; {len(values)}: {shown(values, 4)}")
        elif row is None:
            ledger.reject(key, "missing_image", name)
        elif row["attributes"] is not None:
            ledger.reject(key, "duplicate_row", name)
        else:
            marked = (attribute for attribute, value in zip(names, values, strict=True) if value == "1")
            row["attributes"] = ATTRIBUTE_SEPARATOR.join(marked)
            ledger.kept += 1


def _attribute_lines(request: Request, path: Path) -> Iterator[tuple[str, str, list[str]]]:
    """(``file:line``, image name, values), line by line, as upstream's file has 289,222 lines of 1000 values."""
    rows = 0
    try:
        with path.open(encoding="utf-8-sig") as stream:
            stated = rows_stated(path, stream.readline(), stream.readline(), ATTRIBUTE_ROWS)
            for number, line in enumerate(stream, start=3):
                if line.strip():
                    rows += 1
                    name, *values = line.split()
                    yield f"{path.name}:{number}", name, values
    except UnicodeDecodeError as error:
        raise StageError(f"{path}: not text in UTF-8 ({error}). Download it again.") from None
    compare_rows(request, path, rows, stated)
