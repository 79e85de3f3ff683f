"""Draw a demo in the shoe set's format: six classes by folder, one JSON of boxes per class.

Writes: OUT/{training,validation}/<class>/imageN.jpg and OUT/annotations_<class>.json, defects of the original included;
        TRUTH/garments.parquet, the ground truth.
Params: demo.shoes
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from stages.core.params import Section
from stages.demo.drawing.canvas import Box
from stages.demo.drawing.garments import companions, make_garment
from stages.demo.drawing.palette import scene_background
from stages.demo.drawing.people import random_person
from stages.demo.drawing.photo import Photo, flat_photo, jpeg_bytes, worn_photo
from stages.demo.sources.shared import DefectPlan, rng_for, write_bytes, write_text
from stages.demo.truth import Named, Row, garment_rows, write_truth

SOURCE = "shoes"
# Upstream has no folder for heels, flats and formal shoes; they are in the most similar of the six classes.
KINDS_OF_CLASS = {
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
    """Section demo.shoes of params.yaml. A picture has one defect at most.

    Attributes:
        images: over six classes; upstream has 961.
        width, height: pixels; display-scaled pictures are drawn at twice the size.
        flat_percent: of pictures with shoes alone; the rest show legs.
        validation_percent: of each class, in validation/.
        reversed_boxes: corners swapped (upstream: 75 of 961).
        negative_boxes: x1 below 0 at the border of the image (upstream: 18 of 961).
        display_scaled: pictures of twice the size whose boxes are those of the picture scaled down to width x height.
        images_without_entry: images that their class's JSON does not name.
        entries_without_image: names in a JSON without a file.
    """

    seed: int
    images: int = Field(ge=6)
    width: int = Field(ge=32, le=360)
    height: int = Field(ge=32, le=360)
    flat_percent: int = Field(ge=0, le=100)
    validation_percent: int = Field(ge=0, le=100)
    reversed_boxes: int = Field(8, ge=0)
    negative_boxes: int = Field(3, ge=0)
    display_scaled: int = Field(3, ge=0)
    images_without_entry: int = Field(1, ge=0)
    entries_without_image: int = Field(1, ge=0)


def defects_of(demo: ShoesDemo) -> tuple[DefectPlan, dict[str, list[int]]]:
    """The plan, and defect -> pictures that have it, for the defects that any picture can have."""
    plan = DefectPlan(demo.seed, SOURCE, demo.images)
    names = ("reversed_boxes", "display_scaled", "images_without_entry")
    return plan, {name: plan.take(getattr(demo, name)) for name in names}


def jobs(demo: ShoesDemo) -> list[tuple[int, str | None]]:
    """Number and defect of every picture."""
    _, hit = defects_of(demo)
    defects = {index: name for name, indices in hit.items() for index in indices}
    return [(index, defects.get(index)) for index in range(demo.images)]


def draw_shoes(params: ShoesDemo, folder: str, index: int, scale: int = 1) -> Photo:
    """Picture number index of a class, scale times as large as the params say; the shoes have index 0 in its boxes."""
    rng = rng_for(params.seed, SOURCE, folder, index)
    size, kind = (params.width * scale, params.height * scale), rng.choice(KINDS_OF_CLASS[folder])
    gender = "Women" if kind in ("heel", "flat") else rng.choice(("Men", "Women"))
    shoe = make_garment(rng, kind, gender, usage=rng.choice(USAGES))
    if rng.randrange(100) < params.flat_percent:
        background = scene_background(rng, size) if rng.random() < 0.2 else None
        return flat_photo(rng, size, shoe, background, rng.randint(55, 94))
    # lower legs mostly, sometimes from the hips or the whole person
    top = rng.choice((820, 780, 740, 640, 480, -30))
    view = rng.choice(("front", "side", "side", "back"))
    person, clothes = random_person(rng, gender), [shoe, *companions(rng, shoe, gender)]
    return worn_photo(rng, size, person, clothes, view, (top, 1025), None, rng.randint(-8, 8) / 100)


def published(box: Box, defect: str | None) -> list[int]:
    """A box as the annotation file gives it."""
    x0, y0, x1, y1 = box
    if defect == "reversed_boxes":
        return [x1, y1, x0, y0]
    if defect == "display_scaled":  # drawn by hand on the picture as shown on a screen
        return [x0 // SCALE, y0 // SCALE, -(-x1 // SCALE), -(-y1 // SCALE)]
    return [x0, y0, x1, y1]


@dataclass(frozen=True)
class Entry:
    """One published picture.

    Attributes:
        folder: its class.
        split: training or validation.
        name: of the file, without suffix.
        content: the file's bytes.
        boxes: of its entry in the class's JSON; None: it has none.
        rows: the ground truth.
    """

    folder: str
    split: str
    name: str
    content: bytes
    boxes: list[list[int]] | None
    rows: list[Row]


def draw(demo: ShoesDemo, job: tuple[int, str | None]) -> Entry:
    """Draw one picture by its number and defect; the classes take turns."""
    index, defect = job
    folder, number = list(KINDS_OF_CLASS)[index % len(KINDS_OF_CLASS)], index // len(KINDS_OF_CLASS)
    photo = draw_shoes(demo, folder, number, SCALE if defect == "display_scaled" else 1)
    in_validation = (number + 1) * demo.validation_percent // 100 > number * demo.validation_percent // 100
    split, name = "validation" if in_validation else "training", f"image{number + 1}"
    image_id, has_entry = f"{folder}-{split}-{name}", defect != "images_without_entry"
    boxes = [published(photo.boxes[0], defect)] if 0 in photo.boxes else []
    names = {0: Named(image_id, f"{image_id}:1" if has_entry else None)}
    rows = garment_rows(image_id, photo, names)
    return Entry(folder, split, name, jpeg_bytes(photo.image), boxes if has_entry else None, rows)


def write(demo: ShoesDemo, drawn: list[Entry], out: Path, truth: Path) -> None:
    """Write images, the six annotation files and the ground truth."""
    plan, _ = defects_of(demo)
    annotations: dict[str, dict[str, list[list[int]]]] = {folder: {} for folder in KINDS_OF_CLASS}
    for entry in drawn:
        write_bytes(out / entry.split / entry.folder / f"{entry.name}.jpg", entry.content)
        if entry.boxes is not None:
            annotations[entry.folder][f"{entry.name}.jpg"] = entry.boxes
    cut_off = {index: entry.boxes[0] for index, entry in enumerate(drawn) if entry.boxes and entry.boxes[0][0] == 0}
    for index in plan.take(demo.negative_boxes, cut_off):
        cut_off[index][0] = -3
    for number in range(demo.entries_without_image):
        name = f"image{demo.images + number + 1}.jpg"  # above every number that a class has
        annotations[list(KINDS_OF_CLASS)[number % len(KINDS_OF_CLASS)]][name] = [[0, 0, demo.width, demo.height]]
    for folder, boxes_by_name in annotations.items():
        write_text(out / f"annotations_{folder}.json", json.dumps(boxes_by_name))
    write_truth(truth, [row for entry in drawn for row in entry.rows])


PARAMS = ShoesDemo
