"""Draw a demo in Fashion Product Images' format: product shots on white, some worn, and styles.csv.

Writes: OUT/styles.csv and OUT/images/<id>.jpg, defects of the original included.
Params: demo.fashion_products
"""

from __future__ import annotations

import argparse
from pathlib import Path
from random import Random
from types import SimpleNamespace

from PIL import Image
from pydantic import Field

from stages.core.errors import StageError, shown
from stages.core.files import fresh_folder
from stages.core.params import Section
from stages.core.progress import track
from stages.core.stage import run_stage
from stages.demo.backgrounds import plain_background
from stages.demo.figures import flat_photo, worn_photo
from stages.demo.garments import Garment, make_garment
from stages.demo.others import draw_other
from stages.demo.outfits import companions
from stages.demo.palette import pick_name
from stages.demo.people import random_person
from stages.demo.writing import jpeg_bytes, picked, rng_for, write_bytes, write_text

SOURCE = "fashion_products"
HEADER = "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,productDisplayName"
# articleType -> (masterCategory, subCategory, kind for men, kind for women; None: not made for them)
ARTICLES: dict[str, tuple[str, str, str | None, str | None]] = {
    "Tshirts": ("Apparel", "Topwear", "tshirt", "tshirt"),
    "Shirts": ("Apparel", "Topwear", "shirt", "shirt"),
    "Tops": ("Apparel", "Topwear", "tank", "top"),
    "Kurtas": ("Apparel", "Topwear", "kurta", "kurta"),
    "Sweaters": ("Apparel", "Topwear", "sweater", "sweater"),
    "Sweatshirts": ("Apparel", "Topwear", "sweatshirt", "sweatshirt"),
    "Jackets": ("Apparel", "Topwear", "jacket", "jacket"),
    "Blazers": ("Apparel", "Topwear", "blazer", "blazer"),
    "Jeans": ("Apparel", "Bottomwear", "jeans", "jeans"),
    "Trousers": ("Apparel", "Bottomwear", "trousers", "trousers"),
    "Shorts": ("Apparel", "Bottomwear", "shorts", "shorts"),
    "Track Pants": ("Apparel", "Bottomwear", "track_pants", "track_pants"),
    "Skirts": ("Apparel", "Bottomwear", None, "skirt"),
    "Leggings": ("Apparel", "Bottomwear", None, "leggings"),
    "Capris": ("Apparel", "Bottomwear", None, "capris"),
    "Dresses": ("Apparel", "Dress", None, "dress"),
    "Casual Shoes": ("Footwear", "Shoes", "sneaker", "sneaker"),
    "Sports Shoes": ("Footwear", "Shoes", "sports_shoe", "sports_shoe"),
    "Formal Shoes": ("Footwear", "Shoes", "formal_shoe", "formal_shoe"),
    "Heels": ("Footwear", "Shoes", None, "heel"),
    "Flats": ("Footwear", "Shoes", None, "flat"),
    "Sandals": ("Footwear", "Sandal", "sandal", "sandal"),
    "Flip Flops": ("Footwear", "Flip Flops", "flip_flop", "flip_flop"),
    "Caps": ("Accessories", "Headwear", "cap", "cap"),
}
OTHERS = (("Bags", "Handbags"), ("Bags", "Backpacks"), ("Watches", "Watches"))
SPANS = {"upper": (-20, 780), "outer": (-20, 760), "lower": (340, 1030), "feet": (720, 1022), "head": (-45, 330)}


class FashionProductsDemo(Section):
    """Section demo.fashion_products of params.yaml."""

    seed: int
    types: dict[str, int]
    others: int = Field(ge=0)
    width: int = Field(ge=32, le=640)
    height: int = Field(ge=32, le=640)
    worn_percent: int = Field(ge=0, le=100)
    usages: dict[str, int]
    other_genders: int = Field(ge=0)
    odd_labels: int = Field(ge=0)
    comma_names: int = Field(ge=0)
    missing_images: int = Field(ge=0)


def product_photo(rng: Random, size: tuple[int, int], garment: Garment, worn_percent: int) -> Image.Image:
    """A catalogue picture of one product: alone, or worn by a model on a light background."""
    white = rng.random() < 0.7
    if rng.randrange(100) >= worn_percent:
        return flat_photo(rng, size, garment, plain_background(rng, size, white), rng.randint(72, 92)).image
    gender = (
        "Men"
        if garment.gender in ("Men", "Boys")
        else "Women"
        if garment.gender in ("Women", "Girls")
        else rng.choice(("Men", "Women"))
    )
    span = SPANS[garment.cut.layer] if rng.random() < 0.6 else (-30, 1030)
    if garment.kind in ("dress", "kurta", "jumpsuit"):
        span = (-30, 1030)
    if garment.cut.layer in ("feet", "head"):  # a catalogue never shows them small
        span = SPANS[garment.cut.layer]
    view = rng.choice(("side", "front") if garment.cut.layer == "feet" else ("front", "front", "front", "side"))
    clothes = [garment, *companions(rng, garment, gender)]
    return worn_photo(
        rng, size, random_person(rng, gender), clothes, view, span, plain_background(rng, size, white)
    ).image


def choose_garment(rng: Random, params: FashionProductsDemo, article: str) -> Garment:
    """A product of a type; gender, usage, colour, fabric and pattern are drawn independently of each other."""
    _, _, mens, womens = ARTICLES[article]
    gender = rng.choice([gender for gender, kind in (("Men", mens), ("Women", womens)) if kind])
    usage = rng.choices(list(params.usages), weights=list(params.usages.values()))[0]
    kind = (mens if gender == "Men" else womens) or "tshirt"
    return make_garment(rng, kind, gender, colour=pick_name(rng), usage=usage)


def row_of(
    rng: Random, number: int, gender: str, master: str, sub: str, article: str, colour: str, usage: str
) -> list[str]:
    """One line of styles.csv as its ten fields."""
    season, year = rng.choice(("Summer", "Fall", "Winter", "Spring")), str(rng.randint(2010, 2017))
    if number % 9 == 0:
        year += ".0"  # as in copies that went through a float column
    brand = rng.choice(("Northlane", "Mira", "Casa Verde", "Tallis", "Oro", "Kite"))
    return [
        str(number),
        gender,
        master,
        sub,
        article,
        colour,
        season,
        year,
        usage,
        f"{brand} {gender} {colour} {article}",
    ]


def main(args: argparse.Namespace, params: SimpleNamespace) -> None:
    """Write styles.csv and the images."""
    demo: FashionProductsDemo = params.demo
    unknown = sorted(set(demo.types) - set(ARTICLES))
    if unknown:
        raise StageError(f"demo.fashion_products.types: cannot draw {shown(unknown)}; known: {shown(ARTICLES, 40)}")
    out: Path = fresh_folder(args.out)
    size, chance = (demo.width, demo.height), rng_for(demo.seed, SOURCE, "defects")
    plan: list[str] = [article for article, count in demo.types.items() for _ in range(count)] + [""] * demo.others
    chance.shuffle(plan)
    bags = {index for index, article in enumerate(plan) if not article}
    taken: set[int] = set()

    def some(count: int) -> set[int]:
        hit = set(picked(chance, len(plan), count, taken | bags))
        taken.update(hit)
        return hit

    genders, odd, commas, missing = (
        some(demo.other_genders),
        some(demo.odd_labels),
        some(demo.comma_names),
        some(demo.missing_images),
    )
    lines = [HEADER]
    for index, article in track(enumerate(plan), total=len(plan), desc=f"draw {SOURCE}"):
        rng, number = rng_for(demo.seed, SOURCE, index), 1163 + index * 7
        if not article:
            sub, kind = rng.choice(OTHERS)
            colour = pick_name(rng)
            row = row_of(
                rng, number, rng.choice(("Men", "Women", "Unisex")), "Accessories", sub, kind, colour, "Casual"
            )
            image = draw_other(rng, size, sub, colour)
        else:
            garment = choose_garment(rng, demo, article)
            master, sub, _, _ = ARTICLES[article]
            image = product_photo(rng, size, garment, demo.worn_percent)
            row = row_of(rng, number, garment.gender, master, sub, article, garment.colour, garment.usage)
        if index in genders:
            row[1] = ("Unisex", "Boys", "Girls")[index % 3]
        if index in odd:
            column, value = ((8, "NA"), (5, "NA"), (5, "Silver"))[index % 3]
            row[column] = value
        if index in commas:
            row[9] += ", pack of 2, washed"
        lines.append(",".join(row))
        if index not in missing:
            write_bytes(out / "images" / f"{number}.jpg", jpeg_bytes(image))
    write_text(out / "styles.csv", "\n".join(lines) + "\n")


if __name__ == "__main__":
    run_stage(main, arguments=["out"], params={"demo": ("demo.fashion_products", FashionProductsDemo)})
