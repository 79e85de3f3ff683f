"""Box arithmetic against numbers worked out by hand and against torchvision."""

import numpy as np
import pytest
import torch
from torchvision.ops import box_convert, box_iou

from stages.contracts.boxes import box_array, box_of, iou, to_centers, to_corners


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
