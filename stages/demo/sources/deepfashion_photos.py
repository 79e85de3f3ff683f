"""List files, photos of one item and photos by category, which the trees of DeepFashion's benchmarks share.

List files have upstream's format: a count, a header, rows padded with spaces. Photos of one item are for retrieval and
have nothing in common but the item: wearer, other garments, pose, background and light are random in every photo. So
only the garment's properties (kind, fit, colors, pattern, fabric, details) connect two photos.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from PIL import Image
from pydantic import Field

from stages.core.params import Section
from stages.demo.drawing.canvas import Box
from stages.demo.drawing.garments import GARMENT_KINDS, Garment, companions, make_garment
from stages.demo.drawing.palette import plain_background, scene_background
from stages.demo.drawing.people import random_person
from stages.demo.drawing.photo import Photo, flat_photo, jpeg_bytes, lit, worn_photo
from stages.demo.sources.shared import rng_for, write_bytes
from stages.demo.truth import Named, Row, garment_rows

SQUARE = 256  # pixels: the side of upstream's low-resolution pictures
# kind -> upstream's clothes_type: 1 upper body, 2 lower body, 3 full body
LAYER_CODES = {
    kind: 3 if kind in ("dress", "jumpsuit") else 2 if traits.layer == "lower" else 1
    for kind, traits in GARMENT_KINDS.items()
}


def list_text(header: Sequence[str], rows: Sequence[Sequence[str]], count: int | None = None) -> str:
    """A list file; ``count`` replaces the number of rows, for a file with a wrong count."""
    widths = [max((len(row[column]) for row in rows), default=0) + 4 for column in range(len(rows[0]) if rows else 0)]
    lines = [str(len(rows) if count is None else count)]
    lines += [" ".join(header)] if header else []
    lines += ["".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines) + "\n"


def square_box(box: Box, size: tuple[int, int]) -> list[int]:
    """The box in whole pixels of the picture scaled into the middle of 256 x 256."""
    longest = max(size)
    moved = []
    for place, corner in enumerate(box):
        margin = (longest - size[place % 2]) / 2
        moved.append(round((corner + margin) * SQUARE / longest))
    return moved


Size = tuple[int, int]
WHOLE = (-30, 1030)  # body heights (units) at top and bottom: the whole person
# Body heights in a photo of a garment of a layer, so that the garment is in the picture.
SPANS: dict[str, tuple[tuple[int, int], ...]] = {
    "upper": ((-20, 780), (-24, 900), (40, 640)),
    "outer": ((-20, 800), (-24, 900), (40, 700)),
    "lower": ((380, 1020), (180, 1020), (60, 1030)),
}
LONG = ("dress", "jumpsuit", "kurta", "coat")  # kinds that reach below the hips
CLOSE_UP = {"upper": (120, 520), "outer": (120, 560), "lower": (440, 900)}


@dataclass(frozen=True)
class Shot:
    """One image file.

    Attributes:
        path: below img/, without suffix.
        item: its name, the same for all photos of a garment.
        status: split in upstream's lists.
        garment: the item, which is garment 0 of the photo.
        box: of its visible pixels; None where it is hidden.
        content: the file's bytes.
        rows: the ground truth.
    """

    path: str
    item: str
    status: str
    garment: Garment
    box: Box | None
    content: bytes
    rows: list[Row]


def about(photo: Photo, path: str, item: str, view: str | None = None) -> dict[str, Any]:
    """Fields of a ``Shot`` from its photo and its names; ``view`` is the photo's by default."""
    return {
        "path": path,
        "item": item,
        "garment": photo.garments[0],
        "box": photo.boxes.get(0),
        "content": jpeg_bytes(photo.image),
        "rows": garment_rows(path, photo, {0: Named(item, path)}, view=view),
    }


def write_images(folder: Path, shots: Sequence[Shot], missing: Collection[int] = ()) -> list[Row]:
    """Write the image files below ``folder``, except the indices in ``missing``, and their ground truth."""
    rows: list[Row] = []
    for index, shot in enumerate(shots):
        if index not in missing:
            write_bytes(folder / f"{shot.path}.jpg", shot.content)
            rows += shot.rows
    return rows


def span_of(rng: Random, garment: Garment, close_up: bool = False) -> tuple[int, int]:
    """Body heights for a photo of a garment; a close-up shows part of it."""
    if close_up:
        return CLOSE_UP[garment.traits.layer]
    return rng.choice((WHOLE, (-24, 960)) if garment.kind in LONG else SPANS[garment.traits.layer])


def studio_photo(rng: Random, size: Size, garment: Garment, view: str, span: tuple[int, int]) -> Photo:
    """The item worn in front of a studio wall; its index is 0."""
    return _worn(rng, size, garment, view, span, plain_background(rng, size), 0.0)


def street_photo(rng: Random, size: Size, garment: Garment, view: str, span: tuple[int, int]) -> Photo:
    """The item worn by a customer: in a room or a street with objects, off the middle, in another light."""
    photo = _worn(rng, size, garment, view, span, scene_background(rng, size), rng.choice((-16, -8, 0, 8, 16)) / 100)
    return lit(rng, photo)


def laid_photo(rng: Random, size: Size, garment: Garment, white: bool = False) -> Photo:
    """The item alone, flat."""
    return flat_photo(rng, size, garment, plain_background(rng, size, white), rng.randint(66, 94))


def _worn(
    rng: Random,
    size: Size,
    garment: Garment,
    view: str,
    span: tuple[int, int],
    background: Image.Image,
    shift: float,
) -> Photo:
    gender = garment.gender
    clothes = [garment, *companions(rng, garment, gender)]
    return worn_photo(rng, size, random_person(rng, gender), clothes, view, span, background, shift)


SPLITS = ("train", "val", "test")

# category -> (its number in upstream's list, kinds); upstream has 50, of which 46 occur
CATEGORIES: dict[str, tuple[int, tuple[str, ...]]] = {
    "Blazer": (2, ("blazer",)),
    "Blouse": (3, ("blouse",)),
    "Button-Down": (5, ("shirt",)),
    "Cardigan": (6, ("cardigan",)),
    "Hoodie": (10, ("sweatshirt",)),
    "Jacket": (11, ("jacket", "short_jacket")),
    "Sweater": (16, ("sweater",)),
    "Tank": (17, ("tank",)),
    "Tee": (18, ("tshirt",)),
    "Jeans": (26, ("jeans",)),
    "Leggings": (30, ("leggings",)),
    "Shorts": (32, ("shorts",)),
    "Skirt": (33, ("skirt",)),
    "Sweatpants": (34, ("track_pants",)),
    "Coat": (39, ("coat",)),
    "Dress": (41, ("dress",)),
    "Jumpsuit": (42, ("jumpsuit",)),
    "Sundress": (50, ("dress",)),  # with thin straps; the published list of 46 counts it among the dresses
}
MENS = ("blazer", "shirt", "sweatshirt", "jacket", "sweater", "tank", "tshirt", "jeans", "shorts", "track_pants")
WORDS = {
    "pure color": "Plain",
    "striped": "Striped",
    "lattice": "Plaid",
    "floral": "Floral",
    "graphic": "Graphic",
    "color block": "Colorblock",
}


class CategoryDemo(Section):
    """Common keys of the demo sections of both layouts.

    Attributes:
        train, val, test: images of each split, the categories in turn.
        width, height: pixels; upstream's long side is 300.
    """

    seed: int
    train: int = Field(ge=0)
    val: int = Field(ge=0)
    test: int = Field(ge=0)
    width: int = Field(ge=32, le=300)
    height: int = Field(ge=32, le=300)


@dataclass(frozen=True)
class CategoryShot(Shot):
    """An image with upstream's category; each image shows another item.

    Attributes:
        category: a key of CATEGORIES.
        outline: of the garment's largest part, in pixels.
        size: of the image.
    """

    category: str
    outline: list[tuple[float, float]]
    size: tuple[int, int]

    @property
    def shown_box(self) -> Box:
        """The box of the garment; the whole image where it is hidden."""
        return self.box or (0, 0, *self.size)


@dataclass(frozen=True)
class Job:
    """An image to draw: its split, its number in the split, the garment's category, and the path below img/."""

    status: str
    number: int
    category: str
    path: str


def list_jobs(demo: CategoryDemo, source: str) -> list[Job]:
    """Images of each split, the categories in turn; folders are named by pattern, fabric and category."""
    jobs: list[Job] = []
    in_folder: Counter[str] = Counter()
    names = list(CATEGORIES)
    for status in SPLITS:
        for number in range(getattr(demo, status)):
            category = names[number % len(names)]
            garment = _garment(rng_for(demo.seed, source, status, number), category)
            folder = f"{WORDS[garment.pattern]}_{garment.fabric.title()}_{category}"
            in_folder[folder] += 1
            jobs.append(Job(status, number, category, f"{folder}/img_{in_folder[folder]:08d}"))
    return jobs


def draw_shot(demo: CategoryDemo, source: str, job: Job) -> CategoryShot:
    """The image of a job."""
    rng = rng_for(demo.seed, source, job.status, job.number)
    size = (demo.width, demo.height)
    photo = _photo(rng, size, _garment(rng, job.category))
    names = about(photo, job.path, job.path)
    outline = max(photo.outlines[0], key=len)
    return CategoryShot(**names, status=job.status, category=job.category, outline=outline, size=size)


def _garment(rng: Random, category: str) -> Garment:
    kind = rng.choice(CATEGORIES[category][1])
    gender = rng.choice(("Men", "Women", "Women")) if kind in MENS else "Women"
    sleeve = None
    if kind == "dress":
        sleeve = "sling" if category == "Sundress" else rng.choice(("none", "short", "long"))
    return make_garment(rng, kind, gender, sleeve=sleeve)


def _photo(rng: Random, size: Size, garment: Garment) -> Photo:
    """A photo by a shop or a customer, or flat, as on the web."""
    draw = rng.randrange(10)
    if draw < 3:
        return laid_photo(rng, size, garment, white=rng.random() < 0.5)
    view = rng.choice(("front", "front", "front", "side", "back"))
    return (studio_photo if draw < 7 else street_photo)(rng, size, garment, view, span_of(rng, garment))
