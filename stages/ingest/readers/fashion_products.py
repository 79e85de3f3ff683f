"""Fashion Product Images: styles.csv and images/<id>.jpg.

The CSV is unquoted and a few product names hold commas, so a line is split by hand: what is too much
belongs to the last column. Values stay strings; "NA" is a value, not a gap.
"""

from stages.core.errors import StageError
from stages.core.files import read_text
from stages.ingest.reading import ImageFile, Reading, Request, require_folder

COLUMNS = (
    "id",
    "gender",
    "masterCategory",
    "subCategory",
    "articleType",
    "baseColour",
    "season",
    "year",
    "usage",
    "productDisplayName",
)
LEVELS = ("", "fashion-dataset", "myntradataset", "fashion-dataset/fashion-dataset")
OPTIONAL = COLUMNS[-1:]  # some copies lack it


def read(request: Request) -> Reading:
    """Items and their images.

    Raises:
        StageError: when styles.csv or images/ is missing or the header is another.
    """
    # Archives wrap the folder in another, and some hold it a second time inside.
    level = next((name for name in LEVELS if (request.root / name / "styles.csv").is_file()), "")
    folder = require_folder(request.root / level / "images", request.source, "images/<id>.jpg and styles.csv")
    images = request.files.images(folder)
    path = request.root / level / "styles.csv"
    if not path.is_file():
        raise StageError(f"source {request.source}: no file {path}. Expected styles.csv next to images/.")
    # Not splitlines: it also cuts at separators that product names hold.
    text = read_text(request.files.take(path), "replace")
    lines = text.replace("\r\n", "\n").split("\n")
    header = tuple(name.strip() for name in lines[0].split(",")) if lines else ()
    if header not in (COLUMNS, COLUMNS[:-1]):
        raise StageError(f"{path}, line 1: found {','.join(header)!r}, expected {','.join(COLUMNS)!r}.")
    reading = Reading()
    seen: dict[str, str] = {}  # item -> its image
    ledger = request.account.ledger("items")
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        ledger.rows_in += 1
        key = f"styles.csv:{number}"
        fields = line.split(",")
        # Only a product name may hold commas: without that column a surplus field is no part of `usage`.
        surplus = len(fields) > len(header) and header[-1] != OPTIONAL[0]
        if len(fields) < len(header) or surplus or not fields[0].strip().isdigit():
            ledger.reject(key, "malformed_row", line[:120])
            continue
        if len(fields) > len(header):
            ledger.repair(key, "comma_in_last_column", f"{len(fields)} fields, expected {len(header)}")
            fields = [*fields[: len(header) - 1], ",".join(fields[len(header) - 1 :])]
        row = dict(zip(header, fields, strict=True))
        item = row["id"].strip()
        if item in seen:
            ledger.reject(key, "duplicate_row", item)
            continue
        image_id, reason, detail = images.find(item)
        if reason:
            ledger.reject(key, reason, f"images/{item}.jpg" if reason == "missing_image" else detail)
        else:
            seen[item] = image_id
            reading.items.append({"item_id": item, "image_id": image_id, **row})
            reading.images.append(ImageFile(image_id, images.paths[image_id]))
    request.account.ledger("images").rows_in += len(seen)
    images.reject_rest(request.account.ledger("images"), set(seen.values()), "images/")
    return reading
