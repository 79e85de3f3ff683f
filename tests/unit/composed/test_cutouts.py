"""Garments cut out by tiny masks, worked out by hand."""

import numpy as np
import pytest
from masked_photos import INNER, rectangles, write_masked_photos
from PIL import Image

from stages.composed.cutouts import cut_out, free_strip, held_out_items, opacity, read_material, solid_box, why_left_out
from stages.contracts.tables import SALIENT, read_table, write_rows, write_shards
from stages.core.errors import StageError
from stages.crops.dataset import ITEMS


def test_solid_box_is_around_what_is_at_least_half_opaque():
    alpha = np.zeros((6, 8), np.uint8)
    alpha[1:3, 2:5], alpha[4, 7] = 128, 127
    assert solid_box(alpha) == (2, 1, 5, 3)
    assert solid_box(np.zeros((2, 2), np.uint8)) is None


def test_opacity_rises_between_the_two_probabilities():
    # .65 is transparent, .98 opaque, and 208 / 255 half of it.
    assert opacity(rectangles((5, 5, 25, 25), value=165), "top").max() == 0
    assert opacity(rectangles((5, 5, 25, 25), value=250), "top").max() == 255
    assert (
        opacity(rectangles((5, 5, 25, 25), value=208), "top")[10, 10] == round((208 / 255 - 0.65) / 0.33 * 255) == 128
    )


def test_small_hole_is_filled_and_a_large_one_stays():
    holed = rectangles((5, 5, 35, 35))
    holed[10:12, 10:12], holed[20:30, 20:30] = 0, 0  # 4 and 100 of 900 pixels
    alpha = opacity(holed, "footwear")
    assert alpha[10, 10] == 255 and alpha[25, 25] == 0


def test_hooks_and_specks_are_not_of_the_garment_but_thin_straps_are_of_a_shoe():
    seen = rectangles(
        (10, 10, 30, 30), (19, 2, 22, 10), (35, 35, 40, 40)
    )  # a square of 400, a hook 3 wide, a speck of 25
    assert solid_box(opacity(seen, "top")) == (10, 8, 30, 30)  # two pixels of the hook come back with the corners
    assert solid_box(opacity(seen, "footwear")) == (10, 2, 30, 30)


def test_strip_is_the_largest_beside_the_garment_and_away_from_its_shadow():
    # Left of the garment are 30 - 8 of 40 columns, above it 10 - 8 of 40 rows.
    assert free_strip(rectangles((30, 10, 38, 38))) == (0.0, 0.0, 0.55, 1.0)
    assert free_strip(rectangles((5, 5, 35, 35))) is None
    assert free_strip(rectangles()) is None


def test_photo_is_left_out_with_its_reason():
    assert why_left_out(rectangles((5, 5, 35, 35)), 40, 40, "top") == ""
    assert why_left_out(rectangles((0, 5, 35, 35)), 40, 40, "top") == "at_the_edge"
    assert why_left_out(rectangles((2, 5, 18, 35), (22, 5, 38, 35)), 40, 40, "top") == "several_salient"
    assert why_left_out(rectangles((2, 5, 18, 35), (22, 5, 38, 35)), 40, 40, "footwear") == ""
    assert why_left_out(rectangles(), 40, 40, "top") == "nothing_salient"


def test_cutout_is_cropped_to_the_garment_with_a_margin_of_three_pixels():
    image, alpha = cut_out(Image.new("RGB", (80, 40), "red"), rectangles((10, 10, 30, 30)), "top")
    assert image.size == alpha.size == (46, 26)  # the photo is twice as wide as the mask: 20 to 60 and 10 to 30
    assert solid_box(np.asarray(alpha)) == (3, 3, 43, 23)
    assert cut_out(Image.new("RGB", (40, 40)), rectangles(), "top") is None


PHOTOS = {
    "b": ("test", "top", "Shirt", "gray", INNER),
    "a": ("test", "top", "Pants", "gray", INNER),
    "edge": ("test", "top", "Pants", "gray", (0, 60, 200, 200)),
    "unseen": ("test", "top", "Pants", "gray", None),
    "training": ("train", "top", "Shirt", "gray", INNER),
}


@pytest.fixture
def data(tmp_path):
    """The outputs of three stages for these photos."""
    write_masked_photos(tmp_path, PHOTOS)
    return tmp_path


def test_material_is_of_held_out_photos_with_a_sure_mask_in_the_order_of_their_names(data):
    material = read_material(data, ["shop"])
    assert [cutout.photo for cutout in material.cutouts] == ["shop:a", "shop:b"]
    assert material.cutouts[0].labels == {"type": "Pants"}
    assert material.left_out == {"at_the_edge": 1, "no_mask": 1}
    # Below the garment are 320 - 208 of 320 rows: 22 of 64 pixels, in each of the three photos with a mask.
    assert [strip.size for strip in material.strips] == [(64, 22)] * 3


def test_photo_of_two_items_is_no_material(data):
    items = read_table(data / "dataset/items.parquet").to_pylist()
    write_rows(data / "dataset/items.parquet", ITEMS, [*items, items[0] | {"item_id": "a second one"}])
    assert set(held_out_items(data, "shop")) == {"a", "edge", "unseen"}


def test_without_a_sure_mask_the_message_says_why(data):
    write_shards(data / "salient/shop", SALIENT, [{"image_id": name} for name in PHOTOS], "image_id", 2)
    with pytest.raises(StageError, match=r"no held-out photo of shop has a sure mask \(\{'no_mask': 4\}\)"):
        read_material(data, ["shop"])
