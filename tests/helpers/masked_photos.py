"""Outputs of the stages `ingest`, `salient` and `dataset` for small photos whose masks are full rectangles."""

import numpy as np
from PIL import Image

from stages.contracts.images import encode_jpeg
from stages.contracts.tables import IMAGES, SALIENT, write_rows, write_shards
from stages.core.heads import HEADS
from stages.crops.dataset import ITEMS

PIXELS, SIDE = 64, 320  # pixels of the sides of a photo, and of its mask
INNER = (60, 60, 200, 200)  # a garment in a mask, away from the edges: 28 of 64 pixels wide


def rectangles(*boxes, side=40, value=255):
    """A square mask with full boxes x1, y1, x2, y2."""
    result = np.zeros((side, side), np.uint8)
    for x1, y1, x2, y2 in boxes:
        result[y1:y2, x1:x2] = value
    return result


def write_masked_photos(data, photos):
    """Write the outputs for a source `shop` into a data folder.

    Args:
        photos: image_id -> split, superclass, type, color, and the garment's box in the mask (None: no mask).
    """
    images, seen, items = [], [], []
    for name, (split, superclass, kind, color, box) in photos.items():
        common = {"image_id": name, "split": split, "width": PIXELS, "height": PIXELS}
        images.append(common | {"bytes": encode_jpeg(Image.new("RGB", (PIXELS, PIXELS), color))})
        seen.append(common | ({"mask": rectangles(box, side=SIDE).tobytes()} if box else {}))
        item = {"item_id": name, "image_id": name, "source": "shop", "split": split, "superclass": superclass}
        items.append(dict.fromkeys(HEADS) | item | {"type": kind})
    write_shards(data / "ingested/shop", IMAGES, images, "image_id", 2)
    write_shards(data / "salient/shop", SALIENT, seen, "image_id", 2)
    write_rows(data / "dataset/items.parquet", ITEMS, items)
    return items
