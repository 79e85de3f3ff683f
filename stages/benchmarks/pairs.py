"""DeepFashion2's pairs: a garment in a user's photo looks for the same garment in shops' photos.

Upstream's rule: two garments are the same when their images share the pair_id, they share a style above 0, and one
image is a user's, the other a shop's. Pairs are numbered anew in validation, so an item's name starts with upstream's
split.
"""

from collections import defaultdict
from dataclasses import replace
from typing import Any

from stages.benchmarks.params import BenchmarkParams
from stages.benchmarks.plan import Pick, Plan, Source
from stages.contracts.boxes import Box, box_array, box_of, iou
from stages.core.errors import StageError

PAIRS = ("taken_by",)
HELD_OUT = "validation"  # upstream's split that is our test
Detection = dict[str, Any]  # superclass, confidence, x1, y1, x2, y2


def select_pairs(source: Source, params: BenchmarkParams) -> Plan:
    """Annotated garments: users' with a style ask, all of the shops' answer.

    A shop's garment without a style (0) is the same as no other: it stands in the gallery as a distractor, as upstream
    has it. A user's asks nothing. Training rows are all garments of train and val, without an item where there is no
    style.

    Raises:
        StageError: when no image says who took it.
    """
    taken_by = {row["image_id"]: row["taken_by"] for row in source.items}
    if not any(taken_by.values()):
        raise StageError(
            f"source {source.name}: no image says whether a shop or a user took it; some copies of the mirror's CSV "
            "lack the column `source`. Put upstream's annos/*.json beside image/."
        )
    plan = Plan()
    for row in source.objects:
        image_id = row["image_id"]
        split, part = source.splits[image_id], image_id.split("-")[0]
        paired = row["pair_id"] is not None and (row["style"] or 0) > 0
        item = f"{part}-pair-{row['pair_id']}-style-{row['style']}" if paired else None
        pick = Pick(row["object_id"], item, row["class_name"], image_id, _box(row, params), split=split)
        if part != HELD_OUT:
            if split == "test":
                plan.left_out["train: near duplicate of a test image"] += 1
            else:
                plan.train.append(pick)
        elif taken_by[image_id] == "user":
            if paired:
                plan.queries.append(pick)
            else:
                plan.left_out["queries: no style"] += 1
        elif taken_by[image_id] == "shop":
            plan.gallery.append(pick if paired else replace(pick, item=row["object_id"]))
        else:
            plan.left_out["neither shop nor user"] += 1
    return plan


def _box(row: dict[str, Any], params: BenchmarkParams) -> Box | None:
    return None if params.boxes == "whole" else box_of(row)


def matched(boxes: dict[str, Box], detections: list[Detection], least: float) -> dict[str, Detection]:
    """object_id -> the detection that is this garment: pairs by overlap, the largest first, each used once.

    Args:
        boxes: annotated boxes of one image.
        detections: of the same image.
        least: intersection over union from which a detection counts; its class plays no part.
    """
    overlaps = iou(box_array(boxes.values()), box_array(map(box_of, detections)))
    pairs = [
        (overlaps[row, place], object_id, place)
        for row, object_id in enumerate(boxes)
        for place in range(len(detections))
    ]
    result: dict[str, Detection] = {}
    used: set[int] = set()
    for share, object_id, place in sorted(pairs, key=lambda pair: (-pair[0], pair[1], pair[2])):
        if share >= least and object_id not in result and place not in used:
            result[object_id] = detections[place]
            used.add(place)
    return result


def with_detections(plan: Plan, detections: dict[str, list[Detection]], least: float) -> Plan:
    """The plan with detected boxes instead of annotated ones; training rows keep theirs.

    A query that was not detected is a miss. A shop's garment that was not detected is not in the gallery; where that
    leaves none of an item that is asked for, one of its photos stands in as a whole and the item's queries are misses
    (``no_detection_in_shop``), because a query without a match would drop out of the averages.

    Args:
        plan: of ``select_pairs`` with annotated boxes.
        detections: image_id -> its detections.
        least: see ``matched``.
    """
    boxes: dict[str, dict[str, Box]] = defaultdict(dict)
    for pick in (*plan.queries, *plan.gallery):
        boxes[pick.image_id][pick.row_id] = pick.box
    found: dict[str, Detection] = {}
    for image_id, annotated in boxes.items():
        found |= matched(annotated, detections.get(image_id, []), least)
    asked = {pick.item for pick in plan.queries}
    detected = {pick.item for pick in plan.gallery if pick.row_id in found}
    stands_in: set[str | None] = set()
    result = Plan(train=plan.train, left_out=plan.left_out.copy())
    for pick in sorted(plan.gallery, key=lambda pick: pick.row_id):
        if pick.row_id in found:
            result.gallery.append(_detected(pick, found[pick.row_id]))
        elif pick.item in asked and pick.item not in detected and pick.item not in stands_in:
            stands_in.add(pick.item)
            result.gallery.append(replace(pick, box=None))
        else:
            result.left_out["gallery: no_detection"] += 1
    for pick in plan.queries:
        if pick.row_id not in found:
            result.queries.append(replace(pick, image_id=None, box=None, missed="no_detection"))
        elif pick.item in stands_in:
            result.queries.append(replace(pick, image_id=None, box=None, missed="no_detection_in_shop"))
        else:
            result.queries.append(_detected(pick, found[pick.row_id]))
    result.about = {**plan.about, "gallery_stand_ins": len(stands_in)}
    return result


def _detected(pick: Pick, detection: Detection) -> Pick:
    return replace(pick, box=box_of(detection), detected_class=detection["superclass"])
