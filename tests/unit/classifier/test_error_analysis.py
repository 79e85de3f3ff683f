"""Figures by class, confused pairs and probably wrong labels, worked out by hand and against scikit-learn."""

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import precision_recall_fscore_support

from stages.classifier.error_analysis import MOST, PICTURE, Suspect, by_class, confused, suspect_sheet, suspects


def pairs(**counts):
    """Pairs by number: ``pairs(ab=2)`` is twice an a that was taken for a b."""
    return [tuple(names) for names, count in counts.items() for _ in range(count)]


def test_published_table_of_the_gender_head_from_its_four_counts():
    """A: TP 7834, FN 307, TN 3920, FP 214 of Woman: precision .9734, recall .9623, F1 .9678."""
    table = by_class(pairs(WW=7834, WM=307, MM=3920, MW=214), ["M", "W"])
    assert [row[0] for row in table] == ["M", "W"]
    _, rows, predicted, tp, fp, fn, tn, precision, recall, f1 = table[1]
    assert (rows, predicted, tp, fp, fn, tn) == (8141, 8048, 7834, 214, 307, 3920)
    assert (round(precision, 4), round(recall, 4), round(f1, 4)) == (0.9734, 0.9623, 0.9678)
    assert table[0][3:7] == [3920, 307, 214, 7834]  # the same errors, seen from Man


def test_figures_of_every_class_are_scikit_learns():
    drawn = np.random.default_rng(0).choice(list("abcd"), (200, 2))
    expected = precision_recall_fscore_support(drawn[:, 0], drawn[:, 1], labels=list("dcba"))
    table = by_class(drawn.tolist(), list("dcba"))
    assert [row[1] for row in table] == expected[3].tolist()
    assert np.array([row[7:] for row in table]) == pytest.approx(np.array(expected[:3]).T)


def test_ratio_of_nothing_is_left_open_and_unknown_labels_come_last():
    table = {row[0]: row[1:] for row in by_class(pairs(ab=2, bb=1, zb=1), ["a", "b", "c"])}
    assert list(table) == ["a", "b", "c", "z"]
    assert table["a"] == [2, 0, 0, 0, 2, 2, None, 0.0, 0.0]  # never predicted: no precision
    assert table["c"] == [0, 0, 0, 0, 0, 4, None, None, None]
    assert table["b"] == [1, 4, 1, 3, 0, 0, 0.25, 1.0, 0.4]


def test_confused_pairs_by_number_then_share_then_name():
    found = confused(pairs(aa=6, ab=2, ac=2, ba=2, bb=2, ca=3, cc=1))
    assert found == [["c", "a", 3, 0.75], ["b", "a", 2, 0.5], ["a", "b", 2, 0.2], ["a", "c", 2, 0.2]]
    assert found == confused(pairs(cc=1, ca=3, bb=2, ba=2, ac=2, ab=2, aa=6))


CLASSES = ["a", "b", "c", "none of these"]
# Means of the labels' own probabilities: a (.9 + .7 + .1) / 3 = .57, b (.7 + .5) / 2 = .6.
ROWS = [
    ("a", [0.9, 0.05, 0.05, 0]), ("a", [0.7, 0.2, 0.1, 0]), ("a", [0.1, 0.8, 0.1, 0]),
    ("b", [0.2, 0.7, 0.1, 0]), ("b", [0.3, 0.5, 0.2, 0]),
]  # fmt: skip
SURE_C = [("c", [0.2, 0.2, 0.6, 0]), ("c", [0.5, 0.1, 0.4, 0])]


def found(rows):
    labels, probabilities = zip(*rows, strict=True)
    return suspects(labels, np.array(probabilities, np.float32), CLASSES)


def test_label_that_another_class_claims_is_suspected():
    """Row 2 alone is claimed: b is as sure there (.8) as where it is right; of row 6 a is not (.5 of .57)."""
    (one,) = found(ROWS + SURE_C)
    assert (one.row, one.label, one.prediction) == (2, "a", "b")
    assert (one.given, one.likely) == (pytest.approx(0.1), pytest.approx(0.8))


def test_claims_say_how_many_and_the_labels_own_probability_says_which():
    """One claim still, but the label of row 7 is believed least; nobody claims it (.5 of .57)."""
    (one,) = found([*ROWS, *SURE_C, ("c", [0.5, 0.45, 0.05, 0])])
    assert (one.row, one.label, one.prediction, one.given) == (7, "c", "a", pytest.approx(0.05))


def test_the_least_believed_label_comes_first():
    more = [*ROWS, *SURE_C, ("a", [0.05, 0.9, 0.05, 0])]  # a second a that b claims
    # It lowers a's mean to (.9 + .7 + .1 + .05) / 4 = .44, so that a claims row 6 (.5).
    assert [(one.row, one.prediction) for one in found(more)] == [(7, "b"), (2, "b"), (6, "a")]


def test_labels_that_training_did_not_know_are_no_suspects_and_count_nowhere():
    expected = found(ROWS + SURE_C)
    moved = found([("kimono", [0.0, 1.0, 0.0, 0]), *ROWS, *SURE_C])
    assert [(one.row - 1, one.label, one.prediction) for one in moved] == [
        (one.row, one.label, one.prediction) for one in expected
    ]
    assert found([("kimono", [1.0, 0, 0, 0])]) == []


def test_right_and_certain_labels_are_no_suspects():
    assert found([("a", [1.0, 0, 0, 0]), ("b", [0, 1.0, 0, 0]), ("c", [0, 0, 1.0, 0])]) == []


def test_sheet_shows_the_pictures_of_the_suspects_in_their_order(crops):
    listed = [Suspect(2, "blue", 0.01, "red", 0.9), Suspect(0, "red", 0.02, "blue with a very long name indeed", 0.8)]
    sheet = np.asarray(suspect_sheet(listed, crops))
    first, second = sheet[50, 6 + PICTURE // 2], sheet[50, 12 + PICTURE + PICTURE // 2]
    assert first[2] > 200 > first[0] and second[0] > 200 > second[2]  # crop 2 is blue, crop 0 red
    below = sheet[6 + PICTURE :]
    assert (below[:, 6 : 6 + PICTURE] < 200).any() and (below[:, 12 + PICTURE :] < 200).any()  # words
    assert (below[:, 12 + 2 * PICTURE :] == 255).all()  # a long name stays below its picture


def test_sheet_is_cut_off_after_its_most(crops):
    few, many = (suspect_sheet([Suspect(0, "a", 0.1, "b", 0.9)] * count, crops) for count in (MOST, 5 * MOST))
    assert few.size == many.size
    assert Image.new("RGB", few.size, "white").tobytes() != few.tobytes()
