"""Benchmarks with physical items: In-shop, and Consumer-to-Shop. Tables in, a plan out, no pictures."""

from stages.benchmarks.params import BenchmarkParams
from stages.benchmarks.plan import Pick, Plan, Source
from stages.contracts.boxes import Box

INSHOP = ("item", "role", "category")
CONSUMER_TO_SHOP = ("item", "role", "status", "category")
TRAINING = ("train", "val")
UNKNOWN = "unknown"  # the category of an image whose path is not upstream's


def select_inshop(source: Source, params: BenchmarkParams) -> Plan:
    """Upstream's queries search upstream's gallery; correct = the same item id.

    Training rows keep the split that ingest gave them, by item. One that is a near duplicate of a query or gallery
    picture went to test with it: it is left out.
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

    Upstream repeats a shop's photo in every pair of the item: ingest has it once. Where an item has the same file
    under two names, the gallery has the first: a second one would count as a second find.
    """
    plan, boxes = Plan(), source.boxes(params.boxes)
    seen: set[tuple[str, str]] = set()
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
        elif (key := (row["item"], source.digests[image_id])) in seen:
            plan.left_out["gallery: the same file of the same item"] += 1
        else:
            seen.add(key)
            plan.gallery.append(pick)
    return plan


def _pick(image_id: str, item: str, category: str | None, boxes: dict[str, Box], splits: dict[str, str]) -> Pick:
    split = splits[image_id]
    return Pick(image_id, item, category or UNKNOWN, image_id, boxes.get(image_id), split=split)
