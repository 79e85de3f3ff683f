"""Draw a demo in Fashion Product Images' format: product shots on white, some worn, and styles.csv.

Writes: OUT/styles.csv and OUT/images/<id>.jpg, defects of the original included;
        TRUTH/garments.parquet, what the images really show.
Params: demo.fashion_products
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from random import Random

from PIL import Image
from pydantic import Field, model_validator

from stages.core.errors import StageError, shown
from stages.core.files import fresh_folder
from stages.core.parallel import in_processes
from stages.core.params import Section
from stages.demo.drawing.accessories import draw_other
from stages.demo.drawing.backgrounds import plain_background
from stages.demo.drawing.encoding import jpeg_bytes, near_duplicate_bytes, picked, rng_for, write_bytes, write_text
from stages.demo.drawing.garments import Garment, make_garment
from stages.demo.drawing.outfits import companions
from stages.demo.drawing.palette import pick_name
from stages.demo.drawing.people import random_person
from stages.demo.drawing.photo import Photo, flat_photo, worn_photo
from stages.demo.sources.product_rows import (
    ARTICLES,
    COLOUR,
    GENDER,
    NAME,
    OTHERS,
    USAGE,
    YEAR,
    mislabelled,
    row_of,
    table_text,
)
from stages.demo.truth import Named, Row, garment_rows, write_truth
from stages.runner.progress import track

SOURCE = "fashion_products"
# Values that upstream has and no class of ours: each row with an odd label gets the next.
ODD_LABELS = (
    (USAGE, "NA"), (COLOUR, "NA"), (COLOUR, "Silver"), (USAGE, "Smart Casual"), (COLOUR, "Bronze"), (USAGE, "Party"),
    (COLOUR, "Copper"), (USAGE, "Travel"), (COLOUR, "Coffee Brown"), (USAGE, "Home"), (USAGE, ""),
)  # fmt: skip
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
    float_years: int = Field(ge=0)
    wrong_labels: int = Field(ge=0)
    near_duplicates: int = Field(ge=0)
    crlf: bool
    product_names: bool

    @model_validator(mode="after")
    def _commas_need_names(self) -> FashionProductsDemo:
        if self.comma_names and not self.product_names:
            raise ValueError("comma_names puts commas into product names; set it to 0 or product_names to true")
        return self


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
    span = SPANS[garment.cut.layer] if rng.random() < 0.6 else (-30, 1030)
    if garment.kind in ("dress", "kurta", "jumpsuit"):
        span = (-30, 1030)
    if garment.cut.layer in ("feet", "head"):  # a catalogue never shows them small
        span = SPANS[garment.cut.layer]
    view = rng.choice(("side", "front") if garment.cut.layer == "feet" else ("front", "front", "front", "side"))
    clothes = [garment, *companions(rng, garment, gender)]
    return worn_photo(rng, size, random_person(rng, gender), clothes, view, span, plain_background(rng, size, white))


def choose_garment(rng: Random, usages: dict[str, int], article: str) -> Garment:
    """A product of a type; gender, usage, colour, fabric and pattern are drawn independently of each other."""
    _, _, mens, womens = ARTICLES[article]
    gender = rng.choice([gender for gender, kind in (("Men", mens), ("Women", womens)) if kind])
    usage = rng.choices(list(usages), weights=list(usages.values()))[0]
    kind = (mens if gender == "Men" else womens) or "tshirt"
    return make_garment(rng, kind, gender, colour=pick_name(rng), usage=usage)


def plan(demo: FashionProductsDemo) -> tuple[list[str], dict[str, set[int]]]:
    """The articleType of each row ("" = a bag or a watch), and defect -> the rows that have it; no row has two."""
    chance = rng_for(demo.seed, SOURCE, "defects")
    articles: list[str] = [article for article, count in demo.types.items() for _ in range(count)] + [""] * demo.others
    chance.shuffle(articles)
    taken = {index for index, article in enumerate(articles) if not article}
    hit: dict[str, set[int]] = {}
    # Two generators: the second draws the defects that came later and leaves the first one's choices alone.
    newer = rng_for(demo.seed, SOURCE, "defects", "newer")
    for name in ("other_genders", "odd_labels", "comma_names", "missing_images"):
        hit[name] = set(picked(chance, len(articles), getattr(demo, name), taken))
        taken |= hit[name]
    for name in ("wrong_labels", "near_duplicates"):
        hit[name] = set(picked(newer, len(articles), getattr(demo, name), taken))
        taken |= hit[name]
    hit["float_years"] = set(picked(newer, len(articles), demo.float_years))
    return articles, hit


def draw_product(demo: FashionProductsDemo, index: int, article: str) -> tuple[list[str], Image.Image, Photo | None]:
    """Row number index as it should be, its picture, and the photo behind it unless it is a bag or a watch."""
    rng, number, size = rng_for(demo.seed, SOURCE, index), product_id(index), (demo.width, demo.height)
    if not article:
        sub, kind = rng.choice(OTHERS)
        colour = pick_name(rng)
        row = row_of(rng, number, rng.choice(("Men", "Women", "Unisex")), "Accessories", sub, kind, colour, "Casual")
        return row, draw_other(rng, size, sub, colour), None
    garment = choose_garment(rng, demo.usages, article)
    master, sub, _, _ = ARTICLES[article]
    photo = product_photo(rng, size, garment, demo.worn_percent)
    row = row_of(rng, number, garment.gender, master, sub, article, garment.colour, garment.usage)
    return row, photo.image, photo


def product_id(index: int) -> int:
    """Upstream's ids have gaps, and do not start at 1."""
    return 1163 + index * 7


def with_defects(demo: FashionProductsDemo, index: int, row: list[str], hit: dict[str, set[int]]) -> list[str]:
    """Row number index as styles.csv has it."""
    row = list(row)
    if index in hit["float_years"]:
        row[YEAR] += ".0"  # as in copies that went through a float column
    if index in hit["other_genders"]:
        row[GENDER] = ("Unisex", "Boys", "Girls")[index % 3]
    if index in hit["odd_labels"]:
        column, value = ODD_LABELS[sorted(hit["odd_labels"]).index(index) % len(ODD_LABELS)]
        row[column] = value
    if index in hit["comma_names"]:
        row[NAME] += ", pack of 2, washed"
    return mislabelled(rng_for(demo.seed, SOURCE, index, "wrong"), row) if index in hit["wrong_labels"] else row


def draw(
    demo: FashionProductsDemo, hit: dict[str, set[int]], job: tuple[int, str]
) -> tuple[list[str], dict[str, bytes], list[Row]]:
    """What a process draws: row number index as styles.csv has it, JPEG bytes by id, their ground truth.

    No file where upstream lacks one, a second one for a near duplicate: copies are numbered after all products.
    """
    index, article = job
    row, image, photo = draw_product(demo, index, article)
    row = with_defects(demo, index, row, hit)
    files = {row[0]: jpeg_bytes(image)} if index not in hit["missing_images"] else {}
    if index in hit["near_duplicates"]:
        copy = product_id(sum(demo.types.values()) + demo.others + sorted(hit["near_duplicates"]).index(index))
        files[str(copy)] = near_duplicate_bytes(image)
    rows = [
        truth
        for name in files
        if photo
        for truth in garment_rows(name, photo, {0: Named(row[0], name, article)}, picture=row[0])
    ]
    return row, files, rows


def write_source(demo: FashionProductsDemo, out: Path, truth: Path) -> None:
    """Write styles.csv, the images and the ground truth."""
    unknown = set(demo.types) - set(ARTICLES)
    if unknown:
        raise StageError(f"demo.fashion_products.types: cannot draw {shown(unknown)}; known: {shown(ARTICLES, 40)}")
    fresh_folder(out)
    articles, hit = plan(demo)
    table: list[list[str]] = []
    again: list[list[str]] = []
    rows: list[Row] = []
    jobs = list(enumerate(articles))
    drawn = in_processes(partial(draw, demo, hit), jobs)
    for row, files, garments in track(drawn, total=len(jobs), desc=f"draw {SOURCE}"):
        table.append(row)
        again += [[name, *row[1:]] for name in files if name != row[0]]
        for name, content in files.items():
            write_bytes(out / "images" / f"{name}.jpg", content)
        rows += garments
    write_text(out / "styles.csv", table_text(table + again, demo.crlf, demo.product_names))
    write_truth(truth, rows)


PARAMS = FashionProductsDemo
