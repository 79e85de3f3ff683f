"""Box arithmetic by hand and against torchvision, and how a box is cut out of a picture."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.ops import box_convert, box_iou

from stages.contracts.boxes import PLAIN, box_array, box_of, crop_box, iou, padded, squared, to_centers, to_corners


def test_iou_by_hand():
    first = np.array([[0.0, 0, 10, 10]])
    second = np.array([[0.0, 0, 10, 10], [5, 0, 15, 10], [5, 5, 15, 15], [10, 0, 20, 10], [2, 2, 4, 4], [3, 3, 3, 3]])
    # The same; half of each shared: 50 / 150; a quarter: 25 / 175; touching; inside: 4 / 100; no area.
    assert iou(first, second)[0] == pytest.approx([1, 1 / 3, 1 / 7, 0, 0.04, 0])


def some_boxes(count):
    draw = np.random.default_rng(0).uniform(0, 50, (count, 4))
    return np.concatenate([draw[:, :2], draw[:, :2] + draw[:, 2:] + 1], axis=1)


def test_iou_agrees_with_torchvision():
    boxes = some_boxes(30)
    expected = box_iou(torch.from_numpy(boxes[:10]), torch.from_numpy(boxes[10:])).numpy()
    assert iou(boxes[:10], boxes[10:]) == pytest.approx(expected)


def test_two_boxes_without_area_do_not_divide_by_zero():
    empty = np.array([[1.0, 1, 1, 1]])
    assert iou(empty, empty).tolist() == [[0]]


def test_corners_and_centers_agree_with_torchvision_both_ways():
    boxes = some_boxes(10)
    centers = box_convert(torch.from_numpy(boxes), "xyxy", "cxcywh").numpy()
    assert to_centers(boxes) == pytest.approx(centers)
    assert to_corners(centers) == pytest.approx(boxes)


def test_corners_of_center_and_size_by_hand():
    assert to_corners(np.array([[0.5, 0.4, 0.2, 0.6]])).tolist() == [pytest.approx([0.4, 0.1, 0.6, 0.7])]


def test_rows_become_an_array_and_no_row_an_empty_one():
    row = {"x1": 1, "y1": 2, "x2": 3.5, "y2": 4}
    assert box_array([box_of(row)]).tolist() == [[1, 2, 3.5, 4]]
    assert iou(box_array([]), box_array([box_of(row)])).shape == (0, 1)


@pytest.mark.parametrize(
    ("corners", "padding", "expected"),
    [
        ((10, 20, 30, 60), 0.0, (10, 20, 30, 60)),
        ((10, 20, 30, 60), 0.1, (8, 16, 32, 64)),  # a tenth of 20 and of 40
        ((0, 0, 100, 80), 0.5, (0, 0, 100, 80)),  # stays inside the image of 100 x 80
        ((1, 1, 99, 79), 0.1, (0, 0, 100, 80)),
        ((10.4, 20.6, 30.2, 60.0), 0.0, (10, 20, 31, 60)),  # whole pixels that hold the box
    ],
)
def test_padding_grows_the_box_inside_the_image(corners, padding, expected):
    assert padded(corners, padding, 100, 80) == expected


def gradient(width=100, height=80):
    """Red counts columns, green counts rows."""
    array = np.zeros((height, width, 3), np.uint8)
    array[..., 0], array[..., 1] = np.arange(width), np.arange(height)[:, None]
    return Image.fromarray(array)


def cut_out(box, **changes):
    return crop_box(gradient(), box, **{"padding": 0.0, "max_side": 256, "min_side": 16} | changes)


def test_cut_takes_the_pixels_of_the_box():
    crop = cut_out((10, 20, 40, 60))
    assert crop.size == (30, 40)
    assert crop.getpixel((0, 0)) == (10, 20, 0)
    assert crop.getpixel((29, 39)) == (39, 59, 0)


def test_cut_that_is_too_small_is_none():
    assert cut_out((10, 10, 25, 60)) is None
    assert cut_out((10, 10, 26, 60)).size == (16, 50)


def test_cut_that_is_too_large_keeps_its_proportions_and_may_then_be_too_small():
    assert cut_out((0, 0, 100, 50), max_side=40).size == (40, 20)
    assert cut_out((0, 0, 100, 20), max_side=40) is None  # 40 x 8


def test_square_cut_and_padding_show_what_is_around_the_box():
    assert cut_out((40, 20, 60, 60), square=True).size == (40, 40)
    assert cut_out((40, 20, 60, 60), padding=0.1).size == (24, 48)


def test_without_a_box_the_whole_image_is_the_picture():
    assert cut_out(None).size == (100, 80)
    assert cut_out(None, max_side=50).size == (50, 40)
    assert cut_out(None, min_side=81) is None


@pytest.mark.parametrize(
    ("corners", "expected"),
    [
        ((40, 10, 60, 50), (30, 10, 70, 50)),  # 20 x 40: ten columns on either side
        ((0, 10, 20, 50), (0, 10, 40, 50)),  # at the left border: all on the right
        ((85, 10, 95, 50), (60, 10, 100, 50)),  # too near the right border
        ((10, 30, 60, 50), (10, 15, 60, 65)),
        ((0, 20, 100, 40), (0, 0, 100, 80)),  # wider than the image is high: all of the height
        ((3, 3, 8, 8), (3, 3, 8, 8)),
    ],
)
def test_square_crop_grows_the_shorter_side_inside_the_image(corners, expected):
    assert squared(corners, 100, 80) == expected


def test_what_the_mask_leaves_out_of_a_crop_is_plain():
    red = Image.new("RGB", (200, 100), "red")
    mask = np.zeros((10, 10), np.uint8)
    mask[:, 5:] = 255  # the right half of the image
    crop = crop_box(red, (60, 0, 140, 100), padding=0.0, max_side=256, min_side=1, mask=mask)
    assert crop.size == (80, 100)
    pixels = np.asarray(crop)
    assert (pixels[:, :25] == PLAIN).all() and (pixels[:, 55:] == (255, 0, 0)).all()
    half = crop_box(red, (60, 0, 140, 100), padding=0.0, max_side=50, min_side=1, mask=np.full((10, 10), 128, np.uint8))
    assert half.size == (40, 50)
    assert np.asarray(half)[20, 20] == pytest.approx((190, 58, 52), abs=1)  # halfway between red and PLAIN


def test_mask_of_everything_changes_nothing():
    box, size = (3.0, 4.0, 60.0, 40.0), {"padding": 0.1, "max_side": 30, "min_side": 4, "square": True}
    full = crop_box(gradient(), box, mask=np.full((7, 9), 255, np.uint8), **size)
    assert np.array_equal(np.asarray(full), np.asarray(crop_box(gradient(), box, **size)))
