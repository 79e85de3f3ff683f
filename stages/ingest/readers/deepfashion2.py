"""DeepFashion2: ``train|validation/{image,annos}``, or the Kaggle mirror, unpacked at any level, with JSON or CSV."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from stages.core.errors import StageError, shown
from stages.ingest.readers.deepfashion2_files import Annotation, find_table, read_jsons, read_table, tree_level
from stages.ingest.reading import (
    Reading,
    Request,
    box_row,
    image_files,
    numbers,
    require_folder,
    upstream_image,
)

EXPECTED = (
    "train/{image,annos} and validation/{image,annos} with 000001.jpg and 000001.json, "
    "or img_info_dataframes/{train,validation}.csv instead of annos/"
)


def read(request: Request) -> Reading:
    """Images and boxes of train and validation.

    An image's id is split and stem, because names repeat across splits; pair_id is the group. An item is an image here:
    its row says who took it, shop or user. What was read is noted in the account.

    Raises:
        StageError: when the folders are missing, or a category_id is not in deepfashion2_classes.csv.
    """
    level = tree_level(request.root)
    root = request.root / level
    table = pd.read_csv(request.tables / "deepfashion2_classes.csv")
    names = dict(zip(table["category_id"], table["category_name"], strict=True))
    reading = Reading()
    ledger = request.account.ledger("images")
    found = {"tree": level or "official"}
    for split in ("train", "validation"):
        annotations, found[split] = _annotations(request, root, split)
        images = image_files(require_folder(root / split / "image", request.source, EXPECTED), ledger)
        for annotation in annotations:
            _add(annotation, split, images.pop(annotation.stem, None), names, request, reading)
        for path in images.values():
            ledger.rows_in += 1
            ledger.reject(f"{split}/image/{path.name}", "no_annotation")
    request.account.note("read from", found)
    return reading


def _annotations(request: Request, root: Path, split: str) -> tuple[Iterable[Annotation], str]:
    """A split's annotations, and where they stand: the JSON files where there are any, else the CSV."""
    folder, table = root / split / "annos", find_table(request.root, split)
    if table is not None and next(folder.glob("*.json"), None) is None:
        return read_table(table), table.relative_to(request.root).as_posix()
    require_folder(folder, request.source, EXPECTED)
    return read_jsons(folder, split, request.source), folder.relative_to(request.root).as_posix()


def _add(
    annotation: Annotation, split: str, image: Path | None, names: dict[int, str], request: Request, reading: Reading
) -> None:
    ledger, objects = request.account.ledger("images"), request.account.ledger("objects")
    objects.rows_in += len(annotation.items)
    if not annotation.stem:
        for item in annotation.items:
            objects.reject(item.key, "malformed_row", "the column path is empty")
        return
    ledger.rows_in += 1
    if annotation.error:
        ledger.reject(annotation.key, "malformed_row", annotation.error)
        return
    if image is None:
        ledger.reject(annotation.key, "missing_image", f"{split}/image/{annotation.stem}.jpg")
        for item in annotation.items:
            objects.reject(item.key, "image_rejected", "missing_image")
        return
    image_id = f"{split}-{annotation.stem}"
    for item in annotation.items:
        box = numbers(item.box)
        if box is None:
            objects.reject(item.key, "malformed_box", str(item.box)[:200])
            continue
        if not isinstance(item.category_id, int) or item.category_id not in names:
            raise StageError(
                f"{request.root}, {item.key}: category_id {item.category_id!r}; tables/deepfashion2_classes.csv knows "
                f"{shown(names)}. Add the class there, or remove the annotation."
            )
        row = box_row(f"{image_id}:{item.name}", image_id, names[item.category_id], box)
        style = item.style if isinstance(item.style, int) else None
        reading.objects.append(row | {"pair_id": annotation.pair or None, "style": style})
    # Upstream numbers the pairs of train and validation separately.
    group = f"{split}-pair-{annotation.pair}" if annotation.pair else image_id
    reading.images.append(upstream_image(image_id, image, split, group, request.params.val_share))
    request.account.ledger("items").rows_in += 1
    reading.items.append({"item_id": image_id, "image_id": image_id, "taken_by": annotation.taken_by or None})
