"""Photos by category, for both layouts of DeepFashion's Category and Attribute Prediction."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from random import Random

from pydantic import Field

from stages.core.params import Section
from stages.demo.drawing.canvas import Box
from stages.demo.drawing.garments import Garment, make_garment
from stages.demo.drawing.photo import Photo
from stages.demo.sources.item_photos import Shot, Size, about, laid_photo, span_of, street_photo, studio_photo
from stages.demo.sources.shared import rng_for

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
    """What the demo sections of both layouts have.

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
    """An image with upstream's category of what it shows; no two images show the same item.

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
    """As found on the web: by shops, by customers, and flat."""
    draw = rng.randrange(10)
    if draw < 3:
        return laid_photo(rng, size, garment, white=rng.random() < 0.5)
    view = rng.choice(("front", "front", "front", "side", "back"))
    return (studio_photo if draw < 7 else street_photo)(rng, size, garment, view, span_of(rng, garment))
