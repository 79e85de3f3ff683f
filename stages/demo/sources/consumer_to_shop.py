"""Draw a demo in DeepFashion Consumer-to-Shop's format: customers' photos and shops' clean photos of the same items.

Writes: OUT/Img/img/<TYPE>/<Sub>/id_XXXXXXXX/{shop,comsumer}_NN.jpg (spelled as upstream),
        OUT/Eval/list_eval_partition.txt, OUT/Anno/list_bbox_consumer2shop.txt; TRUTH/garments.parquet, the ground
        truth.
Params: demo.consumer_to_shop
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random

from pydantic import Field

from stages.core.params import Section
from stages.demo.drawing.garments import Garment, make_garment
from stages.demo.drawing.photo import Photo
from stages.demo.sources.deepfashion_photos import (
    LAYER_CODES,
    Shot,
    about,
    laid_photo,
    list_text,
    span_of,
    street_photo,
    studio_photo,
    write_images,
)
from stages.demo.sources.shared import DefectPlan, rng_for, write_text
from stages.demo.truth import write_truth

SOURCE = "consumer_to_shop"
# folder -> kinds and weight; upstream has 23 such folders below its four types
CATEGORIES: dict[str, tuple[tuple[str, ...], int]] = {
    "CLOTHING/Blouse": (("blouse", "top"), 5),
    "CLOTHING/Coat": (("coat", "jacket"), 5),
    "CLOTHING/Shirt": (("shirt",), 5),
    "CLOTHING/Summer_Wear": (("jumpsuit",), 3),
    "CLOTHING/Sweater": (("sweater", "cardigan"), 6),
    "DRESSES/Dress": (("dress",), 7),
    "DRESSES/Skirt": (("skirt",), 5),
    "TOPS/Hoodie": (("sweatshirt",), 4),
    "TOPS/T_Shirt": (("tshirt",), 6),
    "TOPS/Tank_Top": (("tank", "sling"), 4),
    "TROUSERS/Jeans": (("jeans",), 4),
    "TROUSERS/Pants": (("trousers", "track_pants"), 5),
    "TROUSERS/Shorts": (("shorts",), 4),
}
MENS = ("coat", "jacket", "shirt", "sweater", "sweatshirt", "tshirt", "jeans", "trousers", "track_pants", "shorts")
SOURCES = {"shop": 1, "comsumer": 2}  # upstream's spelling, and its source_type


class ConsumerToShopDemo(Section):
    """Section demo.consumer_to_shop of params.yaml.

    Attributes:
        train_items, val_items, test_items: items of each split (upstream: 33,881 in all).
        shop_photos: of an item, at most; each is in a pair with each of the consumers' photos.
        consumer_photos: of an item, at most.
        width, height: pixels.
        flat_percent: of the shop's photos that show the item flat.
        missing_images: missing photos that pairs name.
    """

    seed: int
    train_items: int = Field(ge=0)
    val_items: int = Field(ge=0)
    test_items: int = Field(ge=0)
    shop_photos: int = Field(ge=1)
    consumer_photos: int = Field(ge=1)
    width: int = Field(ge=32, le=256)
    height: int = Field(ge=32, le=256)
    flat_percent: int = Field(ge=0, le=100)
    missing_images: int = Field(1, ge=0)


@dataclass(frozen=True)
class SourcedShot(Shot):
    """A photo by the shop or by a consumer."""

    source: str


def choose_item(seed: int, number: int) -> tuple[str, Garment]:
    """The folder and the garment of an item."""
    rng = rng_for(seed, SOURCE, number)
    folder = rng.choices(list(CATEGORIES), weights=[weight for _, weight in CATEGORIES.values()])[0]
    kind = rng.choice(CATEGORIES[folder][0])
    return folder, make_garment(rng, kind, rng.choice(("Men", "Women")) if kind in MENS else "Women")


def draw(demo: ConsumerToShopDemo, job: tuple[int, str]) -> list[SourcedShot]:
    """The photos of an item (number, split): some by the shop, some by consumers, all by other people."""
    number, status = job
    folder, garment = choose_item(demo.seed, number)
    item = f"id_{number + 1:08d}"
    size = (demo.width, demo.height)
    chance = rng_for(demo.seed, SOURCE, number, "photos")
    shots = []
    for source, most in (("shop", demo.shop_photos), ("comsumer", demo.consumer_photos)):
        for turn in range(1, chance.randint(1, most) + 1):
            rng = rng_for(demo.seed, SOURCE, number, source, turn)
            photo = _photo(rng, demo, size, garment, source)
            path = f"{folder}/{item}/{source}_{turn:02d}"
            shots.append(SourcedShot(**about(photo, path, item), status=status, source=source))
    return shots


def _photo(rng: Random, demo: ConsumerToShopDemo, size: tuple[int, int], garment: Garment, source: str) -> Photo:
    if source == "shop" and rng.randrange(100) < demo.flat_percent:
        return laid_photo(rng, size, garment, white=True)
    draw = studio_photo if source == "shop" else street_photo
    view = rng.choice(("front", "front", "side") if source == "shop" else ("front", "front", "side", "back"))
    return draw(rng, size, garment, view, span_of(rng, garment))


def write_lists(out: Path, items: list[list[SourcedShot]]) -> None:
    """The partition with a row for each consumer's photo and each of the shop's; and the boxes.

    Args:
        out: the tree.
        items: the photos of each item.
    """
    pairs = [
        (f"img/{consumer.path}.jpg", f"img/{shop.path}.jpg", shop.item, shop.status)
        for shots in items
        for consumer in shots
        if consumer.source == "comsumer"
        for shop in shots
        if shop.source == "shop"
    ]
    boxes = [
        (
            f"img/{shot.path}.jpg",
            str(LAYER_CODES[shot.garment.kind]),
            str(SOURCES[shot.source]),
            *map(str, shot.box),
        )
        for shots in items
        for shot in shots
        if shot.box
    ]
    header = ("image_pair_name_1", "image_pair_name_2", "item_id", "evaluation_status")
    write_text(out / "Eval/list_eval_partition.txt", list_text(header, pairs))
    header = ("image_name", "clothes_type", "source_type", "x_1", "y_1", "x_2", "y_2")
    write_text(out / "Anno/list_bbox_consumer2shop.txt", list_text(header, boxes))


def jobs(demo: ConsumerToShopDemo) -> list[tuple[int, str]]:
    """Number and split of every item."""
    return list(enumerate(["train"] * demo.train_items + ["val"] * demo.val_items + ["test"] * demo.test_items))


def write(demo: ConsumerToShopDemo, drawn: list[list[SourcedShot]], out: Path, truth: Path) -> None:
    """Write images, lists and the ground truth."""
    shots = [shot for item in drawn for shot in item]
    rows = write_images(out / "Img/img", shots, DefectPlan(demo.seed, SOURCE, len(shots)).take(demo.missing_images))
    write_lists(out, drawn)
    write_truth(truth, rows)


PARAMS = ConsumerToShopDemo
