"""Scores of an encoder on the validation split, with chance: finding the same item, and k-NN of the category.

The scores of an epoch are a row, which is shown, reported, used for selection and checked for a collapse.
"""

from collections.abc import Callable

import numpy as np

from stages.core.errors import StageError
from stages.encoders.examples import Examples
from stages.encoders.recipes import ValidationParams
from stages.learning.knn import knn_accuracy, majority_share
from stages.learning.loop import Row

# Scores on the validation split by name; None where the rows do not allow one.
Scores = dict[str, float | None]
CHUNK = 512
TIE = 1e-6  # similarities of float32 unit vectors that are closer are equal


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows [n, d] normalized to length 1; a zero row stays zero."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def hit_at_1(vectors: np.ndarray, items: np.ndarray, metric: str) -> float | None:
    """Share of rows whose nearest other row shows the same item; ties count against the model.

    Args:
        vectors: [n, d].
        items: strings or None [n]; rows without an item are searched, but are no queries.
        metric: cosine or euclidean.

    Returns:
        None when no row has a partner.
    """
    partners = _partners(items)
    asking = np.flatnonzero(partners > 0)
    if not len(asking):
        return None
    rows = unit(vectors) if metric == "cosine" else vectors.astype(np.float64)
    lengths = np.zeros(len(rows)) if metric == "cosine" else (rows**2).sum(1)
    hits = 0
    for start in range(0, len(asking), CHUNK):
        ask = asking[start : start + CHUNK]
        scores = 2 * rows[ask] @ rows.T - lengths
        scores[np.arange(len(ask)), ask] = -np.inf
        same = items[ask][:, None] == items[None, :]
        right = np.where(same, scores, -np.inf).max(1)
        wrong = np.where(same, -np.inf, scores).max(1)
        hits += int((right > wrong + TIE * np.maximum(lengths.max(), 1)).sum())
    return hits / len(asking)


def chance_at_1(items: np.ndarray) -> float | None:
    """The expected ``hit_at_1`` of a random order."""
    partners = _partners(items)
    asking = partners > 0
    return float((partners[asking] / (len(items) - 1)).mean()) if asking.any() else None


def _partners(items: np.ndarray) -> np.ndarray:
    """Other rows with the same known item, int [n]."""
    known = np.array([item is not None for item in items], bool)
    counts = np.zeros(len(items), np.int64)
    if known.any():
        _, codes, sizes = np.unique(items[known].astype(str), return_inverse=True, return_counts=True)
        counts[known] = sizes[codes] - 1
    return counts


def neighbor_shares(distances: np.ndarray, labels: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """P(y = j | x), estimated as the share of class j among the k nearest rows.

    Args:
        distances: [n, m] of each query to each row.
        labels: strings [m].

    Returns:
        The class names [c], sorted, and the shares [n, c].
    """
    names, of_row = np.unique(labels, return_inverse=True)
    nearest = np.argsort(distances, axis=1, kind="stable")[:, :k]
    votes = (of_row[nearest][:, :, None] == np.arange(len(names))).sum(1)
    return names, votes / max(nearest.shape[1], 1)


def nearest_share_accuracy(
    train: np.ndarray, train_labels: np.ndarray, val: np.ndarray, val_labels: np.ndarray, k: int
) -> float:
    """Share of validation rows whose label is the most frequent one of the k nearest rows by Euclidean distance."""
    right = 0
    lengths = (train.astype(np.float64) ** 2).sum(1)
    for start in range(0, len(val), CHUNK):
        distances = lengths - 2 * val[start : start + CHUNK].astype(np.float64) @ train.T
        names, shares = neighbor_shares(distances, train_labels, k)
        right += int((names[shares.argmax(1)] == val_labels[start : start + CHUNK]).sum())
    return right / max(len(val), 1)


def mean_spread(vectors: np.ndarray) -> float:
    """1 - |mean of the unit vectors|^2: half their mean squared distance; 0 = all are the same, a collapse."""
    return float(1 - (unit(vectors).mean(0) ** 2).sum())


class Validation:
    """Scores vectors of the validation split; k-NN searches fixed rows of the training split.

    Attributes:
        reference: rows of the training split that k-NN searches.
        chance: the scores of random guessing, by the same names.
    """

    def __init__(self, train: Examples, val: Examples, params: ValidationParams) -> None:
        """Choose the reference rows, evenly spread over those whose category is known."""
        self.params, self.val = params, val
        known = np.flatnonzero([category is not None for category in train.categories])
        count = min(len(known), params.reference)
        self.reference = known[np.linspace(0, len(known) - 1, count).astype(int)] if count else known
        self.labels = train.categories[self.reference].astype(str)
        self.asking = np.flatnonzero([category is not None for category in val.categories])
        self.val_labels = val.categories[self.asking].astype(str)
        enough = len(self.labels) > 0 and len(self.val_labels) > 0
        self.knn_possible = enough
        self.chance: Scores = {
            "hit_at_1": chance_at_1(val.items),
            "knn": majority_share(self.labels, self.val_labels) if enough else None,
        }

    def scores(self, val: np.ndarray, reference: Callable[[], np.ndarray], metric: str) -> Scores:
        """``hit_at_1``, ``knn`` and ``spread`` of vectors [n, d]; reference vectors are computed if needed."""
        knn = None
        if self.knn_possible:
            vote = knn_accuracy if metric == "cosine" else nearest_share_accuracy
            knn = float(vote(reference(), self.labels, val[self.asking], self.val_labels, self.params.k))
        return {"hit_at_1": hit_at_1(val, self.val.items, metric), "knn": knn, "spread": mean_spread(val)}


COLLAPSED = 0.01  # spread of the validation vectors below which they are all the same


def before_and_after(before: Row, after: Row, chance: Scores) -> dict[str, float]:
    """Content of scores.json: the kept epoch, its scores, those before training, and chance.

    Args:
        before, after: rows of the history.
        chance: score -> its value for guessing; these scores are reported, and the vectors' spread.
    """
    scores = {"best_epoch": after["epoch"]}
    for name in (*chance, "spread"):
        scores |= {f"val_{name}_before": before[f"val_{name}"], f"val_{name}": after[f"val_{name}"]}
        scores |= {f"val_{name}_chance": chance.get(name)}
    return {name: float(value) for name, value in scores.items() if value is not None}


def check_select(params: ValidationParams, row: Row) -> None:
    """Refuse a selection by a score that the row does not have."""
    if row.get(f"val_{params.select}") is None:
        measurable = [
            name[4:]
            for name, value in row.items()
            if name in ("val_hit_at_1", "val_knn", "val_loss") and value is not None
        ]
        raise StageError(
            f"params.yaml: `validation.select` is {params.select}, which the validation rows do not allow "
            "(no known partners, no known categories, or no loss on them); "
            f"choose from: {', '.join(measurable) or 'nothing'}."
        )


def collapse(row: Row) -> str | None:
    """A warning when all validation vectors are nearly the same."""
    spread = row["val_spread"]
    if spread is None or spread >= COLLAPSED:
        return None
    return f"the vectors have collapsed: spread {spread:.4f} of at most 1, so all pictures look the same to it"
