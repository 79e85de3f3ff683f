"""The lines of Fashion Products' styles.csv: what is sold, and what annotators wrote about it."""

from __future__ import annotations

from random import Random

from stages.demo.drawing.palette import pick_name
from stages.demo.truth import color_of

HEADER = "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,productDisplayName"
GENDER, SUB_CATEGORY, ARTICLE, COLOUR, YEAR, USAGE, NAME = 1, 3, 4, 5, 7, 8, 9  # columns
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


def row_of(
    rng: Random, number: int, gender: str, master: str, sub: str, article: str, colour: str, usage: str
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
        colour,
        season,
        year,
        usage,
        f"{brand} {gender} {colour} {article}",
    ]


def mislabelled(rng: Random, row: list[str]) -> list[str]:
    """The row with an annotator's mistake: another articleType of its subCategory, or the name of another colour."""
    alike = [name for name, about in ARTICLES.items() if about[1] == row[SUB_CATEGORY] and name != row[ARTICLE]]
    wrong = list(row)
    if alike and rng.random() < 0.5:
        wrong[ARTICLE] = rng.choice(alike)
        return wrong
    while color_of(wrong[COLOUR]) == color_of(row[COLOUR]):
        wrong[COLOUR] = pick_name(rng)
    return wrong


def table_text(rows: list[list[str]], crlf: bool, names: bool) -> str:
    """styles.csv, unquoted as upstream's; without `names` the last column is missing."""
    end = "\r\n" if crlf else "\n"
    lines = [HEADER.split(","), *rows]
    return "".join(",".join(row if names else row[:NAME]) + end for row in lines)
