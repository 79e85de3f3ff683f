"""Draw a demo in the shoe set's format: six classes by folder, one JSON of boxes per class.

Writes: OUT/{training,validation}/<class>/imageN.jpg and OUT/annotations_<class>.json, defects of the original included;
        TRUTH/garments.parquet, what the images really show.
Params: demo.shoes
"""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import Field

from stages.core.files import fresh_folder
from stages.core.params import Section
from stages.demo.drawing.backgrounds import scene_background
from stages.demo.drawing.canvas import Box
from stages.demo.drawing.encoding import jpeg_bytes, picked, rng_for, write_bytes, write_text
from stages.demo.drawing.garments import make_garment
from stages.demo.drawing.outfits import companions
from stages.demo.drawing.people import random_person
from stages.demo.drawing.photo import Photo, flat_photo, worn_photo
from stages.demo.truth import Named, Row, garment_rows, write_truth
from stages.runner.progress import track

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
SCALE = 2  # of pictures that are larger than the screen on which their boxes were drawn
USAGES = ("Casual", "Casual", "Sports", "Ethnic", "Formal")


class ShoesDemo(Section):
    """Section demo.shoes of params.yaml."""

    seed: int
    images: int = Field(ge=6)
    width: int = Field(ge=32, le=360)  # display-scaled pictures are drawn at twice the size
    height: int = Field(ge=32, le=360)
    flat_percent: int = Field(ge=0, le=100)
    validation_percent: int = Field(ge=0, le=100)
    reversed_boxes: int = Field(ge=0)
    negative_boxes: int = Field(ge=0)
    display_scaled: int = Field(ge=0)
    images_without_entry: int = Field(ge=0)
    entries_without_image: int = Field(ge=0)


def draw_shoes(params: ShoesDemo, folder: str, index: int, scale: int = 1) -> Photo:
    """Picture number index of a class, scale times as large as the params say; the shoes have index 0 in its boxes."""
    rng = rng_for(params.seed, SOURCE, folder, index)
    size, kind = (params.width * scale, params.height * scale), rng.choice(KINDS[folder])
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


def plan(demo: ShoesDemo) -> dict[str, set[int]]:
    """Defect -> the pictures that have it, for the defects that any picture can have; no picture has two."""
    taken: set[int] = set()
    hit: dict[str, set[int]] = {}
    # Two generators: the second draws the defects that came later and leaves the first one's choices alone.
    for names, chance in (
        (("reversed_boxes",), rng_for(demo.seed, SOURCE, "defects")),
        (("display_scaled", "images_without_entry"), rng_for(demo.seed, SOURCE, "defects", "newer")),
    ):
        for name in names:
            hit[name] = set(picked(chance, demo.images, getattr(demo, name), taken))
            taken |= hit[name]
    return hit


def published(box: Box, index: int, defects: dict[str, set[int]]) -> list[int]:
    """A box as the annotation file of picture number index gives it."""
    x0, y0, x1, y1 = box
    if index in defects["reversed_boxes"]:
        return [x1, y1, x0, y0]
    if index in defects["display_scaled"]:  # drawn by hand on the picture as the screen showed it
        return [x0 // SCALE, y0 // SCALE, -(-x1 // SCALE), -(-y1 // SCALE)]
    return [x0, y0, x1, y1]


def write_source(demo: ShoesDemo, out: Path, truth: Path) -> None:
    """Write images, the six annotation files and the ground truth."""
    fresh_folder(out)
    defects = plan(demo)
    annotations: dict[str, dict[str, list[list[int]]]] = {folder: {} for folder in KINDS}
    folders = list(KINDS)
    cut_off: list[list[int]] = []  # sound boxes that begin where the image cuts the shoes off
    rows: list[Row] = []
    for index in track(range(demo.images), total=demo.images, desc=f"draw {SOURCE}"):
        folder, number = folders[index % len(folders)], index // len(folders)
        photo = draw_shoes(demo, folder, number, SCALE if index in defects["display_scaled"] else 1)
        in_validation = (number + 1) * demo.validation_percent // 100 > number * demo.validation_percent // 100
        split, name = "validation" if in_validation else "training", f"image{number + 1}"
        write_bytes(out / split / folder / f"{name}.jpg", jpeg_bytes(photo.image))
        image_id, has_entry = f"{folder}-{split}-{name}", index not in defects["images_without_entry"]
        if has_entry:
            boxes = [photo.boxes[0]] if 0 in photo.boxes else []
            annotations[folder][f"{name}.jpg"] = [published(box, index, defects) for box in boxes]
            if boxes and boxes[0][0] == 0 and not any(index in indices for indices in defects.values()):
                cut_off.append(annotations[folder][f"{name}.jpg"][0])
        rows += garment_rows(image_id, photo, {0: Named(image_id, f"{image_id}:1" if has_entry else None)})
    for place in picked(rng_for(demo.seed, SOURCE, "negative"), len(cut_off), demo.negative_boxes):
        cut_off[place][0] = -3
    for number in range(demo.entries_without_image):
        name = f"image{demo.images + number + 1}.jpg"  # above every number that a class has
        annotations[folders[number % len(folders)]][name] = [[0, 0, demo.width, demo.height]]
    for folder, boxes_by_name in annotations.items():
        write_text(out / f"annotations_{folder}.json", json.dumps(boxes_by_name))
    write_truth(truth, rows)


PARAMS = ShoesDemo
