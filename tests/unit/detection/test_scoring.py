"""Scores worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from stages.detection.evaluate_detector import confusion_pairs, constant_box_baseline


def frame(*rows):
    return pd.DataFrame(rows, columns=["image_id", "superclass", "cx", "cy", "w", "h"])


A, B, FAR = [0, 0, 10, 10], [100, 0, 110, 10], [300, 0, 310, 10]


@pytest.mark.parametrize(
    ("truth", "found", "expected"),
    [
        ([(A, "top"), (B, "vest")], [(B, "vest"), (A, "top")], [("top", "top"), ("vest", "vest")]),
        ([(A, "top")], [(A, "vest")], [("top", "vest")]),  # the place is right, the class is not
        ([(A, "top")], [], [("top", "background")]),
        ([], [(A, "top")], [("background", "top")]),
        ([], [], []),
        ([(A, "top")], [(FAR, "top")], [("background", "top"), ("top", "background")]),
        # Two detections of one box: the nearer one counts, the other is a false alarm.
        ([(A, "top")], [([0, 0, 10, 9], "vest"), (A, "top")], [("background", "vest"), ("top", "top")]),
        # IoU 1/3 is below the threshold of one half.
        ([(A, "top")], [([5, 0, 15, 10], "top")], [("background", "top"), ("top", "background")]),
        # IoU exactly one half counts.
        ([(A, "top")], [([0, 0, 10, 5], "top")], [("top", "top")]),
    ],
)
def test_confusion_pairs_by_hand(truth, found, expected):
    def boxes(rows):
        return np.array([box for box, _ in rows], float).reshape(-1, 4), [name for _, name in rows]

    assert sorted(confusion_pairs(*boxes(truth), *boxes(found))) == expected


def test_pairs_are_formed_from_the_highest_overlap_down():
    # Detection 0 overlaps both truths, but truth 1 better; truth 0 is left for detection 1.
    truth = np.array([[0, 0, 10, 10], [3, 0, 13, 10]], float)
    found = np.array([[2, 0, 12, 10], [0, 0, 10, 6]], float)
    pairs = confusion_pairs(truth, ["left", "right"], found, ["first", "second"])
    assert sorted(pairs) == [("left", "second"), ("right", "first")]


def test_constant_box_finds_everything_when_all_boxes_are_alike():
    train = frame(*[("a", "top", 0.5, 0.5, 0.4, 0.4), ("b", "top", 0.5, 0.5, 0.4, 0.4)])
    test = frame(("c", "top", 0.5, 0.5, 0.4, 0.4), ("d", "top", 0.5, 0.5, 0.42, 0.4))
    assert constant_box_baseline(train, test) == pytest.approx(0.995)  # what Ultralytics calls a perfect curve


def test_constant_box_finds_nothing_elsewhere():
    train = frame(("a", "top", 0.2, 0.2, 0.2, 0.2))
    assert constant_box_baseline(train, frame(("c", "top", 0.8, 0.8, 0.2, 0.2))) == 0


def test_constant_box_lies_between_for_half_of_the_images():
    train = frame(("a", "top", 0.2, 0.2, 0.2, 0.2))
    test = frame(("c", "top", 0.2, 0.2, 0.2, 0.2), ("d", "top", 0.8, 0.8, 0.2, 0.2))
    assert 0 < constant_box_baseline(train, test) < 0.75


def test_class_that_only_the_test_split_has_is_never_found():
    """Half of the classes are perfect, the other half is 0: the mean over both, as for a detector."""
    train = frame(("a", "top", 0.5, 0.5, 0.4, 0.4))
    test = frame(("c", "top", 0.5, 0.5, 0.4, 0.4), ("d", "bottom", 0.5, 0.5, 0.4, 0.4))
    alone = constant_box_baseline(train, test[test["superclass"] == "top"])
    assert alone == pytest.approx(0.995)
    assert constant_box_baseline(train, test) == pytest.approx(alone / 2, abs=0.01)
