"""DeepFashion2's annotation files: the 13 classes, the entry of an item, and the original's defects."""

from __future__ import annotations

from random import Random
from typing import Any

from stages.demo.drawing.photo import Photo

Annotation = dict[str, Any]
# id -> (upstream's name, our kinds, sleeve, number of landmarks of the class)
CLASSES: dict[int, tuple[str, tuple[str, ...], str | None, int]] = {
    1: ("short sleeve top", ("tshirt", "tshirt", "shirt", "top", "blouse"), "short", 25),
    2: ("long sleeve top", ("shirt", "sweater", "sweatshirt", "blouse", "kurta"), "long", 33),
    3: ("short sleeve outwear", ("short_jacket",), "short", 31),
    4: ("long sleeve outwear", ("jacket", "coat", "blazer", "cardigan"), "long", 39),
    5: ("vest", ("tank", "top"), "none", 15),
    6: ("sling", ("sling",), "sling", 15),
    7: ("shorts", ("shorts",), None, 10),
    8: ("trousers", ("jeans", "trousers", "track_pants", "leggings", "capris"), None, 14),
    9: ("skirt", ("skirt",), None, 8),
    10: ("short sleeve dress", ("dress", "dress", "jumpsuit"), "short", 29),
    11: ("long sleeve dress", ("dress",), "long", 37),
    12: ("vest dress", ("dress", "dress", "jumpsuit"), "none", 19),
    13: ("sling dress", ("dress",), "sling", 19),
}
OVERHANG = 4  # pixels that a crossing box reaches over the border


def resampled(outline: list[tuple[float, float]], count: int, size: tuple[int, int]) -> list[int]:
    """Landmarks [x, y, v] * count, spread over an outline's corners; 0, 0, 0 where the point is outside the image."""
    flat: list[int] = []
    for index in range(count):
        at = index * len(outline)
        start, rest = at // count, at % count
        (x0, y0), (x1, y1) = outline[start], outline[(start + 1) % len(outline)]
        x, y = round(x0 + (x1 - x0) * rest / count), round(y0 + (y1 - y0) * rest / count)
        inside = 0 <= x < size[0] and 0 <= y < size[1]
        flat += [x, y, 2 if inside else 0] if inside else [0, 0, 0]
    return flat


def item_json(
    class_id: int, style: int, photo: Photo, index: int, size: tuple[int, int], about: dict[str, int]
) -> dict[str, Any]:
    """One itemN entry of an annotation file."""
    name, _, _, landmarks = CLASSES[class_id]
    panels = photo.outlines[index]
    largest = max(panels, key=lambda points: max(y for _, y in points) - min(y for _, y in points))
    return {
        "segmentation": [[value for point in points for value in point] for points in panels],
        "scale": about["scale"],
        "viewpoint": about["viewpoint"],
        "zoom_in": about["zoom_in"],
        "landmarks": resampled(largest, landmarks, size),
        "style": style,
        "bounding_box": list(photo.boxes[index]),
        "category_id": class_id,
        "occlusion": about["occlusion"],
        "category_name": name,
    }


def items_of(annotation: Annotation) -> list[dict[str, Any]]:
    """The itemN entries, in the order of the file."""
    return [value for key, value in annotation.items() if key.startswith("item")]


def touches_border(item: dict[str, Any], size: tuple[int, int]) -> bool:
    """Whether the garment is cut off by an edge of the image."""
    x0, y0, x1, y1 = item["bounding_box"]
    return x0 == 0 or y0 == 0 or x1 == size[0] or y1 == size[1]


def cross_border(item: dict[str, Any], size: tuple[int, int]) -> None:
    """Let the box go on where the image cuts the garment off."""
    x0, y0, x1, y1 = item["bounding_box"]
    item["bounding_box"] = [
        x0 - OVERHANG * (x0 == 0),
        y0 - OVERHANG * (y0 == 0),
        x1 + OVERHANG * (x1 == size[0]),
        y1 + OVERHANG * (y1 == size[1]),
    ]


def mixed_keys(rng: Random, annotation: Annotation) -> Annotation:
    """The same annotation with its keys in another order, as upstream's files have them."""
    order = list(annotation)
    while order == list(annotation):
        rng.shuffle(order)
    return {key: annotation[key] for key in order}


def add_defects(
    rng: Random, annotations: list[Annotation], size: tuple[int, int], crossing: int, landmarks: int, mixed: int
) -> list[Annotation]:
    """The annotations with so many crossing boxes, items without landmarks, and files with keys in mixed order.

    No file gets two of them. A file without a garment at the border cannot get a crossing box.
    """
    bordering = [
        index for index, found in enumerate(annotations) if any(touches_border(item, size) for item in items_of(found))
    ]
    crossed = rng.sample(bordering, min(crossing, len(bordering)))
    for index in crossed:
        cross_border(next(item for item in items_of(annotations[index]) if touches_border(item, size)), size)
    free = [index for index, found in enumerate(annotations) if index not in crossed and items_of(found)]
    rng.shuffle(free)
    for index in free[:landmarks]:
        item = items_of(annotations[index])[0]
        item["landmarks"] = [0] * len(item["landmarks"])
    changed = {index: mixed_keys(rng, annotations[index]) for index in free[landmarks : landmarks + mixed]}
    return [changed.get(index, found) for index, found in enumerate(annotations)]
