"""Figures by class and confused pairs, worked out by hand and against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from stages.classifier.error_analysis import by_class, confused


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
