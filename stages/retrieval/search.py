"""Exact search, chunked: where the relevant gallery rows of each query come in its ranking.

The rules, once for every encoder and benchmark:

- Ties count against the model. The rank of a relevant row is 1 + the irrelevant rows that score at least as
  high + the relevant rows before it. Scores closer than rounding error (``TIE``) are ties, so a constant
  embedding never beats chance by the order in which a matrix product sums.
- The query itself is masked by id, not by position. Ids are strings or integers, never floats.
- Memory grows with ``chunk_rows`` x gallery, never with queries x gallery.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from stages.core.errors import StageError, shown

METRICS = ("cosine", "euclidean")

# Two scores of a query are equal when they differ by less than this share of its squared length plus the
# gallery's largest: float64 sums of 2048 products are off by at most 2048 * 1.1e-16 = 2.3e-13 of that.
TIE = 1e-12


@dataclass(frozen=True)
class Rows:
    """Queries or a gallery: aligned columns of n rows.

    Attributes:
        ids: unique strings or integers.
        items: rows with an equal item are correct matches of each other.
        categories: what ``same_category`` restricts the gallery to.
        vectors: [n, d]; the row of an undetected query is not read.
        detected: bool [n]; False = the item was never detected, there is no vector.
    """

    ids: Sequence[Hashable]
    items: Sequence[Hashable]
    categories: Sequence[Hashable]
    vectors: np.ndarray
    detected: np.ndarray

    def __post_init__(self) -> None:
        lengths = {len(self.ids), len(self.items), len(self.categories), len(self.vectors), len(self.detected)}
        if len(lengths) != 1:
            raise StageError(f"ids, items, categories, vectors and detected have different lengths: {sorted(lengths)}")
        if floats := [key for key in self.ids if isinstance(key, float)]:
            raise StageError(f"ids must be strings or integers (floats merge ids above 2**53), found: {shown(floats)}")
        if len(set(self.ids)) != len(self.ids):
            seen: set[Hashable] = set()
            twice = [key for key in self.ids if key in seen or seen.add(key)]
            raise StageError(f"ids must be unique, found twice: {shown(twice)}")
        if not np.isfinite(self.vectors[self.detected]).all():
            bad = ~np.isfinite(self.vectors).all(axis=1) & self.detected
            raise StageError(f"vectors with NaN or infinity: {shown(self.ids[row] for row in np.flatnonzero(bad))}")

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: np.ndarray) -> "Rows":
        """The rows at integer positions ``rows``."""
        return Rows(
            [self.ids[row] for row in rows],
            [self.items[row] for row in rows],
            [self.categories[row] for row in rows],
            self.vectors[rows],
            self.detected[rows],
        )


@dataclass(frozen=True)
class Ranking:
    """Where the relevant rows came, for each of Q queries.

    Attributes:
        ranks: Q ascending int arrays: the 1-based ranks of the relevant rows; empty for an undetected query.
        relevant: int [Q], how many gallery rows are relevant.
        gallery: int [Q], how many gallery rows were ranked (the query itself is not).
        detected: bool [Q].
    """

    ranks: list[np.ndarray]
    relevant: np.ndarray
    gallery: np.ndarray
    detected: np.ndarray


def prepared(vectors: np.ndarray, metric: str) -> np.ndarray:
    """float64 [n, d], of unit length for cosine (a zero vector stays zero: it is similar to nothing)."""
    if metric not in METRICS:
        raise StageError(f"metric is {metric!r}, expected one of: {shown(METRICS)}")
    vectors = np.asarray(vectors, dtype=np.float64)
    if metric == "euclidean":
        return vectors
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(norms > 0, norms, 1)


def similarity(queries: np.ndarray, gallery: np.ndarray, metric: str) -> np.ndarray:
    """Scores [q, g] of prepared vectors, higher = nearer: the cosine, or minus the squared distance."""
    products = queries @ gallery.T
    if metric == "cosine":
        return products
    return 2 * products - _squares(queries)[:, None] - _squares(gallery)[None, :]


def _squares(vectors: np.ndarray) -> np.ndarray:
    return (vectors * vectors).sum(axis=1)


def codes(*columns: Sequence[Hashable]) -> list[np.ndarray]:
    """Each column as int64 codes, equal where the values are equal; exact for integers of any size."""
    known: dict[Hashable, int] = {}
    return [
        np.fromiter((known.setdefault(value, len(known)) for value in column), np.int64, len(column))
        for column in columns
    ]


def ranks_of_relevant(relevant: np.ndarray, irrelevant: np.ndarray) -> np.ndarray:
    """1-based ranks, ascending, of relevant rows with scores [R] among irrelevant ones with scores [I].

    An irrelevant row that scores the same comes first. Relevant rows among themselves need no rule: which
    of two equals comes first changes no rank.
    """
    best_first = np.sort(relevant)[::-1]
    at_least_as_high = len(irrelevant) - np.searchsorted(np.sort(irrelevant), best_first, side="left")
    return at_least_as_high + np.arange(1, len(best_first) + 1)


def rank_relevant(queries: Rows, gallery: Rows, metric: str, chunk_rows: int, same_category: bool = False) -> Ranking:
    """Rank the gallery for every query.

    Args:
        metric: ``cosine`` or ``euclidean``.
        chunk_rows: how many queries are scored at a time; does not change the result.
        same_category: rank only the gallery rows of the query's own category.
    """
    if not same_category:
        return _rank_all(queries, gallery, metric, chunk_rows)
    total = len(queries)
    result = Ranking(
        [np.empty(0, np.int64)] * total, np.zeros(total, np.int64), np.zeros(total, np.int64), queries.detected
    )
    of_query, of_gallery = codes(queries.categories, gallery.categories)
    for category in np.unique(of_query):
        rows = np.flatnonzero(of_query == category)
        part = _rank_all(queries.take(rows), gallery.take(np.flatnonzero(of_gallery == category)), metric, chunk_rows)
        result.relevant[rows] = part.relevant
        result.gallery[rows] = part.gallery
        for row, ranks in zip(rows, part.ranks, strict=True):
            result.ranks[row] = ranks
    return result


def _rank_all(queries: Rows, gallery: Rows, metric: str, chunk_rows: int) -> Ranking:
    query_ids, gallery_ids = codes(queries.ids, gallery.ids)
    query_items, gallery_items = codes(queries.items, gallery.items)
    gallery_vectors = prepared(gallery.vectors, metric)
    longest = _squares(gallery_vectors).max(initial=0)
    ranks: list[np.ndarray] = []
    relevant_counts, gallery_counts = [], []
    for start in range(0, len(queries), chunk_rows):
        rows = slice(start, start + chunk_rows)
        others = query_ids[rows, None] != gallery_ids[None, :]
        relevant = (query_items[rows, None] == gallery_items[None, :]) & others
        relevant_counts.append(relevant.sum(axis=1))
        gallery_counts.append(others.sum(axis=1))
        vectors = prepared(np.where(queries.detected[rows, None], queries.vectors[rows], 0), metric)
        scores = similarity(vectors, gallery_vectors, metric)
        tolerance = TIE * (_squares(vectors) + longest)
        for row, detected in enumerate(queries.detected[rows]):
            if not detected:
                ranks.append(np.empty(0, np.int64))
                continue
            mine = relevant[row]
            # Lowered by the tolerance, so that rounding never puts a relevant row before its equal.
            ranks.append(ranks_of_relevant(scores[row, mine] - tolerance[row], scores[row, others[row] & ~mine]))
    return Ranking(ranks, _joined(relevant_counts), _joined(gallery_counts), queries.detected)


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.empty(0, np.int64), *parts])


def nearest(queries: Rows, gallery: Rows, metric: str, row: int, k: int) -> list[tuple[int, bool]]:
    """The first ``k`` gallery positions for query ``row`` with whether each is correct, in the order that is scored.

    Equals: wrong before right, then by id.
    """
    vector = prepared(queries.vectors[row : row + 1], metric)
    gallery_vectors = prepared(gallery.vectors, metric)
    scores = similarity(vector, gallery_vectors, metric)[0]
    tolerance = TIE * (_squares(vector)[0] + _squares(gallery_vectors).max(initial=0))
    best_first = np.argsort(-scores, kind="stable")
    level = np.empty(len(gallery), np.int64)  # equals share a level
    level[best_first] = np.cumsum(np.diff(scores[best_first], prepend=np.inf) < -tolerance)
    correct = [item == queries.items[row] for item in gallery.items]
    others = (at for at in range(len(gallery)) if gallery.ids[at] != queries.ids[row])
    order = sorted(others, key=lambda at: (level[at], correct[at], gallery.ids[at]))
    return [(at, correct[at]) for at in order[:k]]
