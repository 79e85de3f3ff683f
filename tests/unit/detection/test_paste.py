"""Garments cut out and pasted: geometry, opacity and labels by hand."""

import random

import numpy as np
import pytest

from stages.detection.training.training_set import MOST_HIDDEN, SIZES, Piece, extract_piece, paste, soft_mask, varied

RED = (0, 0, 200)


def piece(width, height, label=1.0):
    """A red garment without a margin."""
    return Piece(np.full((height, width, 3), RED, np.uint8), (0, 0, width, height), label)


class Draw:
    """Numbers that a test chooses: the size, whether mirrored (below a half), and the place."""

    def __init__(self, size, mirrored, *places):
        self.size, self.mirrored, self.places = size, mirrored, list(places)

    def uniform(self, low, high):
        assert (low, high) == SIZES
        return self.size

    def random(self):
        return self.mirrored

    def randint(self, low, high):
        place = self.places.pop(0)
        assert low <= place <= high
        return place


def test_cut_takes_the_box_and_a_margin_where_the_picture_has_one():
    image = np.arange(100 * 80 * 3).reshape(100, 80, 3).astype(np.uint8)
    found = extract_piece(image, np.array([0.2, 10.4, 40.1, 50.3]), 3.0)
    # 40 wide: 0.15 x 20 + 1 = 4 pixels of margin to the right, none at the picture's edge.
    assert found.box == (0, 4, 40, 44) and found.label == 3.0
    assert np.array_equal(found.pixels, image[6:54, 0:44])


def test_mask_is_full_on_the_box_axes_and_fades_out_beyond():
    mask = soft_mask(60, 80, (20, 10, 60, 50))
    assert mask.dtype == np.float32 and mask.shape == (60, 80)
    assert mask[30, 20:60].min() == 1 and mask[10:50, 40].min() == 1
    assert mask[10, 20] == 0 and mask[49, 59] == 0  # the corners of the box: 2 ** (1/4) = 1.19 half sides away
    assert 0 < mask[30, 61] < 1 and mask[30, 64] == 0
    assert np.array_equal(mask, mask[:, ::-1]) and np.array_equal(mask, mask[::-1])


def test_pasted_garment_is_where_its_label_says():
    image = np.full((100, 120, 3), 50, np.uint8)
    before = image.copy()
    result, boxes, labels = paste(
        image, np.array([[80.0, 60, 110, 95]]), np.array([2.0]), [piece(40, 30)], Draw(1.0, 0.9, 5, 20)
    )
    assert boxes.tolist() == [[80, 60, 110, 95], [5, 20, 45, 50]] and labels.tolist() == [2.0, 1.0]
    assert result[35, 25].tolist() == list(RED)
    red = (result != 50).any(axis=2)
    assert red[20:50, 5:45].sum() == red.sum()  # a piece without a margin has no pixel outside its box
    rows, columns = np.flatnonzero(red.any(axis=1)), np.flatnonzero(red.any(axis=0))
    assert (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1) == (5, 20, 45, 50)
    assert np.array_equal(image, before)


def test_size_and_mirroring_move_the_box_along():
    pixels = np.zeros((50, 100, 3), np.uint8)
    pixels[10:40, 10:50] = RED
    smaller = varied(Piece(pixels, (10, 10, 50, 40), 0.0), 500, 500, Draw(0.5, 0.1))
    assert smaller.box == (25, 5, 45, 20) and smaller.pixels.shape == (25, 50, 3)
    inside = smaller.pixels[6:19, 26:44]
    assert (inside == RED).all() and (smaller.pixels[:, :23] == 0).all()


def test_garment_larger_than_the_picture_is_made_to_fit():
    image = np.zeros((64, 64, 3), np.uint8)
    for seed in range(50):
        _, boxes, labels = paste(image, np.zeros((0, 4)), np.zeros(0), [piece(300, 200)], random.Random(seed))
        assert len(labels) == 1
        assert boxes.min() >= 0 and boxes.max() <= 64


def test_garment_too_small_to_see_is_left_out():
    image = np.zeros((64, 64, 3), np.uint8)
    result, boxes, labels = paste(image, np.zeros((0, 4)), np.zeros(0), [piece(40, 10)], Draw(0.5, 0.9))
    assert boxes.shape == (0, 4) and labels.shape == (0,) and not result.any()


@pytest.mark.parametrize(("width", "kept"), [(68, True), (76, False)])
def test_box_that_is_mostly_hidden_goes(width, kept):
    """Of a box 100 wide and 40 high a pasted piece of its height hides 68 or 76 %, less the round corners."""
    assert 0.68 < MOST_HIDDEN < 0.74
    image = np.zeros((80, 140, 3), np.uint8)
    box = np.array([[10.0, 20, 110, 60]])
    _, boxes, labels = paste(image, box, np.array([5.0]), [piece(width, 40)], Draw(1.0, 0.9, 10, 20))
    assert list(labels) == ([5.0, 1.0] if kept else [1.0])
    assert len(boxes) == len(labels)


def test_pasted_garment_under_another_goes_too():
    image = np.zeros((100, 100, 3), np.uint8)
    pieces = [piece(30, 30, 1.0), piece(60, 60, 2.0)]
    _, boxes, labels = paste(image, np.zeros((0, 4)), np.zeros(0), pieces, Draw(1.0, 0.9, 30, 30, 15, 15))
    assert labels.tolist() == [2.0] and boxes.tolist() == [[15, 15, 75, 75]]


def test_same_numbers_give_the_same_picture():
    image = np.random.default_rng(0).integers(0, 255, (64, 48, 3), np.uint8)
    first, again = (
        paste(image, np.array([[1.0, 1, 20, 20]]), np.array([0.0]), [piece(20, 20)] * 2, random.Random(7))
        for _ in range(2)
    )
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))
