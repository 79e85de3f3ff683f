"""Photos by category, for both layouts of DeepFashion's Category and Attribute Prediction."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from pydantic import Field

from stages.core.params import Section
from stages.demo.drawing.encoding import rng_for
from stages.demo.drawing.garments import Garment, make_garment
from stages.demo.drawing.photo import Photo
from stages.demo.sources.item_photos import Shot, Size, laid_photo, span_of, street_photo, studio_photo

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
    """What the demo sections of both layouts have."""

    seed: int
    train: int = Field(ge=0)
    val: int = Field(ge=0)
    test: int = Field(ge=0)
    width: int = Field(ge=32, le=300)
    height: int = Field(ge=32, le=300)


@dataclass(frozen=True)
class CategoryShot(Shot):
    """An image with upstream's category of what it shows; no two images show the same item."""

    category: str

    @property
    def garment(self) -> Garment:
        """What the image is a photo of."""
        return self.photo.garments[0]


def draw_shots(demo: CategoryDemo, source: str) -> list[CategoryShot]:
    """Images of each split, the categories in turn; folders are named by pattern, fabric and category."""
    shots: list[CategoryShot] = []
    in_folder: dict[str, int] = {}
    names = list(CATEGORIES)
    for status in SPLITS:
        for number in range(getattr(demo, status)):
            rng = rng_for(demo.seed, source, status, number)
            category = names[number % len(names)]
            garment = _garment(rng, category)
            folder = f"{WORDS[garment.pattern]}_{garment.fabric.title()}_{category}"
            in_folder[folder] = in_folder.get(folder, 0) + 1
            path = f"{folder}/img_{in_folder[folder]:08d}"
            photo = _photo(rng, (demo.width, demo.height), garment)
            shots.append(CategoryShot(path, path, status, None, photo, category))
    return shots


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


def shown_box(shot: CategoryShot) -> tuple[int, int, int, int]:
    """The box of the garment; the whole image where it is hidden."""
    return shot.photo.boxes.get(0, (0, 0, *shot.photo.image.size))
