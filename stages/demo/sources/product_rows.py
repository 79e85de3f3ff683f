"""The lines of Fashion Products' styles.csv: what is sold, and what annotators wrote about it."""

from __future__ import annotations

from collections.abc import Collection
from random import Random

from stages.demo.drawing.palette import NAME_WEIGHTS, NAMED_COLORS, distance
from stages.demo.truth import color_of

HEADER = "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,productDisplayName"
GENDER, SUB_CATEGORY, ARTICLE, COLOR, YEAR, USAGE, NAME = 1, 3, 4, 5, 7, 8, 9  # columns
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
NEAR_COLORS = 8
OTHERS = (("Bags", "Handbags"), ("Bags", "Backpacks"), ("Watches", "Watches"))


def row_of(
    rng: Random, number: int, gender: str, master: str, sub: str, article: str, color: str, usage: str
) -> list[str]:
    """One line of styles.csv as its ten fields."""
    season, year = rng.choice(("Summer", "Fall", "Winter", "Spring")), str(rng.randint(2010, 2017))
    brand = rng.choice(("Northlane", "Mira", "Casa Verde", "Tallis", "Oro", "Kite"))
    return [
        str(number),
        gender,
        master,
        sub,
        article,
        color,
        season,
        year,
        usage,
        f"{brand} {gender} {color} {article}",
    ]


def group_of(article: str) -> str:
    """The group that an articleType's class is of (tables/types.csv): subCategory of clothes, else masterCategory."""
    master, sub, _, _ = ARTICLES[article]
    return sub if master == "Apparel" else master


def look_alikes(article: str, gender: str, sold: Collection[str]) -> list[str]:
    """The articleTypes that an annotator takes one for: those of its group that are sold, best for the same gender."""
    alike = [name for name in sold if name != article and group_of(name) == group_of(article)]
    column = 2 if gender == "Men" else 3
    return [name for name in alike if ARTICLES[name][column]] or alike


def near_colors(color: str) -> list[str]:
    """The color names that an annotator takes one for: the nearest in RGB that stand for another class."""
    others = [name for name in NAME_WEIGHTS if color_of(name) != color_of(color)]
    return sorted(others, key=lambda name: (distance(NAMED_COLORS[name], NAMED_COLORS[color]), name))[:NEAR_COLORS]


def with_wrong_type(rng: Random, row: list[str], sold: Collection[str]) -> list[str]:
    """The row with a look-alike's articleType; its subCategory goes with it, as annotators pick both from one tree."""
    wrong = rng.choice(look_alikes(row[ARTICLE], row[GENDER], sold))
    return [*row[:SUB_CATEGORY], ARTICLES[wrong][1], wrong, *row[COLOR:]]


def with_wrong_color(rng: Random, row: list[str]) -> list[str]:
    """The row with the name of a near color of another class."""
    return [*row[:COLOR], rng.choice(near_colors(row[COLOR])), *row[COLOR + 1 :]]


def table_text(rows: list[list[str]], crlf: bool, names: bool) -> str:
    """styles.csv, unquoted as upstream's; without `names` the last column is missing."""
    end = "\r\n" if crlf else "\n"
    lines = [HEADER.split(","), *rows]
    return "".join(",".join(row if names else row[:NAME]) + end for row in lines)
