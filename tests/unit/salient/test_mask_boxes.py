"""Boxes of masks drawn by hand: where they are, and when they are not sure."""

import numpy as np
import pytest

from stages.contracts.ledger import REASONS
from stages.salient.mask_boxes import box_of_mask, region_boxes, regions


def mask(*rectangles, size=100, ground=0):
    """A mask with rectangles (x1, y1, x2, y2, value)."""
    picture = np.full((size, size), ground, np.uint8)
    for x1, y1, x2, y2, value in rectangles:
        picture[y1:y2, x1:x2] = value
    return picture


def test_box_is_in_the_pixels_of_a_photo_of_other_proportions():
    found = box_of_mask(mask((20, 10, 70, 90, 255)), 400, 600, "top")
    assert found.box == pytest.approx((80, 60, 280, 540))
    assert (found.sureness, found.reason) == (1.0, "")


def test_pixels_below_one_half_do_not_belong_to_the_garment():
    assert regions(mask((20, 10, 70, 90, 127)), 0.5) == (None, [])
    assert regions(mask((20, 10, 70, 90, 128)), 0.5)[0] == pytest.approx((0.2, 0.1, 0.7, 0.9))


def test_small_regions_are_left_out_and_large_ones_belong_to_the_garment():
    # 40 x 40 = 1600 pixels; 10 x 10 = 100 are a sixteenth of them, 20 x 10 = 200 an eighth.
    crumb, sleeve = (90, 90, 100, 100, 255), (80, 0, 100, 10, 255)
    assert regions(mask((10, 10, 50, 50, 255), crumb), 0.5) == (pytest.approx((0.1, 0.1, 0.5, 0.5)), [0.16])
    box, sizes = regions(mask((10, 10, 50, 50, 255), sleeve), 0.5)
    assert (box, sizes) == (pytest.approx((0.1, 0, 1, 0.5)), [0.16, 0.02])


def test_sureness_is_the_overlap_of_the_boxes_at_a_low_and_a_high_threshold():
    # At .75 the box is 40 x 80; at .25 a blurred side makes it 50 x 80: 40 / 50.
    found = box_of_mask(mask((20, 10, 60, 90, 255), (60, 10, 70, 90, 100)), 100, 100, "top")
    assert found.box == pytest.approx((20, 10, 60, 90))
    assert found.sureness == pytest.approx(0.8)
    assert found.reason == "unsure_mask"


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (mask(), "nothing_salient"),
        (mask((50, 50, 60, 60, 255)), "nothing_salient"),  # a hundredth of the photo
        (mask((0, 0, 100, 100, 255)), "salient_everywhere"),
        (mask((10, 10, 40, 90, 255), (60, 10, 90, 90, 255)), "several_salient"),
        (mask((10, 10, 90, 90, 150)), "unsure_mask"),  # nothing is left at the high threshold
    ],
)
def test_photo_that_a_person_should_look_at_has_a_reason(picture, reason):
    assert box_of_mask(picture, 100, 100, "top").reason == reason
    assert reason in REASONS


def test_two_shoes_are_one_pair_and_three_are_not():
    pair = [(10, 40, 40, 90, 255), (60, 40, 90, 90, 255)]
    found = box_of_mask(mask(*pair), 100, 100, "footwear")
    assert (found.box, found.reason) == (pytest.approx((10, 40, 90, 90)), "")
    assert box_of_mask(mask(*pair, (10, 0, 90, 30, 255)), 100, 100, "footwear").reason == "several_salient"


def test_empty_mask_has_no_box_and_no_sureness():
    assert box_of_mask(mask(), 100, 100, "top")[:2] == (None, 0.0)


def test_hook_of_a_hanger_is_left_out_and_the_strap_of_a_shoe_is_not():
    hung = mask((20, 40, 80, 90, 255), (48, 10, 52, 40, 255))  # a hook of 4 pixels above a shirt
    assert box_of_mask(hung, 100, 100, "top").box == pytest.approx((20, 40, 80, 90))
    assert box_of_mask(hung, 100, 100, "footwear").box == pytest.approx((20, 10, 80, 90))


def test_garment_that_is_cut_off_by_the_photo_reaches_its_edge():
    assert box_of_mask(mask((0, 30, 60, 100, 255)), 100, 100, "top").box == pytest.approx((0, 30, 60, 100))


def test_regions_have_boxes_in_pixels_of_the_picture_the_largest_first():
    mask = np.zeros((100, 100), np.uint8)
    mask[10:30, 10:30], mask[50:90, 40:80], mask[2:8, 2:8] = 255, 255, 255  # the last one is below two percent
    assert region_boxes(mask, 200, 300) == [(80, 150, 160, 270), (20, 30, 60, 90)]
    assert region_boxes(np.zeros((100, 100), np.uint8), 200, 300) == []
