"""Benchmarks over an upstream tree, by upstream's own split. Tables in, a plan out, no pictures.

A correct match is the same physical item in In-shop and Consumer-to-Shop, a pair in DeepFashion2, and the same label in
the others: the image's category, or its whole set of labels.

In DeepFashion2 a garment in a user's photo is searched in shops' photos. By upstream's rule two garments are the same
if their images have the same pair_id, their styles are equal and above 0, and one image is a user's and the other a
shop's. Validation reuses the numbers of pairs, so an item's name starts with upstream's split.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from stages.benchmarks.params import BenchmarkParams
from stages.benchmarks.plan import Pick, Plan, Source
from stages.contracts.boxes import Box, box_array, box_of, iou
from stages.contracts.tables import unit_hash
from stages.core.errors import StageError

INSHOP = ("item", "role", "category")
CONSUMER_TO_SHOP = ("item", "role", "status", "category")
TRAINING = ("train", "val")
UNKNOWN = "unknown"  # the category of an image whose path is not upstream's


def select_inshop(source: Source, params: BenchmarkParams) -> Plan:
    """Upstream's queries search upstream's gallery; correct = the same item id.

    Training rows keep the split that ingest gave their item. With ``duplicates: drop``, ingest moved near duplicates of
    query or gallery pictures to test; these rows are left out.
    """
    plan, boxes = Plan(), source.boxes(params.boxes)
    for row in source.items:
        pick = _pick(row["image_id"], row["item"], row["category"], boxes, source.splits)
        if row["role"] == "query":
            plan.queries.append(pick)
        elif row["role"] == "gallery":
            plan.gallery.append(pick)
        elif pick.split in TRAINING:
            plan.train.append(pick)
        else:
            plan.left_out["train: near duplicate of a test image"] += 1
    return plan


def select_consumer_to_shop(source: Source, params: BenchmarkParams) -> Plan:
    """Consumers' photos of test items search the shops' photos of test items; correct = the same item id.

    Upstream lists a shop's photo in every pair of its item; ingest keeps it once. If an item has the same file under
    two names, both are in the gallery, as in upstream; ``same_file_again`` counts them.
    """
    plan, boxes = Plan(), source.boxes(params.boxes)
    files: set[tuple[str, str]] = set()
    for row in sorted(source.items, key=lambda row: row["image_id"]):
        image_id, consumer = row["image_id"], row["role"] == "consumer"
        pick = _pick(image_id, row["item"], row["category"], boxes, source.splits)
        if row["status"] != "test":
            if pick.split in TRAINING:
                plan.train.append(pick)
            else:
                plan.left_out[f"{row['status']}: near duplicate of a test image"] += 1
        elif consumer:
            plan.queries.append(pick)
        else:
            files.add((row["item"], source.digests[image_id]))
            plan.gallery.append(pick)
    plan.about = {"same_file_again": len(plan.gallery) - len(files)}
    return plan


def _pick(image_id: str, item: str, category: str | None, boxes: dict[str, Box], splits: dict[str, str]) -> Pick:
    split = splits[image_id]
    return Pick(image_id, item, category or UNKNOWN, image_id, boxes.get(image_id), split=split)


PAIRS = ("taken_by",)
HELD_OUT = "validation"  # upstream's split that becomes test
Detection = dict[str, Any]  # superclass, confidence, x1, y1, x2, y2


def select_pairs(source: Source, params: BenchmarkParams) -> Plan:
    """Annotated garments: queries are those of users with a style, the gallery has all of the shops.

    A shop's garment without a style (0) matches no other; as in upstream it is a distractor in the gallery. A user's
    garment without a style is no query. Training rows are all garments of train and val; those without a style have no
    item.

    Raises:
        StageError: no image tells whether a shop or a user took it.
    """
    taken_by = {row["image_id"]: row["taken_by"] for row in source.items}
    if not any(taken_by.values()):
        raise StageError(
            f"source {source.name}: no image tells whether a shop or a user took it; some copies of the mirror's CSV "
            "lack the column `source`. Put upstream's annos/*.json next to image/."
        )
    plan = Plan()
    for row in source.objects:
        image_id = row["image_id"]
        split, folder = source.splits[image_id], image_id.split("-")[0]
        paired = row["pair_id"] is not None and (row["style"] or 0) > 0
        item = f"{folder}-pair-{row['pair_id']}-style-{row['style']}" if paired else None
        pick = Pick(row["object_id"], item, row["class_name"], image_id, _box(row, params), split=split)
        if folder != HELD_OUT:
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
    """object_id -> the detection of this garment. Pairs are formed by overlap, largest first; each box is used once.

    Args:
        boxes: annotated boxes of one image.
        detections: of the same image.
        least: smallest intersection over union of a match; classes are ignored.
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
    """The plan with detected boxes instead of annotated ones; training rows keep annotated boxes.

    A query that was not detected is a miss. A shop's garment that was not detected is not in the gallery. If no garment
    of a query's item was detected, a whole photo of the item stands in for it, and the item's queries are misses
    (``no_detection_in_shop``); otherwise they would be left out of the averages, as queries without a match are.

    Args:
        plan: of ``select_pairs`` with annotated boxes.
        detections: image_id -> its detections.
        least: see ``matched``.
    """
    boxes: dict[str, dict[str, Box]] = defaultdict(dict)
    for pick in (*plan.queries, *plan.gallery):
        boxes[pick.image_id][pick.row_id] = pick.box
    by_object: dict[str, Detection] = {}
    for image_id, annotated in boxes.items():
        by_object |= matched(annotated, detections.get(image_id, []), least)
    asked = {pick.item for pick in plan.queries}
    detected = {pick.item for pick in plan.gallery if pick.row_id in by_object}
    stands_in: set[str | None] = set()
    result = Plan(train=plan.train, left_out=plan.left_out.copy())
    for pick in sorted(plan.gallery, key=lambda pick: pick.row_id):
        if pick.row_id in by_object:
            result.gallery.append(_detected(pick, by_object[pick.row_id]))
        elif pick.item in asked and pick.item not in detected and pick.item not in stands_in:
            stands_in.add(pick.item)
            result.gallery.append(replace(pick, box=None))
        else:
            result.left_out["gallery: no_detection"] += 1
    for pick in plan.queries:
        if pick.row_id not in by_object:
            result.queries.append(replace(pick, image_id=None, box=None, missed="no_detection"))
        elif pick.item in stands_in:
            result.queries.append(replace(pick, image_id=None, box=None, missed="no_detection_in_shop"))
        else:
            result.queries.append(_detected(pick, by_object[pick.row_id]))
    result.about = {**plan.about, "gallery_stand_ins": len(stands_in)}
    return result


def with_classes(plan: Plan, classes: Mapping[str, str]) -> Plan:
    """The plan with the class of each annotated garment in place of a detected class: object_id -> superclass."""

    def known(picks: list[Pick]) -> list[Pick]:
        return [replace(pick, detected_class=classes.get(pick.row_id)) for pick in picks]

    return replace(plan, queries=known(plan.queries), gallery=known(plan.gallery))


def _detected(pick: Pick, detection: Detection) -> Pick:
    return replace(pick, box=box_of(detection), detected_class=detection["superclass"])


IMAGE_CATEGORY = ("status", "category")
MULTILABEL = ("status", "labels")
# Upstream uses 46 of the 50 categories; it merges these four into dresses.
MERGED = dict.fromkeys(("Cape", "Nightdress", "Shirtdress", "Sundress"), "Dress")
WHOLE = "outfit"  # the category of all photos with several labels, so that both views are the whole gallery
SEPARATOR = "|"  # of an image's labels in its row
ASKING, VALIDATING = (
    0.2,
    0.1,
)  # stratified: share of a category's images that are queries; of the others, val


def select_image_category(source: Source, params: BenchmarkParams) -> Plan:
    """Test images find training images of the same category; the four dresses of ``MERGED`` are one category.

    Protocols:
        official: upstream's test images are the queries, its training images the gallery and train, its val is val.
        stratified: see docs/methods.md, C. Only upstream's training images are used: a fifth of each category are
            queries, the others the gallery and train, a tenth of them val. A hash of the near-duplicate cluster
            decides, so that no picture is on both sides.

    Categories with fewer than ``min_category_images`` training images, counted before splitting, are left out of all
    three tables, so that queries and training rows have the same categories.
    """
    plan, boxes = Plan(), source.boxes(params.boxes)
    official = params.protocol == "official"
    picks: list[tuple[str, Pick]] = []
    for row in sorted(source.items, key=lambda row: row["image_id"]):
        image_id, split = row["image_id"], source.splits[row["image_id"]]
        if row["category"] is None:
            plan.left_out["no category"] += 1
        elif not official and row["status"] != "train":
            plan.left_out[f"upstream's {row['status']}"] += 1
        else:
            category = MERGED.get(row["category"], row["category"])
            picks.append((split, Pick(image_id, category, category, image_id, boxes.get(image_id))))
    images = Counter(pick.category for split, pick in picks if split == "train" or not official)
    small = {pick.category for _, pick in picks if images[pick.category] < params.min_category_images}
    if dropped := sum(pick.category in small for _, pick in picks):
        plan.left_out["category with too few images"] = dropped
    kept = [(split, pick) for split, pick in picks if pick.category not in small]
    if not official:
        kept = _stratified(kept, source.clusters)
    for split, pick in kept:
        if split == "test":
            plan.queries.append(pick)
        else:
            plan.train.append(replace(pick, item=None, split=split))
        # In the stratified protocol val is a tenth of the gallery.
        if split == "train" or (split == "val" and not official):
            plan.gallery.append(pick)
    plan.about = {
        "protocol": params.protocol,
        "classes": sorted({pick.category for pick in plan.train if pick.split == "train"}),
    }
    return plan


def _stratified(picks: list[tuple[str, Pick]], clusters: dict[str, str]) -> list[tuple[str, Pick]]:
    """The picks with a split: in every category a fifth is test, and a tenth of the others val, by cluster."""
    by_category: dict[str, dict[str, list[Pick]]] = defaultdict(lambda: defaultdict(list))
    home: dict[str, str] = {}  # a cluster over several categories belongs to that of its first image
    for _, pick in picks:
        cluster = clusters[pick.row_id]
        by_category[home.setdefault(cluster, str(pick.category))][cluster].append(pick)
    result: list[tuple[str, Pick]] = []
    for category in sorted(by_category):
        groups = sorted(by_category[category].items(), key=lambda group: (unit_hash(group[0]), group[0]))
        total = sum(len(group) for _, group in groups)
        ends = {"test": round(total * ASKING)}
        ends["val"] = ends["test"] + round((total - ends["test"]) * VALIDATING)
        done = 0
        for _, group in groups:
            split = "test" if done < ends["test"] else "val" if done < ends["val"] else "train"
            result += [(split, pick) for pick in group]
            done += len(group)
    return result


def select_multilabel(source: Source, params: BenchmarkParams) -> Plan:
    """Test images find training images with the same set of labels; training rows carry the labels.

    Queries whose set no training image has count as without a match. Images without a label are left out.
    """
    plan, boxes = Plan(), source.boxes(params.boxes)
    counts: Counter[str] = Counter()
    for row in source.items:
        image_id, split = row["image_id"], source.splits[row["image_id"]]
        labels = tuple(sorted(filter(None, (row["labels"] or "").split(SEPARATOR))))
        if not labels:
            plan.left_out["no label"] += 1
            continue
        pick = Pick(image_id, SEPARATOR.join(labels), WHOLE, image_id, boxes.get(image_id), labels=labels, split=split)
        if split == "test":
            plan.queries.append(pick)
            continue
        plan.train.append(replace(pick, item=None))
        if split == "train":
            plan.gallery.append(pick)
            counts.update(labels)
    plan.about = {"classes": sorted(counts), "images_by_label": dict(sorted(counts.items()))}
    return plan
