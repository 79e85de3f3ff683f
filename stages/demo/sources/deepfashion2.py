"""Draw a demo in DeepFashion2's format: 13 classes, shop and user photos of the same items.

Writes: OUT/{train,validation}/{image,annos}/000001.{jpg,json} and OUT/test/image, defects of the original included;
        TRUTH/garments.parquet, the ground truth.
Params: demo.deepfashion2
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from pydantic import Field

from stages.core.params import Section
from stages.demo.drawing.garments import LOWERS, SHOES, Garment, make_garment
from stages.demo.drawing.palette import plain_background, scene_background
from stages.demo.drawing.people import random_person
from stages.demo.drawing.photo import Photo, flat_photo, jpeg_bytes, worn_photo
from stages.demo.sources.shared import DefectPlan, rng_for, write_bytes, write_text
from stages.demo.truth import Named, Row, garment_rows, write_truth

SOURCE = "deepfashion2"
ANNOTATED = ("train", "validation")
SPLITS = (*ANNOTATED, "test")  # names start at 000001 in each; upstream does not publish test annotations
# Outfits and their weights: tops are most frequent, as in upstream, and no merged group is rare.
OUTFITS: tuple[tuple[tuple[int, ...], int], ...] = (
    ((1, 8), 15), ((1, 7), 9), ((1, 9), 7), ((2, 8), 10), ((2, 9), 6), ((2, 7), 4),
    ((5, 7), 6), ((5, 8), 6), ((5, 9), 5), ((6, 7), 1), ((6, 9), 1),
    ((4, 1, 8), 12), ((4, 5, 8), 7), ((4, 2, 9), 7), ((3, 1, 8), 5), ((3, 5, 7), 3), ((4, 10), 4),
    ((10,), 9), ((11,), 6), ((12,), 9), ((13,), 5),
)  # fmt: skip
CROPS = ((-30, 1030), (-30, 1030), (-20, 780), (110, 1000), (-20, 620), (130, 720))


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
OVERHANG = 4  # pixels of a crossing box beyond the border


class DeepFashion2Demo(Section):
    """Section demo.deepfashion2 of params.yaml.

    Attributes:
        train, validation: images; the second is the project's test split.
        test: images in test/, without annotations (upstream: 62,629).
        width, height: pixels; upstream is about 468 x 624, the same 3:4.
        images_per_pair: photos of one pair_id, shop and user in turn.
        flat_percent: of the shop photos that show one garment flat, as catalogues do.
        crossing_boxes: training annotations with a box that crosses the border of the image.
        zero_landmarks: training annotations with an item whose landmarks are all 0,0,0.
        mixed_keys: training annotations with keys in another order (item2 before source, item1 last): many, as the
            order in upstream's files varies.
    """

    seed: int
    train: int = Field(ge=0)
    validation: int = Field(ge=0)
    test: int = Field(ge=0)
    width: int = Field(ge=32, le=640)
    height: int = Field(ge=32, le=640)
    images_per_pair: int = Field(ge=2)
    flat_percent: int = Field(ge=0, le=100)
    crossing_boxes: int = Field(4, ge=0)
    zero_landmarks: int = Field(4, ge=0)
    mixed_keys: int = Field(40, ge=0)


def pair_outfit(seed: int, split: str, pair: int) -> tuple[str, list[tuple[int, Garment]]]:
    """The gender and the garments (with class ids) that all photos of a pair_id show."""
    rng = rng_for(seed, SOURCE, split, "pair", pair)
    combos, weights = zip(*OUTFITS, strict=True)
    ids = rng.choices(combos, weights=weights)[0]
    womens = {6, 9, 10, 11, 12, 13}
    gender = "Women" if womens & set(ids) else rng.choice(("Men", "Women"))
    garments = []
    for class_id in ids:
        _, kinds, sleeve, _ = CLASSES[class_id]
        allowed = [kind for kind in kinds if gender == "Women" or kind not in ("top", "blouse", "leggings")] or list(
            kinds
        )
        garment = make_garment(rng, rng.choice(allowed), gender, sleeve=sleeve)
        layered = len(ids) > 1 and garment.traits.layer == "outer"  # worn open, to show the garment under it
        garments.append((class_id, replace(garment, opened=True) if layered else garment))
    return gender, garments


def image_name(split: str, index: int) -> str:
    """The id that ingest gives image number index of a split."""
    return f"{split}-{index + 1:06d}"


def draw_photo(demo: DeepFashion2Demo, split: str, index: int) -> tuple[Photo, Annotation, dict[int, Named]]:
    """Image number index of a split, its annotation, and the names of the pair's garments."""
    size = (demo.width, demo.height)
    pair, turn = divmod(index, demo.images_per_pair)
    gender, garments = pair_outfit(demo.seed, split, pair)
    rng = rng_for(demo.seed, SOURCE, split, "image", index)
    shop = turn % 2 == 0
    about = {"scale": rng.randint(1, 3), "viewpoint": 2, "zoom_in": 1, "occlusion": 1}
    if shop and rng.randrange(100) < demo.flat_percent:
        position = rng.randrange(len(garments))
        background = scene_background(rng, size) if rng.random() < 0.15 else None
        photo = flat_photo(rng, size, garments[position][1], background, rng.randint(52, 96))
        shown, about["viewpoint"] = [(0, position)], 1
        drawn = shown
    else:
        photo = _worn(rng, size, gender, [garment for _, garment in garments], shop, about)
        drawn = [(position, position) for position in range(len(garments))]
        shown = [places for places in drawn if photo.shows(places[0])]
    items = {
        f"item{number}": item_json(garments[position][0], 1 + position, photo, place, size, about)
        for number, (place, position) in enumerate(shown, start=1)
    }
    annotated = enumerate(shown if split in ANNOTATED else [], start=1)
    labeled = {place: f"{image_name(split, index)}:item{number}" for number, (place, _) in annotated}
    names = {
        place: Named(f"{split}-pair-{pair + 1}-style-{1 + position}", labeled.get(place)) for place, position in drawn
    }
    return photo, {"source": "shop" if shop else "user", "pair_id": pair + 1, **items}, names


def _worn(
    rng: Random, size: tuple[int, int], gender: str, garments: list[Garment], shop: bool, about: dict[str, int]
) -> Photo:
    view = rng.choice(("front", "front", "front", "side", "back"))
    about["viewpoint"] = {"front": 2, "side": 3, "back": 3}[view]
    crop = 0 if shop else rng.randrange(len(CROPS))
    about["zoom_in"] = 1 if crop < 2 else 2 if crop < 4 else 3
    extra = [make_garment(rng, rng.choice(SHOES[gender]), gender)]
    if not any(garment.traits.layer == "lower" or garment.kind in ("dress", "jumpsuit") for garment in garments):
        extra.append(make_garment(rng, rng.choice(LOWERS[gender]), gender))
    background = plain_background(rng, size) if shop else scene_background(rng, size)
    shift = 0.0 if shop or rng.random() < 0.7 else rng.choice((-22, 22)) / 100
    return worn_photo(rng, size, random_person(rng, gender), [*garments, *extra], view, CROPS[crop], background, shift)


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
    """Let the box cross the border where the image ends."""
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


def add_defects(demo: DeepFashion2Demo, annotations: list[Annotation]) -> None:
    """Add defects to annotations; a file without a garment at the border gets no crossing box."""
    size, plan = (demo.width, demo.height), DefectPlan(demo.seed, SOURCE, len(annotations))
    cut_off = {
        index: item
        for index, annotation in enumerate(annotations)
        for item in reversed(items_of(annotation))
        if touches_border(item, size)
    }
    for index in plan.take(demo.crossing_boxes, cut_off):
        cross_border(cut_off[index], size)
    some = {index for index, annotation in enumerate(annotations) if items_of(annotation)}
    for index in plan.take(demo.zero_landmarks, some):
        item = items_of(annotations[index])[0]
        item["landmarks"] = [0] * len(item["landmarks"])
    for index in plan.take(demo.mixed_keys, some):
        annotations[index] = mixed_keys(plan.rng, annotations[index])


def jobs(demo: DeepFashion2Demo) -> list[tuple[str, int]]:
    """Split and number of every image."""
    return [(split, index) for split in SPLITS for index in range(getattr(demo, split))]


def draw(demo: DeepFashion2Demo, job: tuple[str, int]) -> tuple[bytes, Annotation, list[Row]]:
    """JPEG bytes, annotation and ground truth of image (split, index)."""
    photo, annotation, names = draw_photo(demo, *job)
    return jpeg_bytes(photo.image), annotation, garment_rows(image_name(*job), photo, names)


def write(demo: DeepFashion2Demo, drawn: list[tuple[bytes, Annotation, list[Row]]], out: Path, truth: Path) -> None:
    """Write the three splits and the ground truth."""
    annotations: dict[str, list[Annotation]] = {split: [] for split in SPLITS}
    for (split, index), (content, annotation, _) in zip(jobs(demo), drawn, strict=True):
        write_bytes(out / split / "image" / f"{index + 1:06d}.jpg", content)
        annotations[split].append(annotation)
    add_defects(demo, annotations["train"])
    for split in ANNOTATED:
        for number, annotation in enumerate(annotations[split], start=1):
            write_text(out / split / "annos" / f"{number:06d}.json", json.dumps(annotation))
    write_truth(truth, [row for *_, rows in drawn for row in rows])


PARAMS = DeepFashion2Demo
