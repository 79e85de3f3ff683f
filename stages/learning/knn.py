"""k-NN on frozen features: whether neighbors in the feature space share a label."""

import numpy as np


def knn_accuracy(train: np.ndarray, train_labels: np.ndarray, val: np.ndarray, val_labels: np.ndarray, k: int) -> float:
    """Share of validation rows whose label is the cosine-weighted vote of their k nearest training rows.

    Args:
        train, val: features [n, d] and [m, d].
        train_labels, val_labels: strings [n] and [m].
    """
    unit = [rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12) for rows in (train, val)]
    names, codes = np.unique(train_labels, return_inverse=True)
    right = 0
    for start in range(0, len(val), 512):
        similarity = unit[1][start : start + 512] @ unit[0].T
        nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
        for row, neighbors in enumerate(nearest):
            votes = np.bincount(codes[neighbors], similarity[row, neighbors] + 1, minlength=len(names))
            right += names[votes.argmax()] == val_labels[start + row]
    return right / max(len(val), 1)


def majority_share(train_labels: np.ndarray, labels: np.ndarray) -> float:
    """Share of ``labels`` that equal the most frequent training label: the accuracy of the best constant guess."""
    if not len(train_labels) or not len(labels):
        return 0.0
    names, counts = np.unique(train_labels, return_counts=True)
    return float((labels == names[counts.argmax()]).mean())
