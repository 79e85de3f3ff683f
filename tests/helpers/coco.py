"""Detection scores by COCO's own evaluation, the independent check of ours."""

import contextlib
import io

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def coco_scores(images, truth, found):
    """mAP50-95 and mAP50 by pycocotools.

    Args:
        images: names of all images.
        truth: (image, class, [x1, y1, x2, y2] in pixels).
        found: the same with a score behind.
    """
    numbers = {name: number for number, name in enumerate(images, start=1)}
    classes = {name: number for number, name in enumerate(sorted({name for _, name, *_ in [*truth, *found]}), start=1)}

    def rows(boxes):
        for image, name, corners, *score in boxes:
            x1, y1, x2, y2 = corners
            yield {"image_id": numbers[image], "category_id": classes[name], "bbox": [x1, y1, x2 - x1, y2 - y1],
                   "area": (x2 - x1) * (y2 - y1), "iscrowd": 0} | ({"score": score[0]} if score else {})  # fmt: skip

    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "images": [{"id": number} for number in numbers.values()],
            "categories": [{"id": number} for number in classes.values()],
            "annotations": [{"id": number, **row} for number, row in enumerate(rows(truth), start=1)],
        }
        coco.createIndex()
        run = COCOeval(coco, coco.loadRes(list(rows(found))), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    return run.stats[0], run.stats[1]
