"""Benchmarks where a label decides what is correct: an image's category, or its whole set of labels."""

from collections import Counter, defaultdict
from dataclasses import replace

from stages.benchmarks.params import BenchmarkParams
from stages.benchmarks.plan import Pick, Plan, Source
from stages.contracts.splits import unit_hash

IMAGE_CATEGORY = ("status", "category")
MULTILABEL = ("status", "labels")
# Of the 50 categories upstream itself uses 46: these are dresses.
MERGED = dict.fromkeys(("Cape", "Nightdress", "Shirtdress", "Sundress"), "Dress")
WHOLE = "outfit"  # the category of a photo with several labels: the view of one's own category is the whole gallery
SEPARATOR = "|"  # between an image's labels in its row
ASKING, VALIDATING = 0.2, 0.1  # protocol stratified: shares of a category's images, the second of those that train


def select_image_category(source: Source, params: BenchmarkParams) -> Plan:
    """Test images find training images of the same category; the four dresses of ``MERGED`` are one category.

    Protocols:
        official: upstream's test asks, its training images are gallery and train, its val is val.
        stratified: as docs/methods.md, C, has it. Of upstream's training images alone, a fifth of each category asks,
            the others are the gallery and train, a tenth of them as val. Which is which is a hash of the near-duplicate
            cluster, so no picture is on both sides.

    Categories with fewer than ``min_category_images`` training images are left out of all three.
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
    images = Counter(pick.category for split, pick in picks if split == "train")
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
        # In the stratified protocol the tenth that validates is of the images that are searched.
        if split == "train" or (split == "val" and not official):
            plan.gallery.append(pick)
    plan.about = {
        "protocol": params.protocol,
        "classes": sorted({pick.category for pick in plan.train if pick.split == "train"}),
    }
    return plan


def _stratified(picks: list[tuple[str, Pick]], clusters: dict[str, str]) -> list[tuple[str, Pick]]:
    """The picks with a split each: of every category a fifth test, and a tenth of the others val, by cluster."""
    by_category: dict[str, dict[str, list[Pick]]] = defaultdict(lambda: defaultdict(list))
    home: dict[str, str] = {}  # a cluster that spans categories goes where its first image is
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

    Queries whose very set no training image has are counted as without a match. An image without any label is left out.
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
