"""Scores on validation: by hand, against the evaluator of retrieval, and against scikit-learn."""

import numpy as np
import pytest
import torch

from stages.core.errors import StageError
from stages.encoders.recipes import ValidationParams
from stages.encoders.validation import (
    Validation,
    before_and_after,
    chance_at_1,
    check_select,
    collapse,
    hit_at_1,
    mean_spread,
    nearest_share_accuracy,
    neighbor_shares,
)

ITEMS = np.array(["a", "a", "b", "b", "c", None], object)


def test_hit_at_1_by_hand():
    angles = np.radians([0, 10, 25, 90, 91, 5])
    vectors = np.stack([np.cos(angles), np.sin(angles)], 1)
    # a0's nearest is the unknown row at 5 degrees, a1's too: wrong. b2's is a1, b3's is c4: wrong. c asks nothing.
    assert hit_at_1(vectors, ITEMS, "cosine") == 0
    assert hit_at_1(vectors[:5], ITEMS[:5], "cosine") == 2 / 4  # without it a0 and a1 find each other


def test_euclidean_sees_lengths():
    vectors = np.array([[1.0, 0], [1.1, 0], [5, 0], [5.5, 0]])
    assert hit_at_1(vectors, ITEMS[:4], "euclidean") == 1
    assert hit_at_1(vectors, ITEMS[:4], "cosine") == 0  # all directions are equal: a tie, which counts against


def test_ties_count_against_and_no_partner_means_no_score():
    assert hit_at_1(np.ones((6, 3)), ITEMS, "cosine") == 0
    assert hit_at_1(np.ones((2, 3)), np.array(["a", None], object), "cosine") is None
    assert chance_at_1(np.array(["a", None], object)) is None


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_hit_at_1_agrees_with_pytorch_metric_learning(metric):
    from pytorch_metric_learning.distances import CosineSimilarity, LpDistance
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
    from pytorch_metric_learning.utils.inference import CustomKNN

    draw = np.random.default_rng(0)
    numbers = draw.integers(0, 40, 120)
    vectors = draw.normal(size=(120, 4)).astype(np.float32)
    distance = CosineSimilarity() if metric == "cosine" else LpDistance(normalize_embeddings=False)
    theirs = AccuracyCalculator(
        include=("precision_at_1",), k=1, knn_func=CustomKNN(distance), device=torch.device("cpu")
    )
    expected = theirs.get_accuracy(torch.from_numpy(vectors), torch.from_numpy(numbers))["precision_at_1"]
    items = np.array([f"i{number}" for number in numbers], object)
    assert hit_at_1(vectors, items, metric) == pytest.approx(expected)


def test_chance_is_what_random_orders_give():
    # a and b: one partner among five others, each: 1/5.
    assert chance_at_1(ITEMS) == pytest.approx(1 / 5)
    draw = np.random.default_rng(0)
    scores = [hit_at_1(draw.normal(size=(6, 8)), ITEMS, "cosine") for _ in range(400)]
    assert np.mean(scores) == pytest.approx(1 / 5, abs=0.03)


def test_neighbor_shares_by_hand():
    names, shares = neighbor_shares(np.array([[3.0, 1, 2, 9]]), np.array(["x", "y", "x", "x"]), 3)
    assert names.tolist() == ["x", "y"]
    assert shares.tolist() == [[2 / 3, 1 / 3]]


def test_euclidean_vote_agrees_with_scikit_learn():
    from sklearn.neighbors import KNeighborsClassifier

    draw = np.random.default_rng(1)
    train, val = draw.normal(size=(80, 5)), draw.normal(size=(600, 5))
    labels, val_labels = draw.choice(list("abc"), 80), draw.choice(list("abc"), 600)
    theirs = KNeighborsClassifier(5).fit(train, labels).score(val, val_labels)
    assert nearest_share_accuracy(train, labels, val, val_labels, 5) == pytest.approx(theirs)


def test_spread_is_half_the_mean_squared_distance():
    vectors = np.random.default_rng(2).normal(size=(30, 4))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    squared = ((unit[:, None] - unit[None]) ** 2).sum(2).mean()
    assert mean_spread(vectors) == pytest.approx(squared / 2)
    assert mean_spread(np.ones((5, 3))) == pytest.approx(0)


def probe(examples, **changes):
    params = {"select": "hit_at_1", "k": 1, "reference": 100, "batch": 8} | changes
    return Validation(*examples, ValidationParams.model_validate(params))


def test_probe_searches_a_fixed_part_of_the_training_rows(examples):
    small = probe(examples, reference=5)  # one skirt, four shirts; among the validation rows are six shirts
    assert small.reference.tolist() == [0, 5, 11, 17, 23]
    assert small.chance == {"hit_at_1": pytest.approx(2 / 14), "knn": pytest.approx(6 / 15)}
    # Vectors that are the category itself: k-NN is always right.
    code = {"skirt": [1.0, 0], "shirt": [0.0, 1]}
    val = np.array([code[one] for one in examples[1].categories])
    reference = np.array([code[one] for one in examples[0].categories[small.reference]])
    assert small.scores(val, lambda: reference, "cosine")["knn"] == 1
    assert small.scores(val, lambda: reference, "euclidean")["knn"] == 1


def test_selection_by_a_figure_that_is_not_there_is_refused(examples):
    with pytest.raises(StageError, match=r"`validation.select` is hit_at_1.*choose from: knn"):
        check_select(probe(examples).params, {"val_hit_at_1": None, "val_knn": 0.5})


def test_collapse_is_said_and_report_has_chance_beside_scores():
    row = {"epoch": 0, "val_hit_at_1": 0.2, "val_knn": None, "val_spread": 0.5}
    assert collapse(row) is None
    assert "collapsed" in collapse(row | {"val_spread": 0.001})
    chance = {"hit_at_1": 0.1, "knn": None, "accuracy": 0.67}  # the last of a task of its own
    row |= {"val_accuracy": 0.6}
    assert before_and_after(row, row | {"epoch": 3, "val_hit_at_1": 0.4, "val_accuracy": 0.8}, chance) == {
        "best_epoch": 3, "val_hit_at_1_before": 0.2, "val_hit_at_1": 0.4, "val_hit_at_1_chance": 0.1,
        "val_accuracy_before": 0.6, "val_accuracy": 0.8, "val_accuracy_chance": 0.67,
        "val_spread_before": 0.5, "val_spread": 0.5,
    }  # fmt: skip
