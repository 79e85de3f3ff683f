"""Draw a demo in DeepFashion In-shop's format: items in several views, split into train, query and gallery.

Writes: OUT/Img/img_highres/{MEN,WOMEN}/<type>/id_XXXXXXXX/01_1_front.jpg, OUT/Eval/list_eval_partition.txt,
        OUT/Anno/list_bbox_inshop.txt and list_item_inshop.txt; TRUTH/garments.parquet, the ground truth.
Params: demo.inshop

As in upstream, an item's photos are in one folder, boxes are those of the picture at 256 x 256, and rows are padded
with spaces. The demo has no low-resolution pictures, so boxes must be scaled.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from stages.core.params import Section
from stages.demo.drawing.garments import Garment, make_garment
from stages.demo.sources.deepfashion_photos import (
    LAYER_CODES,
    WHOLE,
    Shot,
    about,
    laid_photo,
    list_text,
    span_of,
    square_box,
    studio_photo,
    write_images,
)
from stages.demo.sources.shared import DefectPlan, rng_for, write_text
from stages.demo.truth import write_truth

SOURCE = "inshop"
# type -> (kinds, weight for men, weight for women); upstream has 17 types
TYPES: dict[str, tuple[tuple[str, ...], int, int]] = {
    "Tees_Tanks": (("tshirt", "tank"), 5, 5),
    "Graphic_Tees": (("tshirt",), 3, 3),
    "Shirts_Polos": (("shirt",), 5, 0),
    "Blouses_Shirts": (("blouse", "shirt", "top"), 0, 6),
    "Sweaters": (("sweater",), 4, 4),
    "Sweatshirts_Hoodies": (("sweatshirt",), 4, 3),
    "Jackets_Coats": (("jacket", "coat"), 0, 4),
    "Jackets_Vests": (("jacket", "short_jacket"), 4, 0),
    "Cardigans": (("cardigan",), 0, 4),
    "Suiting": (("blazer",), 3, 0),
    "Denim": (("jeans",), 3, 3),
    "Pants": (("trousers", "track_pants"), 5, 4),
    "Shorts": (("shorts",), 4, 4),
    "Skirts": (("skirt",), 0, 5),
    "Leggings": (("leggings",), 0, 2),
    "Dresses": (("dress",), 0, 7),
    "Rompers_Jumpsuits": (("jumpsuit",), 0, 3),
}
# view -> (number in the file name, upstream's pose_type)
VIEWS = {"front": (1, 1), "side": (2, 2), "back": (3, 3), "full": (4, 4), "flat": (6, 6), "additional": (7, 5)}
FIRST = ("front",)  # every item has it
OTHERS = ("side", "back", "full", "flat", "additional")


class InshopDemo(Section):
    """Section demo.inshop of params.yaml.

    Attributes:
        train_items, test_items: item ids in train (upstream: 3,997), and in query and gallery (upstream: 3,985).
        views: photos of an item: front and some of side, back, full, flat, additional; two of a test item are queries.
        width, height: pixels; about an eighth of img_highres' 750 x 1101, so boxes have to be scaled.
        single_image_items: training items with one photo (upstream: 12).
        missing_images: rows without a file.
    """

    seed: int
    train_items: int = Field(ge=0)
    test_items: int = Field(ge=0)
    views: int = Field(ge=2, le=6)
    width: int = Field(ge=32, le=256)
    height: int = Field(ge=32, le=256)
    single_image_items: int = Field(2, ge=0)
    missing_images: int = Field(1, ge=0)


@dataclass(frozen=True)
class InshopShot(Shot):
    """An image with its view: front, side, back, full, flat or additional."""

    view: str


def choose_item(seed: int, number: int) -> tuple[str, Garment]:
    """The type and the garment of an item; attributes are independent, so that items differ."""
    rng = rng_for(seed, SOURCE, number)
    gender = rng.choice(("Men", "Women", "Women"))
    column = 1 if gender == "Men" else 2
    open_types = {name: row[column] for name, row in TYPES.items() if row[column]}
    name = rng.choices(list(open_types), weights=list(open_types.values()))[0]
    kind = rng.choice(TYPES[name][0])
    pattern = "graphic" if name == "Graphic_Tees" else None
    return name, make_garment(rng, kind, gender, pattern=pattern)


def draw(demo: InshopDemo, job: tuple[int, int]) -> list[InshopShot]:
    """The photos of an item (number, views): a front view and others; of a test item every second one is a query."""
    number, views = job
    name, garment = choose_item(demo.seed, number)
    item = f"id_{number + 1:08d}"
    rng = rng_for(demo.seed, SOURCE, number, "views")
    chosen = [*FIRST, *rng.sample(OTHERS, views - 1)]
    shots = []
    for place, view in enumerate(chosen):
        chance = rng_for(demo.seed, SOURCE, number, view)
        size = (demo.width, demo.height)
        if view == "flat":
            photo = laid_photo(chance, size, garment)
        else:
            span = WHOLE if view == "full" else span_of(chance, garment, view == "additional")
            facing = view if view in ("side", "back") else "front"
            photo = studio_photo(chance, size, garment, facing, span)
        path = f"{garment.gender.upper()}/{name}/{item}/01_{VIEWS[view][0]}_{view}"
        status = "train" if number < demo.train_items else ("query" if place % 2 == 0 else "gallery")
        shots.append(InshopShot(**about(photo, path, item, view), status=status, view=view))
    return shots


def write_lists(out: Path, shots: list[InshopShot], size: tuple[int, int]) -> None:
    """The three list files; an item's garment has one row with its visible box."""
    partition = [(f"img/{shot.path}.jpg", shot.item, shot.status) for shot in shots]
    boxes = [
        (
            f"img/{shot.path}.jpg",
            str(LAYER_CODES[shot.garment.kind]),
            str(VIEWS[shot.view][1]),
            *map(str, square_box(shot.box, size)),
        )
        for shot in shots
        if shot.box
    ]
    write_text(
        out / "Eval/list_eval_partition.txt", list_text(("image_name", "item_id", "evaluation_status"), partition)
    )
    header = ("image_name", "clothes_type", "pose_type", "x_1", "y_1", "x_2", "y_2")
    write_text(out / "Anno/list_bbox_inshop.txt", list_text(header, boxes))
    write_text(out / "Anno/list_item_inshop.txt", list_text((), [(item,) for item in sorted({s.item for s in shots})]))


def jobs(demo: InshopDemo) -> list[tuple[int, int]]:
    """Number of every item, and of its views."""
    single = DefectPlan(demo.seed, SOURCE, demo.train_items).take(demo.single_image_items)
    items = range(demo.train_items + demo.test_items)
    return [(number, 1 if number in single else demo.views) for number in items]


def write(demo: InshopDemo, drawn: list[list[InshopShot]], out: Path, truth: Path) -> None:
    """Write images, lists and the ground truth."""
    shots = [shot for item in drawn for shot in item]
    views = Counter(shot.item for shot in shots)
    several = {index for index, shot in enumerate(shots) if views[shot.item] > 1}
    missing = DefectPlan(demo.seed, SOURCE, len(shots)).take(demo.missing_images, several)
    rows = write_images(out / "Img/img_highres", shots, missing)
    write_lists(out, shots, (demo.width, demo.height))
    write_truth(truth, rows)


PARAMS = InshopDemo
