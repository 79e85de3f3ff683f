"""DeepFashion In-shop: Eval/list_eval_partition.txt, Anno/list_{bbox,item}_inshop.txt, Img/img or Img/img_highres.

The item id is the group and the physical item; the type of garment is the second folder of an image's path.
"""

from collections import Counter
from pathlib import PurePosixPath

from stages.ingest.readers.deepfashion_lists import (
    Images,
    find_list,
    list_images,
    list_rows,
    partition_rows,
    read_boxes,
    reject_unnamed,
    status_counts,
)
from stages.ingest.reading import Reading, Request, upstream_image

EXPECTED = "Eval/list_eval_partition.txt, Anno/list_bbox_inshop.txt and Img/img/{MEN,WOMEN}/<type>/<id>/*.jpg"
PARTITION = ("image_name", "item_id", "evaluation_status")
BOXES = ("image_name", "clothes_type", "pose_type", "x_1", "y_1", "x_2", "y_2")
ROLES = ("train", "query", "gallery")
POSES = {"1": "front", "2": "side", "3": "back", "4": "zoom_out", "5": "zoom_in", "6": "flat"}
SQUARE = "square256"  # boxes are those of pictures padded to 256 x 256


def read(request: Request) -> Reading:
    """Images with their item and role, and one box for each.

    Query and gallery are both the test split: an item's photos are in both. Without the list of boxes the images have
    no boxes, which the account notes.

    Raises:
        StageError: the partition or the image folder is missing, or a list does not start like upstream's.
    """
    partition = partition_rows(request, EXPECTED, PARTITION)
    images = list_images(request, EXPECTED)
    reading = Reading()
    _read_partition(request, reading, images, partition)
    names = ("Anno/list_bbox_inshop.txt", "list_bbox_inshop.txt")
    further = read_boxes(request, reading, images, EXPECTED, names, BOXES, SQUARE)
    for row in reading.items:
        row["pose"] = POSES.get(further.get(row["image_id"], {}).get("pose_type", ""))
    _check_items(request, reading)
    return reading


def _read_partition(request: Request, reading: Reading, images: Images, rows: list[tuple[str, list[str]]]) -> None:
    ledger = request.account.ledger("items")
    present, missing = Counter[str](), Counter[str]()
    named: set[str] = set()
    for key, fields in rows:
        ledger.rows_in += 1
        if len(fields) != len(PARTITION) or fields[2] not in ROLES:
            ledger.reject(key, "malformed_row", " ".join(fields)[:120])
            continue
        name, item, role = fields
        image_id, reason, detail = images.match(name)
        if reason:
            missing[role] += 1
            ledger.reject(key, reason, detail)
            continue
        if image_id in named:
            ledger.reject(key, "duplicate_row", name)
            continue
        named.add(image_id)
        present[role] += 1
        folders = PurePosixPath(image_id).parts
        reading.items.append(
            {
                "item_id": image_id,
                "image_id": image_id,
                "item": item,
                "role": role,
                "gender": folders[0] if len(folders) == 4 else None,
                "category": folders[1] if len(folders) == 4 else None,
                "pose": None,
            }
        )
        split = "train" if role == "train" else "test"
        reading.images.append(upstream_image(image_id, images.paths[image_id], split, item, request.params.val_share))
    reject_unnamed(request, images, named)
    status_counts(request, "partition", present, missing)


def _check_items(request: Request, reading: Reading) -> None:
    """Note the numbers of ids in each role, and compare them with list_item_inshop.txt."""
    roles: dict[str, set[str]] = {}
    for row in reading.items:
        roles.setdefault(row["item"], set()).add(row["role"])
    counts = {
        "ids": len(roles),
        "ids in train": sum("train" in roles_of for roles_of in roles.values()),
        "ids in query and gallery": sum({"query", "gallery"} <= roles_of for roles_of in roles.values()),
        "ids in train and in query or gallery": sum(
            "train" in roles_of and bool(roles_of & {"query", "gallery"}) for roles_of in roles.values()
        ),
    }
    path = find_list(request.files, "Anno/list_item_inshop.txt", "list_item_inshop.txt")
    if path is not None:
        listed = {fields[0] for _, fields in list_rows(request, path, ())}
        counts |= {"listed ids without image": len(listed - roles.keys()), "ids not listed": len(roles.keys() - listed)}
    request.account.note("items", counts)
