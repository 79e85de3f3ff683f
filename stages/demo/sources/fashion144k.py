"""Draw a demo in Fashion144k's format: street photos of people in whole outfits, labeled with what they wear.

Writes: OUT/photos.txt, OUT/photos/*.jpg, OUT/feat/singles_at_59.npy and its names in singles_at_59.txt,
        OUT/{train,valid,test}ids.npy; TRUTH/garments.parquet, the ground truth.
Params: demo.fashion144k

The demo draws about 24 of the 59 labels; the other columns are zeros.
"""

from __future__ import annotations

import io
from pathlib import Path
from random import Random

import numpy as np
from pydantic import Field

from stages.core.params import Section
from stages.demo.drawing.garments import LOWERS, SHOES, UPPERS, Garment, make_garment
from stages.demo.drawing.people import random_person
from stages.demo.drawing.photo import Photo, jpeg_bytes, lit, worn_photo
from stages.demo.sources.shared import DefectPlan, rng_for, write_bytes, write_text
from stages.demo.truth import Named, Row, garment_rows, write_truth

SOURCE = "fashion144k"
# kind -> label; several kinds may share one
LABELS = {
    "tshirt": "T-Shirt", "tank": "Tank", "shirt": "Shirt", "blouse": "Blouse", "top": "Top", "sweater": "Sweater",
    "sweatshirt": "Sweatshirt", "cardigan": "Cardigan", "jacket": "Jacket", "coat": "Coat", "blazer": "Blazer",
    "jeans": "Jeans", "trousers": "Pants", "track_pants": "Pants", "leggings": "Leggings", "shorts": "Shorts",
    "skirt": "Skirt", "dress": "Dress", "jumpsuit": "Jumper", "cap": "Hat", "sneaker": "Sneakers",
    "sports_shoe": "Sneakers", "formal_shoe": "Shoes", "boot": "Boots", "heel": "Heels", "flat": "Flats",
    "sandal": "Sandals",
}  # fmt: skip
NEVER = (
    "Accessories", "Backpack", "Bag", "Belt", "Bodysuit", "Bra", "Bracelet", "Cape", "Clogs", "Clutch",
    "Earrings", "Glasses", "Gloves", "Hoodie", "Intimate", "Jewelry", "Loafers", "Necklace", "Panties", "Pumps",
    "Purse", "Ring", "Romper", "Scarf", "Socks", "Stockings", "Suit", "Sunglasses", "Swimwear", "Tie", "Tights",
    "Vest", "Watch", "Wedges",
)  # fmt: skip
LABEL_NAMES = sorted({*LABELS.values(), *NEVER})
OUTERS = {"Men": ("jacket", "coat", "blazer"), "Women": ("jacket", "coat", "cardigan")}
SPANS = ((-30, 1030), (-30, 1030), (-24, 900), (-20, 760))


class Fashion144kDemo(Section):
    """Section demo.fashion144k of params.yaml.

    Attributes:
        train, valid, test: photos of each split (upstream: about 90,000 in all).
        width, height: pixels; upstream has 256 x 384, the same 2:3.
        dress_percent: of women's outfits that are a dress or a jumpsuit.
        outer_percent: of outfits with a jacket, coat, blazer or cardigan.
        hat_percent: of outfits with a cap.
        missing_images: lines of photos.txt without a file.
    """

    seed: int
    train: int = Field(ge=0)
    valid: int = Field(ge=0)
    test: int = Field(ge=0)
    width: int = Field(ge=32, le=256)
    height: int = Field(ge=32, le=384)
    dress_percent: int = Field(ge=0, le=100)
    outer_percent: int = Field(ge=0, le=100)
    hat_percent: int = Field(ge=0, le=100)
    missing_images: int = Field(1, ge=0)


def choose_outfit(rng: Random, demo: Fashion144kDemo, gender: str) -> list[Garment]:
    """A dress, or upper and lower, perhaps with an outer layer or a cap; shoes always."""
    if gender == "Women" and rng.randrange(100) < demo.dress_percent:
        kinds = [rng.choice(("dress", "dress", "jumpsuit"))]
    else:
        kinds = [rng.choice(UPPERS[gender]), rng.choice(LOWERS[gender])]
    kinds += [rng.choice(OUTERS[gender])] if rng.randrange(100) < demo.outer_percent else []
    kinds += ["cap"] if rng.randrange(100) < demo.hat_percent else []
    return [make_garment(rng, kind, gender) for kind in (*kinds, rng.choice(SHOES[gender]))]


def draw_outfit(demo: Fashion144kDemo, number: int) -> Photo:
    """Photo ``number``: a person somewhere outside, whole or cut off above the feet."""
    rng = rng_for(demo.seed, SOURCE, number)
    gender = rng.choice(("Women", "Women", "Men"))
    garments = choose_outfit(rng, demo, gender)
    view = rng.choice(("front", "front", "front", "side"))
    shift = rng.choice((-12, 0, 0, 12)) / 100
    size = (demo.width, demo.height)
    return lit(rng, worn_photo(rng, size, random_person(rng, gender), garments, view, rng.choice(SPANS), None, shift))


def labels_of(photo: Photo) -> set[str]:
    """Labels of the garments of which enough is visible."""
    return {LABELS[garment.kind] for index, garment in enumerate(photo.garments) if photo.shows(index)}


def npy_bytes(array: np.ndarray) -> bytes:
    """The array as a NumPy file."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def photo_name(demo: Fashion144kDemo, number: int) -> str:
    """Name of photo ``number``, as random as upstream's."""
    return f"{rng_for(demo.seed, SOURCE, number, 'name').randrange(16**8):08x}_{number}"


def jobs(demo: Fashion144kDemo) -> list[int]:
    """Number of every photo."""
    return list(range(demo.train + demo.valid + demo.test))


def draw(demo: Fashion144kDemo, number: int) -> tuple[set[str], bytes, list[Row]]:
    """Labels, JPEG bytes and ground truth of photo ``number``."""
    photo, name = draw_outfit(demo, number), photo_name(demo, number)
    named = {
        index: Named(f"{name}/{index}", f"{name}/{index}" if photo.shows(index) else None)
        for index in range(len(photo.garments))
    }
    return labels_of(photo), jpeg_bytes(photo.image), garment_rows(name, photo, named)


def write(demo: Fashion144kDemo, drawn: list[tuple[set[str], bytes, list[Row]]], out: Path, truth: Path) -> None:
    """Write photos, labels, splits and the ground truth."""
    total, plan = len(drawn), DefectPlan(demo.seed, SOURCE, len(drawn))
    missing = plan.take(demo.missing_images)
    names = [photo_name(demo, number) for number in range(total)]
    for number, (_, content, _) in enumerate(drawn):
        if number not in missing:
            write_bytes(out / "photos" / f"{names[number]}.jpg", content)
    order = rng_for(demo.seed, SOURCE, "splits").sample(range(total), total)
    ends = (0, demo.train, demo.train + demo.valid, total)
    for place, split in enumerate(("train", "valid", "test")):
        ids = np.array(sorted(order[ends[place] : ends[place + 1]]), np.int64)
        write_bytes(out / f"{split}ids.npy", npy_bytes(ids))
    matrix = np.array([name in labels for labels, _, _ in drawn for name in LABEL_NAMES], np.uint8)
    write_bytes(out / "feat/singles_at_59.npy", npy_bytes(matrix.reshape(total, len(LABEL_NAMES))))
    write_text(out / "feat/singles_at_59.txt", "".join(f"{name}\n" for name in LABEL_NAMES))
    write_text(out / "photos.txt", "".join(f"photos/{name}.jpg\n" for name in names))
    write_truth(truth, [row for number, (*_, rows) in enumerate(drawn) if number not in missing for row in rows])


PARAMS = Fashion144kDemo
