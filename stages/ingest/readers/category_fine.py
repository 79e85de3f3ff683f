"""DeepFashion's fine subset of Category and Attribute Prediction: Anno_fine/{train,val,test}*.txt, Img/img.

Each split has a file of image names, and files of categories, attributes and boxes with the same lines.
"""

from collections import Counter
from pathlib import Path

from stages.contracts.tables import SPLITS
from stages.core.errors import StageError
from stages.ingest.readers.deepfashion_lists import (
    ATTRIBUTE_SEPARATOR,
    ImageRows,
    category_name,
    list_images,
    need_list,
    reject_unnamed,
    status_counts,
    text_lines,
    warn_missing,
)
from stages.ingest.reading import Reading, Request, box_row, numbers

EXPECTED = "Anno_fine/{train,val,test}{,_cate,_attr,_bbox}.txt and img/ (or Img/img/) with <garment>/img_00000001.jpg"
ATTRIBUTES = (
    "floral", "graphic", "striped", "embroidered", "pleated", "solid", "lattice",
    "long_sleeve", "short_sleeve", "sleeveless", "maxi_length", "mini_length", "no_dress",
    "crew_neckline", "v_neckline", "square_neckline", "no_neckline",
    "denim", "chiffon", "cotton", "leather", "faux", "knit", "tight", "loose", "conventional",
)  # fmt: skip
FOLDERS = ("Anno_fine", "Anno", "")


def read(request: Request) -> Reading:
    """Images with upstream's split, category and the 26 attributes, and one box for each.

    Raises:
        StageError: a split's names or categories are missing, or one of its files has another number of lines than the
            names, so that lines cannot be assigned to images.
    """
    images = list_images(request, EXPECTED)
    reading = Reading()
    rows = ImageRows(request, reading, images)
    present, missing = Counter[str](), Counter[str]()
    wanted = ("cate", "attr", "bbox")
    if images.high_resolution:
        wanted = wanted[:2]
        warn_missing(request, EXPECTED, "Img/img", "images have no boxes: the lists' are those of Img/img")
    for split in SPLITS:
        names = _lines(need_list(request, EXPECTED, *_places(f"{split}.txt")))
        columns = {what: _aligned(request, split, what, len(names)) for what in wanted}
        for number, name in enumerate(names, start=1):
            if _read_line(request, rows, split, number, name, columns):
                present[split] += 1
            elif images.find(name) is None:
                missing[split] += 1
    status_counts(request, "partition", present, missing)
    reject_unnamed(request, images, set(rows.by_image))
    return reading


def _places(name: str) -> list[str]:
    return [f"{folder}/{name}".removeprefix("/") for folder in FOLDERS]


def _lines(path: Path) -> list[str]:
    """Lines with blank ones in the middle, as lines of several files belong together."""
    lines = [line.strip() for line in text_lines(path)]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _aligned(request: Request, split: str, what: str, expected: int) -> list[list[str]] | None:
    """Fields of each line of ``<split>_<what>.txt``; None when it is missing, which is allowed for some."""
    name = f"{split}_{what}.txt"
    if what != "cate" and all(not (request.root / place).is_file() for place in _places(name)):
        warn_missing(
            request, EXPECTED, name, f"images of {split} have no {'boxes' if what == 'bbox' else 'attributes'}"
        )
        return None
    path = need_list(request, EXPECTED, *_places(name))
    lines = _lines(path)
    if len(lines) != expected:
        raise StageError(
            f"{path}: {len(lines)} lines, but {split}.txt names {expected} images; the two belong together line by "
            "line. Download both again."
        )
    return [line.split() for line in lines]


def _read_line(
    request: Request, rows: ImageRows, split: str, number: int, name: str, columns: dict[str, list[list[str]] | None]
) -> bool:
    """Add one image with the content of its lines; whether it was added."""
    ledger = request.account.ledger("items")
    ledger.rows_in += 1
    key = f"{split}.txt:{number}"
    of_line = {what: lines[number - 1] for what, lines in columns.items() if lines is not None}
    category = category_name(of_line["cate"][0]) if len(of_line["cate"]) == 1 else None
    values = of_line.get("attr")
    readable = values is None or (len(values) == len(ATTRIBUTES) and set(values) <= {"0", "1"})
    if not name or " " in name or category is None or not readable:
        detail = f"{name or 'no name'}, category {' '.join(of_line['cate'])!r}, {len(values or [])} attributes"
        ledger.reject(key, "malformed_row", detail[:160])
        if "bbox" in of_line:
            objects = request.account.ledger("objects")
            objects.rows_in += 1
            objects.reject(f"{split}_bbox.txt:{number}", "image_rejected", "malformed_row")
        return False
    row = rows.add(key, name, split)
    if "bbox" in of_line:
        _read_box(request, rows, f"{split}_bbox.txt:{number}", row and row["image_id"], of_line["bbox"])
    if row is None:
        return False
    row["category"] = category
    if values is not None:
        marked = (attribute for attribute, value in zip(ATTRIBUTES, values, strict=True) if value == "1")
        row["attributes"] = ATTRIBUTE_SEPARATOR.join(marked)
    return True


def _read_box(request: Request, rows: ImageRows, key: str, image_id: str | None, fields: list[str]) -> None:
    ledger = request.account.ledger("objects")
    ledger.rows_in += 1
    box = numbers(fields)
    if image_id is None:
        ledger.reject(key, "image_rejected")
    elif box is None:
        ledger.reject(key, "malformed_box", " ".join(fields)[:120])
        rows.reading.lost.add(image_id)
    else:
        rows.reading.objects.append(box_row(f"{image_id}:1", image_id, "garment", box))
