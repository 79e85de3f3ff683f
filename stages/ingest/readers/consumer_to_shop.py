"""DeepFashion Consumer-to-Shop: Eval/list_eval_partition.txt with pairs, Anno/list_bbox_consumer2shop.txt, Img/img.

A row of the partition pairs a consumer's photo with a shop's photo of the same item. A photo may be in many pairs, and
is read once. The item id is the group and the physical item; the first two folders of a path are the category.
"""

from collections import Counter
from pathlib import PurePosixPath
from typing import Any

from stages.contracts.tables import SPLITS
from stages.ingest.readers.deepfashion_lists import (
    Images,
    list_images,
    partition_rows,
    read_boxes,
    reject_unnamed,
    status_counts,
)
from stages.ingest.reading import ImageFile, Reading, Request
from stages.ingest.splitting import held_out

EXPECTED = (
    "Eval/list_eval_partition.txt, Anno/list_bbox_consumer2shop.txt and "
    "Img/img/<TYPE>/<Sub>/<id>/{shop,comsumer}_NN.jpg"
)
PAIRS = ("image_pair_name_1", "image_pair_name_2", "item_id", "evaluation_status")
BOXES = ("image_name", "clothes_type", "source_type", "x_1", "y_1", "x_2", "y_2")
ROLES = ("consumer", "shop")  # of the first and the second name of a pair
RENAMED = {"CLOTHING/Summer_Suit/": "CLOTHING/Summer_Wear/"}  # name of this folder in the high-resolution archive


def read(request: Request) -> Reading:
    """Every photo once, with its item, its role, upstream's split, and one box.

    Upstream's val is our val. Boxes are those of Img/img: with img_highres alone images have no boxes.

    Raises:
        StageError: the partition or the image folder is missing, or a list does not start like upstream's.
    """
    pairs = partition_rows(request, EXPECTED, PAIRS)
    images = list_images(request, EXPECTED, RENAMED)
    reading = Reading()
    rows: dict[str, dict[str, Any]] = {}
    _read_pairs(request, images, pairs, rows)
    for image_id, row in rows.items():
        reading.items.append(row)
        reading.images.append(ImageFile(image_id, images.paths[image_id], row["status"], row["item"]))
    request.account.ledger("items").rows_in += len(rows)
    reject_unnamed(request, images, set(rows))
    names = ("Anno/list_bbox_consumer2shop.txt", "list_bbox_consumer2shop.txt")
    read_boxes(request, reading, images, EXPECTED, names, BOXES)
    return reading


def _read_pairs(
    request: Request, images: Images, pairs: list[tuple[str, list[str]]], rows: dict[str, dict[str, Any]]
) -> None:
    """Fill ``rows``: image_id -> its row; the ledger ``pairs`` has every line."""
    ledger = request.account.ledger("pairs")
    present, missing = Counter[str](), Counter[str]()
    for key, fields in pairs:
        ledger.rows_in += 1
        if len(fields) != len(PAIRS) or fields[3] not in SPLITS:
            ledger.reject(key, "malformed_row", " ".join(fields)[:120])
            continue
        *names, item, status = fields
        ids = [images.find(name) for name in names]
        if ids[0] is not None and ids[0] == ids[1]:
            ledger.reject(key, "malformed_row", f"{names[0]} is paired with itself")
            continue
        role_of = {image_id: role for image_id, role in zip(ids, ROLES, strict=True) if image_id is not None}
        known = [(image_id, role) for image_id, role in role_of.items() if image_id in rows]
        if contrary := [pair for pair in known if (rows[pair[0]]["item"], rows[pair[0]]["role"]) != (item, pair[1])]:
            row = rows[contrary[0][0]]
            ledger.reject(key, "duplicate_row", f"{row['image_id']} is {row['role']} of {row['item']} already")
            continue
        for image_id, role in role_of.items():
            _add(request, rows, image_id, item, role, status)
        if len(role_of) < len(names):
            missing[status] += 1
            gone = [name for name, image_id in zip(names, ids, strict=True) if image_id is None]
            ledger.reject(key, images.match(gone[0]).reason, ", ".join(gone))
            continue
        present[status] += 1
        ledger.kept += 1
    status_counts(request, "partition", present, missing)


def _add(request: Request, rows: dict[str, dict[str, Any]], image_id: str, item: str, role: str, status: str) -> None:
    folders = PurePosixPath(image_id).parts
    row = rows.setdefault(
        image_id,
        {
            "item_id": image_id,
            "image_id": image_id,
            "item": item,
            "role": role,
            "status": status,
            "category": "/".join(folders[:2]) if len(folders) == 4 else None,
        },
    )
    if row["status"] != status:
        request.account.ledger("items").repair(image_id, "two_statuses", f"{row['status']} and {status}")
        row["status"] = max(row["status"], status, key=held_out)
