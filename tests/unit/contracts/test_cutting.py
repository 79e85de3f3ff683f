"""How a box is cut out of a picture."""

import numpy as np
import pytest
from PIL import Image

from stages.contracts.boxes import crop_box, padded, squared


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
