"""Two witnesses that judge each label without having learned it: a classifier in folds, and the nearest neighbors.

A witness uses neither the label that it judges nor the label of another row of the same group. So a wrong label cannot
support itself, as it does in a network that has memorized it in training.
"""

import warnings
from collections.abc import Sequence

import numpy as np
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from stages.contracts.disjoint import connected
from stages.contracts.tables import unit_hash

ROWS = 1024  # of a product of matrices at a time
# Of the regressions: smaller ones take three times as long and find as many wrong labels.
STEPS, TOLERANCE = 100, 0.01


def leakage_groups(rows: Sequence[dict[str, str]]) -> np.ndarray:
    """int64 [n]: equal numbers for rows that share a group, a cluster or a picture, directly or through other rows.

    Equal group ids of two sources are one group, even if they name different people (`dataset.group_namespaces`):
    keeping too many rows together does no harm here.

    Args:
        rows: with source, group_id, cluster and picture.
    """
    keys = [
        (f"group/{row['group_id']}", f"cluster/{row['source']}/{row['cluster']}", f"picture/{row['picture']}")
        for row in rows
    ]
    names = connected((group, key) for group, *tying in keys for key in tying)
    return np.unique([names[group] for group, *_ in keys], return_inverse=True)[1]


def folds_of(groups: np.ndarray, names: Sequence[str], count: int) -> np.ndarray:
    """int64 [n]: the fold of each row, the same for all rows of a group; all folds have about the same number of rows.

    The largest group is assigned first, each to the fold with the fewest rows; a hash orders groups of equal size.

    Args:
        groups: as of ``leakage_groups``.
        names: an id of each row, so that folds do not depend on the order of the rows.
    """
    first = dict(zip(groups[::-1].tolist(), list(names)[::-1], strict=True))
    sizes = np.bincount(groups)
    filled = np.zeros(count, dtype=np.int64)
    fold = np.zeros(len(sizes), dtype=np.int64)
    for group in sorted(first, key=lambda group: (-sizes[group], unit_hash(first[group]))):
        fold[group] = filled.argmin()
        filled[fold[group]] += sizes[group]
    return fold[groups]


def principal_components(features: np.ndarray, count: int) -> np.ndarray:
    """float64 [n, k]: standardized features on their first principal axes; k = count, or fewer if there are fewer axes.

    The axes are found by random projections (Halko, Martinsson and Tropp 2011): all of them would take ten times as
    long.

    Args:
        features: float32 [n, d].
    """
    scale = features.std(axis=0)
    standardized = (features - features.mean(axis=0)) / np.where(scale < 1e-6, np.inf, scale)
    axes = PCA(min(count, *features.shape), svd_solver="randomized", random_state=0)
    return axes.fit_transform(standardized.astype(np.float32)).astype(np.float64)


def out_of_fold(vectors: np.ndarray, labels: np.ndarray, folds: np.ndarray, strength: float) -> np.ndarray:
    """float64 [n, classes]: probabilities by logistic regressions that learned from the other folds.

    A class that the other folds do not have gets no probability.

    Args:
        vectors: [n, k].
        labels: class of each row, 0 <= label < classes, every class at least once.
        strength: scikit-learn's C, the inverse of the regularization.
    """
    result = np.zeros((len(labels), labels.max() + 1))
    for fold in np.unique(folds):
        asked = folds == fold
        learned = np.unique(labels[~asked])
        if len(learned) > 1:
            model = LogisticRegression(C=strength, max_iter=STEPS, tol=TOLERANCE)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # STEPS are enough, see above
                model.fit(vectors[~asked], labels[~asked])
            result[np.ix_(asked, learned)] = model.predict_proba(vectors[asked])
        else:
            result[np.ix_(asked, learned)] = 1
    return result


def neighbor_shares(vectors: np.ndarray, labels: np.ndarray, groups: np.ndarray, count: int) -> np.ndarray:
    """float64 [n, classes]: how many of the nearest rows of other groups have each label, as shares weighted by cosine.

    Args:
        vectors, labels: as in ``out_of_fold``.
        groups: rows of one group are no neighbors.
        count: neighbors of a row, fewer where there are not as many.
    """
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    result = np.zeros((len(labels), labels.max() + 1))
    for start in range(0, len(unit), ROWS):
        own = slice(start, start + ROWS)
        similarity = unit[own] @ unit.T
        similarity[groups[own, None] == groups[None]] = -2  # below every cosine
        nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :count]
        weights = np.maximum(np.take_along_axis(similarity, nearest, axis=1) + 1, 0)
        for row, (near, weight) in enumerate(zip(nearest, weights, strict=True), start):
            result[row] = np.bincount(labels[near], weight, minlength=result.shape[1])
    return result / np.maximum(result.sum(axis=1, keepdims=True), 1e-12)
