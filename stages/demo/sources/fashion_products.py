"""Draw a demo in Fashion Product Images' format: product shots on white, some worn, and styles.csv.

Writes: OUT/styles.csv and OUT/images/<id>.jpg, defects of the original included;
        TRUTH/garments.parquet, the ground truth.
Params: demo.fashion_products
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from random import Random

from PIL import Image
from pydantic import Field, field_validator, model_validator

from stages.core.errors import shown
from stages.core.params import Section
from stages.demo.drawing.accessories import draw_accessory
from stages.demo.drawing.garments import Garment, companions, make_garment
from stages.demo.drawing.palette import NAME_WEIGHTS, NAMED_COLORS, distance, pick_name, plain_background
from stages.demo.drawing.people import random_person
from stages.demo.drawing.photo import Photo, flat_photo, jpeg_bytes, near_duplicate_bytes, worn_photo
from stages.demo.sources.shared import DefectPlan, rng_for, write_bytes, write_text
from stages.demo.truth import NOISY_HEADS, Named, Row, color_of, garment_rows, write_truth

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
    """The group of an articleType's class (tables/types.csv): subCategory of clothes, else masterCategory."""
    master, sub, _, _ = ARTICLES[article]
    return sub if master == "Apparel" else master


def look_alikes(article: str, gender: str, sold: Collection[str]) -> list[str]:
    """The articleTypes that an annotator may confuse with one: those of its group, preferably for the same gender."""
    alike = [name for name in sold if name != article and group_of(name) == group_of(article)]
    column = 2 if gender == "Men" else 3
    return [name for name in alike if ARTICLES[name][column]] or alike


def near_colors(color: str) -> list[str]:
    """The color names that an annotator may confuse with one: the nearest in RGB that are of another class."""
    candidates = [name for name in NAME_WEIGHTS if color_of(name) != color_of(color)]
    return sorted(candidates, key=lambda name: (distance(NAMED_COLORS[name], NAMED_COLORS[color]), name))[:NEAR_COLORS]


def with_wrong_type(rng: Random, row: list[str], sold: Collection[str]) -> list[str]:
    """The row with a look-alike's articleType and subCategory, as annotators choose both from one tree."""
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


SOURCE = "fashion_products"
# Values of upstream that are no class of ours; each row with an odd label gets the next one.
ODD_LABELS = (
    (USAGE, "NA"), (COLOR, "NA"), (COLOR, "Silver"), (USAGE, "Smart Casual"), (COLOR, "Bronze"), (USAGE, "Party"),
    (COLOR, "Copper"), (USAGE, "Travel"), (COLOR, "Coffee Brown"), (USAGE, "Home"), (USAGE, ""),
)  # fmt: skip
SPANS = {"upper": (-20, 780), "outer": (-20, 760), "lower": (340, 1030), "feet": (720, 1022), "head": (-45, 330)}


class FashionProductsDemo(Section):
    """Section demo.fashion_products of params.yaml.

    No row has two defects, except float_years.

    Attributes:
        types: rows per articleType.
        accessories: rows of Bags and Watches, which the label policy rejects.
        width, height: pixels; upstream's small version (60 x 80) is too small to recognize drawings in.
        worn_percent: shown on a person; the rest are product shots.
        usages: percent of each; upstream is 77/9/7/5, too uneven for a small demo.
        label_noise_percent: of the products have a wrong articleType, and as many others a wrong baseColour, which is
            what careful audits find in published data sets (3.3 % on average in ten test sets: Northcutt et al. 2021).
            They are swapped for a look-alike in all splits, as in real data; the ground truth records them.
        other_genders: rows with gender Unisex, Boys or Girls.
        odd_labels: rows with a value that is no class, one for each such value of upstream.
        comma_names: lines with extra commas in productDisplayName (upstream: 22 of 44,446).
        missing_images: rows without an image file (upstream: 5).
        float_years: rows with a year like 2014.0, as in copies that went through a float column.
        near_duplicates: additional rows: another row's picture a little brighter, at another JPEG quality, same labels.
        crlf: line ends of styles.csv, as in some copies; false: LF.
        product_names: false: without the last column, as in some copies (comma_names must then be 0).
    """

    seed: int
    types: dict[str, int]
    accessories: int = Field(ge=0)
    width: int = Field(ge=32, le=640)
    height: int = Field(ge=32, le=640)
    worn_percent: int = Field(ge=0, le=100)
    usages: dict[str, int]
    label_noise_percent: int = Field(3, ge=0, le=50)
    other_genders: int = Field(9, ge=0)
    odd_labels: int = Field(11, ge=0)
    comma_names: int = Field(1, ge=0)
    missing_images: int = Field(2, ge=0)
    float_years: int = Field(58, ge=0)
    near_duplicates: int = Field(4, ge=0)
    crlf: bool = True
    product_names: bool = True

    @field_validator("types")
    @classmethod
    def _can_draw(cls, types: dict[str, int]) -> dict[str, int]:
        if unknown := set(types) - set(ARTICLES):
            raise ValueError(f"cannot draw {shown(unknown)}; known: {shown(ARTICLES, 40)}")
        return types

    @model_validator(mode="after")
    def _commas_need_names(self) -> FashionProductsDemo:
        if self.comma_names and not self.product_names:
            raise ValueError("comma_names puts commas into product names; set it to 0 or product_names to true")
        return self


@dataclass(frozen=True)
class Product:
    """One row and its defects.

    Attributes:
        index: of the row.
        article: its articleType; "" for a bag or a watch.
        defects: names of params.
        odd: column and value of a label that is no class.
        copy: index of the row that repeats it.
    """

    index: int
    article: str
    defects: frozenset[str]
    odd: tuple[int, str] | None = None
    copy: int | None = None


def product_photo(rng: Random, size: tuple[int, int], garment: Garment, worn_percent: int) -> Photo:
    """A catalogue picture of one product, index 0: alone, or worn by a model on a light background."""
    white = rng.random() < 0.7
    if rng.randrange(100) >= worn_percent:
        return flat_photo(rng, size, garment, plain_background(rng, size, white), rng.randint(72, 92))
    gender = (
        "Men"
        if garment.gender in ("Men", "Boys")
        else "Women"
        if garment.gender in ("Women", "Girls")
        else rng.choice(("Men", "Women"))
    )
    span = SPANS[garment.traits.layer] if rng.random() < 0.6 else (-30, 1030)
    if garment.kind in ("dress", "kurta", "jumpsuit"):
        span = (-30, 1030)
    if garment.traits.layer in ("feet", "head"):  # catalogues show them large
        span = SPANS[garment.traits.layer]
    view = rng.choice(("side", "front") if garment.traits.layer == "feet" else ("front", "front", "front", "side"))
    clothes = [garment, *companions(rng, garment, gender)]
    return worn_photo(rng, size, random_person(rng, gender), clothes, view, span, plain_background(rng, size, white))


def choose_garment(rng: Random, usages: dict[str, int], article: str) -> Garment:
    """A product of a type; gender, usage, color, fabric and pattern are drawn independently of each other."""
    _, _, mens, womens = ARTICLES[article]
    gender = rng.choice([gender for gender, kind in (("Men", mens), ("Women", womens)) if kind])
    usage = rng.choices(list(usages), weights=list(usages.values()))[0]
    kind = (mens if gender == "Men" else womens) or "tshirt"
    return make_garment(rng, kind, gender, color=pick_name(rng), usage=usage)


def jobs(demo: FashionProductsDemo) -> list[Product]:
    """Every row except copies."""
    articles = [article for article, count in demo.types.items() for _ in range(count)]
    noisy = round(len(articles) * demo.label_noise_percent / 100)
    articles += [""] * demo.accessories
    plan = DefectPlan(demo.seed, SOURCE, len(articles))
    plan.rng.shuffle(articles)
    plan.exclude(index for index, article in enumerate(articles) if not article)
    confusable = {
        index for index, article in enumerate(articles) if article and look_alikes(article, "Women", demo.types)
    }
    hit = {"wrong_types": plan.take(noisy, confusable), "wrong_colors": plan.take(noisy)}
    names = ("other_genders", "odd_labels", "comma_names", "missing_images", "near_duplicates")
    hit |= {name: plan.take(getattr(demo, name)) for name in names}
    hit["float_years"] = plan.rng.sample(range(len(articles)), min(demo.float_years, len(articles)))
    odd = {index: ODD_LABELS[place % len(ODD_LABELS)] for place, index in enumerate(hit["odd_labels"])}
    copies = {index: len(articles) + place for place, index in enumerate(hit["near_duplicates"])}
    return [
        Product(
            index,
            article,
            frozenset(name for name, indices in hit.items() if index in indices),
            odd.get(index),
            copies.get(index),
        )
        for index, article in enumerate(articles)
    ]


def product_id(index: int) -> int:
    """Upstream's ids have gaps, and do not start at 1."""
    return 1163 + index * 7


def draw_product(demo: FashionProductsDemo, product: Product) -> tuple[list[str], Image.Image, Photo | None]:
    """A product's correct row, its picture, and its photo unless it is a bag or a watch."""
    rng, size = rng_for(demo.seed, SOURCE, product.index), (demo.width, demo.height)
    number = product_id(product.index)
    if not product.article:
        sub, kind = rng.choice(OTHERS)
        color = pick_name(rng)
        row = row_of(rng, number, rng.choice(("Men", "Women", "Unisex")), "Accessories", sub, kind, color, "Casual")
        return row, draw_accessory(rng, size, sub, color), None
    garment = choose_garment(rng, demo.usages, product.article)
    master, sub, _, _ = ARTICLES[product.article]
    photo = product_photo(rng, size, garment, demo.worn_percent)
    row = row_of(rng, number, garment.gender, master, sub, product.article, garment.color, garment.usage)
    return row, photo.image, photo


def with_defects(demo: FashionProductsDemo, product: Product, row: list[str]) -> list[str]:
    """A product's row as styles.csv has it."""
    rng, row = rng_for(demo.seed, SOURCE, product.index, "wrong"), list(row)
    if "float_years" in product.defects:
        row[YEAR] += ".0"
    if "other_genders" in product.defects:
        row[GENDER] = ("Unisex", "Boys", "Girls")[product.index % 3]
    if product.odd:
        row[product.odd[0]] = product.odd[1]
    if "comma_names" in product.defects:
        row[NAME] += ", pack of 2, washed"
    if "wrong_types" in product.defects:
        row = with_wrong_type(rng, row, demo.types)
    return with_wrong_color(rng, row) if "wrong_colors" in product.defects else row


def draw(demo: FashionProductsDemo, product: Product) -> tuple[list[str], dict[str, bytes], list[Row]]:
    """A product's row as styles.csv has it, JPEG bytes by id, their ground truth.

    A missing image has no file, a near duplicate a second one; copies are numbered after all products.
    """
    row, image, photo = draw_product(demo, product)
    row = with_defects(demo, product, row)
    files = {} if "missing_images" in product.defects else {row[0]: jpeg_bytes(image)}
    if product.copy is not None:
        files[str(product_id(product.copy))] = near_duplicate_bytes(image)
    swapped = frozenset(head for head in NOISY_HEADS if f"wrong_{head}s" in product.defects)
    rows = [
        truth
        for name in files
        if photo
        for truth in garment_rows(name, photo, {0: Named(row[0], name, product.article, swapped)}, picture=row[0])
    ]
    return row, files, rows


def write(
    demo: FashionProductsDemo, drawn: list[tuple[list[str], dict[str, bytes], list[Row]]], out: Path, truth: Path
) -> None:
    """Write styles.csv, the images and the ground truth."""
    again: list[list[str]] = []
    for row, files, _ in drawn:
        again += [[name, *row[1:]] for name in files if name != row[0]]
        for name, content in files.items():
            write_bytes(out / "images" / f"{name}.jpg", content)
    table = [row for row, _, _ in drawn]
    write_text(out / "styles.csv", table_text(table + again, demo.crlf, demo.product_names))
    write_truth(truth, [row for *_, rows in drawn for row in rows])


PARAMS = FashionProductsDemo
