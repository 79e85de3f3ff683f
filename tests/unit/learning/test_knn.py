"""k-NN on frozen features, by hand and against scikit-learn."""

import numpy as np
import pytest

from stages.learning.knn import knn_accuracy, majority_share


def test_knn_accuracy_by_hand():
    train = np.array([[1, 0], [0.9, 0.1], [0, 1], [0.1, 2.0]], np.float32)
    labels = np.array(["a", "a", "b", "b"])
    val = np.array([[5, 0.1], [0.1, 5], [1, 0.2]], np.float32)
    assert knn_accuracy(train, labels, val, np.array(["a", "b", "b"]), 1) == pytest.approx(2 / 3)
    assert knn_accuracy(train, labels, val, np.array(["a", "b", "a"]), 3) == 1


def test_votes_are_weighted_by_similarity():
    # k = 3: one neighbor "a" at cosine 1 (vote 2), two "b" at cosine about -1 (votes near 0): "a" wins.
    train = np.array([[1, 0], [-1, 0.01], [-1, -0.01]], np.float32)
    assert knn_accuracy(train, np.array(["a", "b", "b"]), np.array([[1.0, 0]], np.float32), np.array(["a"]), 3) == 1


def test_knn_agrees_with_scikit_learn():
    from sklearn.neighbors import KNeighborsClassifier

    draw = np.random.default_rng(0)
    labels, val_labels = draw.choice(list("abc"), 60), draw.choice(list("abc"), 700)
    train, val = draw.normal(size=(60, 5)), draw.normal(size=(700, 5))
    model = KNeighborsClassifier(7, metric="cosine", weights=lambda distance: 2 - distance).fit(train, labels)
    assert knn_accuracy(train, labels, val, val_labels, 7) == pytest.approx(model.score(val, val_labels))


def test_more_neighbors_than_rows_and_no_rows_to_score():
    train = np.eye(2, dtype=np.float32)
    assert knn_accuracy(train, np.array(["a", "b"]), train, np.array(["a", "b"]), 10) == 1
    assert knn_accuracy(train, np.array(["a", "b"]), np.zeros((0, 1)), np.array([]), 1) == 0


def test_majority_share_by_hand():
    assert majority_share(np.array(["a", "a", "b"]), np.array(["a", "b", "a", "a"])) == 0.75
    assert majority_share(np.array([]), np.array(["a"])) == 0
