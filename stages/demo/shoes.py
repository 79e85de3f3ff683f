"""Draw a demo in the shoe set's format: six classes by folder, one JSON of boxes per class.

Writes: OUT/{training,validation}/<class>/imageN.jpg and OUT/annotations_<class>.json, defects of the original included.
Params: demo.shoes
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from types import SimpleNamespace

from pydantic import Field

from stages.core.files import fresh_folder
from stages.core.params import Section
from stages.core.progress import track
from stages.core.stage import run_stage
from stages.demo.backgrounds import scene_background
from stages.demo.figures import Photo, flat_photo, worn_photo
from stages.demo.garments import make_garment
from stages.demo.outfits import companions
from stages.demo.people import random_person
from stages.demo.writing import jpeg_bytes, picked, rng_for, write_bytes, write_text

SOURCE = "shoes"
# Heels, flats and formal shoes have no folder upstream; they occur among the nearest of the six classes.
KINDS = {
    "boots": ("boot",),
    "flip_flops": ("flip_flop",),
    "loafers": ("loafer", "formal_shoe", "flat"),
    "sandals": ("sandal", "sandal", "heel"),
    "sneakers": ("sneaker", "sports_shoe"),
    "soccer_shoes": ("soccer_shoe",),
}
USAGES = ("Casual", "Casual", "Sports", "Ethnic", "Formal")


class ShoesDemo(Section):
    """Section demo.shoes of params.yaml."""

    seed: int
    images: int = Field(ge=6)
    width: int = Field(ge=32, le=640)
    height: int = Field(ge=32, le=640)
    flat_percent: int = Field(ge=0, le=100)
    validation_percent: int = Field(ge=0, le=100)
    reversed_boxes: int = Field(ge=0)
    negative_boxes: int = Field(ge=0)


def draw_shoes(params: ShoesDemo, folder: str, index: int) -> Photo:
    """Picture number index of a class; the shoes have index 0 in its boxes."""
    rng = rng_for(params.seed, SOURCE, folder, index)
    size, kind = (params.width, params.height), rng.choice(KINDS[folder])
    gender = "Women" if kind in ("heel", "flat") else rng.choice(("Men", "Women"))
    shoe = make_garment(rng, kind, gender, usage=rng.choice(USAGES))
    if rng.randrange(100) < params.flat_percent:
        background = scene_background(rng, size) if rng.random() < 0.2 else None
        return flat_photo(rng, size, shoe, background, rng.randint(55, 94))
    # lower legs mostly, sometimes from the hips or the whole person
    top = rng.choice((820, 780, 740, 640, 480, -30))
    view = rng.choice(("front", "side", "side", "back"))
    return worn_photo(
        rng,
        size,
        random_person(rng, gender),
        [shoe, *companions(rng, shoe, gender)],
        view,
        (top, 1025),
        None,
        rng.randint(-8, 8) / 100,
    )


def main(args: argparse.Namespace, params: SimpleNamespace) -> None:
    """Write images and the six annotation files."""
    demo: ShoesDemo = params.demo
    out: Path = fresh_folder(args.out)
    chance = rng_for(demo.seed, SOURCE, "defects")
    turned = set(picked(chance, demo.images, demo.reversed_boxes))
    negative = set(picked(chance, demo.images, demo.negative_boxes, turned))
    annotations: dict[str, dict[str, list[list[int]]]] = {folder: {} for folder in KINDS}
    folders = list(KINDS)
    for index in track(range(demo.images), total=demo.images, desc=f"draw {SOURCE}"):
        folder, number = folders[index % len(folders)], index // len(folders)
        photo = draw_shoes(demo, folder, number)
        boxes = [list(photo.boxes[0])] if 0 in photo.boxes else []
        if index in turned:
            boxes = [[x1, y1, x0, y0] for x0, y0, x1, y1 in boxes]
        if index in negative:
            boxes = [[-3, y0, x1, y1] for _, y0, x1, y1 in boxes]
        in_validation = (number + 1) * demo.validation_percent // 100 > number * demo.validation_percent // 100
        split, name = "validation" if in_validation else "training", f"image{number + 1}.jpg"
        write_bytes(out / split / folder / name, jpeg_bytes(photo.image))
        annotations[folder][name] = boxes
    for folder, boxes_by_name in annotations.items():
        write_text(out / f"annotations_{folder}.json", json.dumps(boxes_by_name))


if __name__ == "__main__":
    run_stage(main, arguments=["out"], params={"demo": ("demo.shoes", ShoesDemo)})
