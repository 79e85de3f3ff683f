"""Every demo source, small, with each of its defects."""

from pathlib import Path
from typing import Any

from stages.contracts.tables import read_table
from stages.core.params import Section
from stages.demo.demo import draw_sources
from stages.demo.sources import (
    category_coarse,
    category_fine,
    consumer_to_shop,
    deepfashion2,
    deepfashion_mm,
    fashion144k,
    fashion_products,
    headwear,
    inshop,
    shoes,
)
from stages.demo.truth import FILE, TRUTH

SMALL: dict[str, Section] = {
    "deepfashion2": deepfashion2.DeepFashion2Demo(
        seed=1, train=40, validation=6, test=3, width=96, height=128, images_per_pair=2, flat_percent=60,
        crossing_boxes=2, zero_landmarks=2, mixed_keys=5,
    ),
    "headwear": headwear.HeadwearDemo(
        seed=2, images=28, width=96, height=80, flat_percent=40, duplicates=1, zero_sizes=2, wrong_extensions=2,
        reversed_boxes=1, png_named_jpg=2, corrupt=1, jpeg_named_png=2, rgba=1, grayscale=2, float_coordinates=2,
        hostile_xml=1, exif_rotated=1, near_duplicates=2, windows_paths=4,
    ),
    "shoes": shoes.ShoesDemo(
        seed=3, images=24, width=96, height=96, flat_percent=50, validation_percent=25, reversed_boxes=3,
        negative_boxes=2, display_scaled=2, images_without_entry=1, entries_without_image=1,
    ),
    "fashion_products": fashion_products.FashionProductsDemo(
        seed=4, types={"Tshirts": 6, "Shirts": 3, "Jeans": 4, "Dresses": 4, "Heels": 3, "Sandals": 2, "Caps": 3},
        accessories=4, width=72, height=96, worn_percent=40, usages={"Casual": 1, "Sports": 1}, label_noise_percent=12,
        other_genders=2, odd_labels=3, comma_names=1, missing_images=2, float_years=5, near_duplicates=2,
    ),
    "deepfashion_mm": deepfashion_mm.DeepFashionMMDemo(
        seed=5, people=14, second_outfit_percent=60, dress_percent=34, outer_percent=60, width=75, height=110,
        additional=4, label_noise_percent=8, unlabeled=2, lost_types=2, omitted_layers=3, lines_without_image=2,
        malformed_names=1,
    ),
    "inshop": inshop.InshopDemo(
        seed=6, train_items=8, test_items=5, views=4, width=48, height=64, single_image_items=2, missing_images=1
    ),
    "consumer_to_shop": consumer_to_shop.ConsumerToShopDemo(
        seed=7, train_items=6, val_items=2, test_items=4, shop_photos=2, consumer_photos=3, width=48, height=64,
        flat_percent=50, missing_images=1,
    ),
    "category_coarse": category_coarse.CategoryCoarseDemo(
        seed=8, train=20, val=4, test=8, width=40, height=56, duplicates=2, recased_paths=3
    ),
    "category_fine": category_fine.CategoryFineDemo(seed=9, train=20, val=4, test=8, width=40, height=56),
    "fashion144k": fashion144k.Fashion144kDemo(
        seed=10, train=12, valid=3, test=5, width=40, height=60, dress_percent=35, outer_percent=35,
        hat_percent=30, missing_images=1,
    ),
}  # fmt: skip


def draw(source: str, root: Path, **changes: Any) -> None:
    """Write a source: its tree to root/<source>, its truth to root/truth/<source>."""
    draw_sources({source: SMALL[source].model_copy(update=changes)}, root, root / "truth")


def rows_of(root: Path, source: str) -> list[dict[str, Any]]:
    """The ground truth that `draw` has written."""
    return read_table(root / "truth" / source / FILE, TRUTH).to_pylist()


def coarse_rows(root: Path, name: str, header: str) -> list[str]:
    """The rows of a list of ``category_coarse``, below its count and its header."""
    lines = (root / "category_coarse" / name).read_text().splitlines()
    assert lines[1] == header and int(lines[0]) == len(lines) - 2
    return lines[2:]
