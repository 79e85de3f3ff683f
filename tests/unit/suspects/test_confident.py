"""Which rows are listed: counts of the confident joint worked out by hand, and neighbors that disagree."""

import numpy as np
import pytest

from stages.suspects.confident import BOTH, NEIGHBORS, OUT_OF_FOLD, find

# Means of the labels' own probabilities: a (.9 + .7 + .1) / 3 = .57, b (.7 + .5) / 2 = .6, c (.6 + .4) / 2 = .5.
ROWS = [
    ("a", [0.9, 0.05, 0.05]), ("a", [0.7, 0.2, 0.1]), ("a", [0.1, 0.8, 0.1]),
    ("b", [0.2, 0.7, 0.1]), ("b", [0.3, 0.5, 0.2]),
    ("c", [0.2, 0.2, 0.6]), ("c", [0.5, 0.1, 0.4]),
]  # fmt: skip


def found(rows, lonely=()):
    """Suspects; every neighbor has every label, but for the rows that are lonely."""
    names, probabilities = zip(*rows, strict=True)
    labels = np.array(["abc".index(name) for name in names])
    votes = np.full((len(rows), 3), 1 / 3)
    votes[list(lonely), labels[list(lonely)]] = 0
    return find(labels, np.array(probabilities), votes)


def test_label_that_another_class_claims_is_suspected():
    """Row 2 alone is claimed: b is as sure there (.8) as where it is right; of row 6 a is not (.5 of .57)."""
    (one,) = found(ROWS)
    assert (one.row, one.suggestion, one.reason) == (2, 1, OUT_OF_FOLD)
    assert (one.label_probability, one.suggestion_probability, one.confidence) == pytest.approx((0.1, 0.8, 0.9))


def test_claims_say_how_many_and_the_labels_own_probability_says_which():
    """One claim still, but the label of row 7 is believed least; nobody claims it (.5 of .57)."""
    (one,) = found([*ROWS, ("c", [0.5, 0.45, 0.05])])
    assert (one.row, one.suggestion, one.label_probability) == (7, 0, pytest.approx(0.05))


def test_the_least_believed_label_comes_first():
    # A second a that b claims lowers a's mean to (.9 + .7 + .1 + .05) / 4 = .44, so that a claims row 6 (.5).
    assert [one.row for one in found([*ROWS, ("a", [0.05, 0.9, 0.05])])] == [7, 2, 6]


def test_row_of_whose_neighbors_none_has_its_label_is_suspected_too():
    assert [(one.row, one.reason) for one in found(ROWS, [2, 4])] == [(2, BOTH), (4, NEIGHBORS)]


def test_label_that_nothing_else_has_cannot_be_judged():
    """Row 7 is the only one of its class: nothing that did not learn from it knows the class."""
    rows = [(name, [*values, 0.0]) for name, values in ROWS] + [("d", [0.9, 0.05, 0.05, 0.0])]
    labels = np.array(["abcd".index(name) for name, _ in rows])
    votes = np.full((8, 4), 0.25)
    votes[7] = [1, 0, 0, 0]
    assert [one.row for one in find(labels, np.array([values for _, values in rows]), votes)] == [2]


def test_right_and_certain_labels_are_no_suspects():
    assert found([("a", [1.0, 0, 0]), ("b", [0, 1.0, 0]), ("c", [0, 0, 1.0])]) == []
