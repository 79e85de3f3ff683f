"""Scores of made-up detections, worked out by hand."""

import pytest

from stages.composed.scores import (
    Answer,
    Outcome,
    Result,
    as_markdown,
    metrics_of,
    paired,
    scores_of,
)


def answer(labels=1, first=True, same=True, superclass=True, known=1):
    return Answer(superclass, labels, known, 0, first, not first, same, 0.1, 0.2)


def test_box_is_of_the_garment_that_it_overlaps_most():
    garments = [(0, 0, 10, 10), (20, 0, 30, 10)]
    assert paired(garments, [(20, 0, 30, 9), (0, 0, 10, 6)]) == {1: 0, 0: 1}  # IoU .9 and .6
    assert paired(garments, [(0, 0, 10, 4.9)]) == {}  # IoU .49
    assert paired(garments, []) == paired([], [(0, 0, 1, 1)]) == {}


def test_second_box_on_a_garment_is_false_and_may_not_take_another_ones_place():
    garments = [(0, 0, 10, 10), (0, 2, 10, 12)]  # IoU 80 / 120
    assert paired(garments[:1], [(0, 0, 10, 10), (0, 0, 10, 9)]) == {0: 0}
    assert paired(garments, [(0, 0, 10, 10), (0, 0, 10, 10)]) == {0: 0, 1: 1}


# Of two pictures with three garments: two are detected, one of them with the right label, and a box is false.
TWO = [
    Result("apart", [Outcome(answer(), answer()), Outcome(answer(first=False), None)], 2, None, (3, 1)),
    Result("apart", [Outcome(answer(), answer(labels=0, first=False, same=False, superclass=False))], 1, None, (1, 1)),
]


def test_scores_of_detected_garments_and_of_all():
    scores = scores_of(TWO)
    assert (scores["pictures"], scores["garments"], scores["boxes"], scores["false_boxes"]) == (2, 3, 3, 1)
    assert (scores["recall"], scores["precision"]) == (pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert scores["boxes_per_picture"] == 1.5 and scores["pictures_without_box"] == 0
    given, detected = scores["given_box"], scores["detected"]
    assert (given["labels"], given["right_first"]) == (1, pytest.approx(2 / 3))
    assert (detected["labels"], detected["labels_of_all"]) == (0.5, pytest.approx(1 / 3))
    assert (detected["right_first"], detected["right_first_of_all"]) == (0.5, pytest.approx(1 / 3))
    assert (detected["same_type_first"], detected["same_type_first_of_all"]) == (0.5, pytest.approx(1 / 3))
    assert (detected["superclass"], detected["right_first_any_class"]) == (0.5, 0.5)
    assert (given["right_first_chance"], given["same_type_first_chance"]) == (pytest.approx(0.1), pytest.approx(0.2))
    assert scores["trained_detector"] == {
        "boxes": 4, "false_boxes": 2, "recall": pytest.approx(2 / 3), "precision": 0.5,
    }  # fmt: skip


def test_labels_that_nobody_knows_count_neither_way():
    outcome = Outcome(answer(labels=1, known=2), answer(labels=1, known=2))
    unknown = Outcome(answer(labels=0, known=0), None)
    scores = scores_of([Result("apart", [outcome, unknown], 1)])
    assert (scores["given_box"]["labels"], scores["detected"]["labels_of_all"]) == (0.5, 0.5)


def test_picture_without_a_box_is_answered_as_a_whole():
    missed = Outcome(answer(), None)
    scores = scores_of(
        [Result("flat_lay", [missed], 0, answer()), Result("flat_lay", [missed], 0, answer(first=False))]
    )
    assert scores["whole_picture"] == {"pictures": 2, "right_first_count": 1}
    assert (scores["recall"], scores["precision"], scores["pictures_without_box"]) == (0, 0, 2)
    assert scores["detected"]["right_first_of_all"] == scores["detected"]["labels"] == 0


def test_every_box_of_a_picture_without_a_garment_is_false():
    empty = [Result("none", [], 0), Result("none", [], 2, None, (1, 0)), Result("none", [], 0)]
    scores = scores_of(empty)
    assert (scores["false_boxes"], scores["pictures_without_box"]) == (2, 2)
    assert "recall" not in scores
    assert metrics_of({"none": scores}) == {
        "none": {"pictures_without_box": pytest.approx(2 / 3), "trained_boxes": pytest.approx(1 / 3)}
    }


def test_metrics_of_a_profile_are_at_most_thirty_numbers():
    metrics = metrics_of(dict.fromkeys(("apart", "overlapping", "flat_lay"), scores_of(TWO)) | {"none": scores_of([])})
    assert sum(map(len, metrics.values())) <= 30
    assert metrics["apart"]["recall"] == pytest.approx(2 / 3)
    assert metrics["apart"]["right_first_given_box"] == pytest.approx(2 / 3)


def test_table_has_a_row_for_each_kind_with_garments_and_a_line_for_the_kind_without():
    lines = as_markdown({"apart": scores_of(TWO), "none": scores_of([Result("none", [], 2)])}).splitlines()
    assert len(lines) == 5
    assert lines[2].startswith("| 2 apart | 3 | 0.667 | 0.667 | 1.000, 0.333 (0.000) | 0.667, 0.500, 0.333 (0.100) |")
    assert lines[4] == "1 pictures of kind none: 0 without a box, 2 false boxes; 0 of the trained detector."
