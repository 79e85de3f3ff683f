"""Draw a demo in DeepFashion2's format: 13 classes, shop and user photos of the same items.

Writes: OUT/{train,validation}/{image,annos}/000001.{jpg,json}, defects of the original included.
Params: demo.deepfashion2
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

from pydantic import Field

from stages.core.files import fresh_folder
from stages.core.params import Section
from stages.core.progress import track
from stages.core.stage import run_stage
from stages.demo.backgrounds import plain_background, scene_background
from stages.demo.figures import Photo, flat_photo, worn_photo
from stages.demo.garments import Garment, make_garment
from stages.demo.outfits import LOWERS, SHOES
from stages.demo.people import random_person
from stages.demo.writing import jpeg_bytes, rng_for, write_bytes, write_text

SOURCE = "deepfashion2"
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
# What an outfit is made of, and how often: each merged group of five stays frequent.
OUTFITS: tuple[tuple[tuple[int, ...], int], ...] = (
    ((1, 8), 9), ((1, 7), 5), ((1, 9), 4), ((2, 8), 9), ((2, 9), 5), ((2, 7), 3),
    ((5, 7), 7), ((5, 8), 7), ((5, 9), 6), ((6, 7), 3), ((6, 9), 3),
    ((4, 1, 8), 9), ((4, 5, 8), 5), ((4, 2, 9), 5), ((3, 1, 8), 4), ((3, 5, 7), 4), ((4, 10), 3),
    ((10,), 7), ((11,), 7), ((12,), 7), ((13,), 7),
)  # fmt: skip
CROPS = ((-30, 1030), (-30, 1030), (-20, 780), (110, 1000), (-20, 620), (130, 720))


class DeepFashion2Demo(Section):
    """Section demo.deepfashion2 of params.yaml."""

    seed: int
    train: int = Field(ge=0)
    validation: int = Field(ge=0)
    width: int = Field(ge=32, le=640)
    height: int = Field(ge=32, le=640)
    images_per_pair: int = Field(ge=2)
    flat_percent: int = Field(ge=0, le=100)
    defects: int = Field(ge=0)


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
        layered = len(ids) > 1 and garment.cut.layer == "outer"  # worn open, to show what is under it
        garments.append((class_id, replace(garment, opened=True) if layered else garment))
    return gender, garments


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


def draw_photo(params: DeepFashion2Demo, split: str, index: int) -> tuple[Photo, dict[str, Any]]:
    """Image number index of a split and its annotation."""
    size = (params.width, params.height)
    pair, turn = divmod(index, params.images_per_pair)
    gender, garments = pair_outfit(params.seed, split, pair)
    rng = rng_for(params.seed, SOURCE, split, "image", index)
    shop = turn % 2 == 0
    about = {"scale": rng.randint(1, 3), "viewpoint": 2, "zoom_in": 1, "occlusion": 1}
    if shop and rng.randrange(100) < params.flat_percent:
        position = rng.randrange(len(garments))
        background = scene_background(rng, size) if rng.random() < 0.15 else None
        photo = flat_photo(rng, size, garments[position][1], background, rng.randint(52, 96))
        shown, about["viewpoint"] = [(0, position)], 1
    else:
        photo = _worn(rng, size, gender, [garment for _, garment in garments], shop, about)
        shown = [(position, position) for position in range(len(garments)) if photo.shows(position)]
    items = {
        f"item{number}": item_json(garments[position][0], 1 + position, photo, drawn, size, about)
        for number, (drawn, position) in enumerate(shown, start=1)
    }
    return photo, {"source": "shop" if shop else "user", "pair_id": pair + 1, **items}


def _worn(
    rng: Random, size: tuple[int, int], gender: str, garments: list[Garment], shop: bool, about: dict[str, int]
) -> Photo:
    view = rng.choice(("front", "front", "front", "side", "back"))
    about["viewpoint"] = {"front": 2, "side": 3, "back": 3}[view]
    crop = 0 if shop else rng.randrange(len(CROPS))
    about["zoom_in"] = 1 if crop < 2 else 2 if crop < 4 else 3
    extra = [make_garment(rng, rng.choice(SHOES[gender]), gender)]
    if not any(garment.cut.layer == "lower" or garment.kind in ("dress", "jumpsuit") for garment in garments):
        extra.append(make_garment(rng, rng.choice(LOWERS[gender]), gender))
    background = plain_background(rng, size) if shop else scene_background(rng, size)
    shift = 0.0 if shop or rng.random() < 0.7 else rng.choice((-22, 22)) / 100
    return worn_photo(rng, size, random_person(rng, gender), [*garments, *extra], view, CROPS[crop], background, shift)


def add_defect(annotation: dict[str, Any], kind: int, size: tuple[int, int]) -> None:
    """A defect of the original: a box across the border, or an item without landmarks."""
    item = annotation.get("item1")
    if item is None:
        return
    if kind % 2 == 0:
        box = item["bounding_box"]
        item["bounding_box"] = [box[0], box[1], size[0] + 4, box[3]]
    else:
        item["landmarks"] = [0] * len(item["landmarks"])


def main(args: argparse.Namespace, params: SimpleNamespace) -> None:
    """Write both splits."""
    demo: DeepFashion2Demo = params.demo
    out: Path = fresh_folder(args.out)
    jobs = [("train", index) for index in range(demo.train)] + [
        ("validation", index) for index in range(demo.validation)
    ]
    for split, index in track(jobs, total=len(jobs), desc=f"draw {SOURCE}"):
        photo, annotation = draw_photo(demo, split, index)
        if split == "train" and index % 37 == 36 and index // 37 < demo.defects:
            add_defect(annotation, index // 37, (demo.width, demo.height))
        write_bytes(out / split / "image" / f"{index + 1:06d}.jpg", jpeg_bytes(photo.image))
        write_text(out / split / "annos" / f"{index + 1:06d}.json", json.dumps(annotation))


if __name__ == "__main__":
    run_stage(main, arguments=["out"], params={"demo": ("demo.deepfashion2", DeepFashion2Demo)})
