"""The rows of DeepFashion's list_bbox files become objects."""

from collections.abc import Sequence
from pathlib import Path

from stages.ingest.readers.deepfashion_lists import LAYERS, Images, find_list, list_rows, warn_missing
from stages.ingest.reading import Reading, Request, box_row, numbers


def read_boxes(
    request: Request,
    reading: Reading,
    images: Images,
    expected: str,
    names: Sequence[str],
    columns: tuple[str, ...],
    units: str | None = None,
) -> dict[str, dict[str, str]]:
    """Add an object for each row, one box for each image; class_name is upper, lower or full.

    Without the list, or with pictures that its pixels do not belong to, images have no boxes: the account says so.

    Args:
        request: what the reader got.
        reading: gets the objects.
        images: of the tree.
        expected: the tree, for the warning.
        names: where the list may be.
        columns: its header: image_name, clothes_type, perhaps one more, and four corners.
        units: what the corners are measured in (``boxes.to_pixels``); None: pixels of Img/img, not of img_highres.

    Returns:
        image_id -> the row's further columns by name.
    """
    path = find_list(request.root, *names)
    foreign = images.high_resolution and units is None
    if path is None or foreign:
        warn_missing(request, expected, "Img/img" if foreign else Path(names[0]).name, "images have no boxes")
        return {}
    ledger = request.account.ledger("objects")
    known = {image.image_id for image in reading.images}
    further: dict[str, dict[str, str]] = {}
    for key, fields in list_rows(request, path, columns):
        ledger.rows_in += 1
        image_id = images.find(fields[0])
        # Without its clothes_type a row would be one field short: the category lists have no such column.
        typed = "clothes_type" in columns
        box = numbers(fields[-4:])
        if len(fields) != len(columns) or (typed and fields[1] not in LAYERS):
            ledger.reject(key, "malformed_row", " ".join(fields)[:120])
        elif box is None:
            ledger.reject(key, "malformed_box", " ".join(fields[-4:])[:120])
        elif image_id not in known or image_id is None:
            ledger.reject(key, "missing_image", fields[0])
        elif image_id in further:
            ledger.reject(key, "duplicate_row", fields[0])
        else:
            further[image_id] = dict(zip(columns[1:-4], fields[1:-4], strict=True))
            row = box_row(f"{image_id}:1", image_id, LAYERS[fields[1]] if typed else "garment", box)
            reading.objects.append(row)
            if units:
                reading.units[row["object_id"]] = units
    return further
