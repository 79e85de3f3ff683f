"""DeepFashion2: ``train|validation/{image,annos}``, or the Kaggle mirror that wraps it in two folders."""

import json
from pathlib import Path

import pandas as pd

from stages.core.errors import StageError, shown
from stages.ingest.reading import (
    ImageFile,
    Reading,
    Request,
    box_row,
    image_files,
    numbers,
    require_folder,
    upstream_split,
)

MIRROR = "DeepFashion2/deepfashion2_original_images"
EXPECTED = "train/{image,annos} and validation/{image,annos} with 000001.jpg and 000001.json"


def read(request: Request) -> Reading:
    """Images and boxes of train and validation.

    An image's id is split and stem, because names repeat across splits; pair_id is the group.

    Raises:
        StageError: when the folders are missing, or a category_id is not in deepfashion2_classes.csv.
    """
    root = request.root / MIRROR if (request.root / MIRROR).is_dir() else request.root
    table = pd.read_csv(request.tables / "deepfashion2_classes.csv")
    names = dict(zip(table["category_id"], table["category_name"], strict=True))
    reading = Reading()
    for split in ("train", "validation"):
        annos = require_folder(root / split / "annos", request.source, EXPECTED)
        images = image_files(
            require_folder(root / split / "image", request.source, EXPECTED), request.account.ledger("images")
        )
        for path in sorted(annos.glob("*.json")):
            _read_annotation(path, split, images.pop(path.stem, None), names, request, reading)
        for path in images.values():
            request.account.ledger("images").rows_in += 1
            request.account.ledger("images").reject(f"{split}/image/{path.name}", "no_annotation")
    return reading


def _read_annotation(
    path: Path, split: str, image: Path | None, names: dict[int, str], request: Request, reading: Reading
) -> None:
    key = f"{split}/annos/{path.name}"
    ledger, objects = request.account.ledger("images"), request.account.ledger("objects")
    ledger.rows_in += 1
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        items = sorted((name, value) for name, value in content.items() if name.startswith("item"))
    except (ValueError, AttributeError) as error:
        ledger.reject(key, "malformed_row", error)
        return
    objects.rows_in += len(items)
    if image is None:
        ledger.reject(key, "missing_image", f"{split}/image/{path.stem}.jpg")
        for name, _ in items:
            objects.reject(f"{key}:{name}", "image_rejected", "missing_image")
        return
    image_id = f"{split}-{path.stem}"
    pair = str(content.get("pair_id", ""))
    for name, item in items:
        box = numbers(item.get("bounding_box")) if isinstance(item, dict) else None
        if box is None:
            objects.reject(f"{key}:{name}", "malformed_box", item)
            continue
        category = item.get("category_id")
        if not isinstance(category, int) or category not in names:
            raise StageError(
                f"{path}: {name} has category_id {category!r}; tables/deepfashion2_classes.csv knows "
                f"{shown(names)}. Add the class there, or remove the annotation."
            )
        style = item.get("style")
        row = box_row(f"{image_id}:{name}", image_id, names[category], box)
        reading.objects.append(row | {"pair_id": pair or None, "style": style if isinstance(style, int) else None})
    group = f"pair-{pair}" if pair else image_id
    reading.images.append(ImageFile(image_id, image, upstream_split(split, group, request.params.val_share), group))
