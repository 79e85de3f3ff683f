"""Which gallery rows are relevant for which query, and the ranking of relevant rows (computed by ranking.py)."""

from dataclasses import dataclass

import numpy as np

from stages.retrieval.similarity import Rows, codes

VIEWS = ("whole_gallery", "same_superclass")  # same_superclass: only gallery rows of the query's category


@dataclass(frozen=True)
class Matches:
    """Which gallery rows are relevant for which query, as ranges of ``order``.

    Attributes:
        order: int64 [G], gallery rows sorted by item, then by category.
        first, stop: int64 [Q], the range of a query's item in ``order``, including the query itself.
        own: int64 [Q], the gallery row that is the query itself, or -1.
        query_category, gallery_category: int64 codes.
        relevant, gallery: view -> int64 [Q] as in Ranking.
    """

    order: np.ndarray
    first: np.ndarray
    stop: np.ndarray
    own: np.ndarray
    query_category: np.ndarray
    gallery_category: np.ndarray
    relevant: dict[str, np.ndarray]
    gallery: dict[str, np.ndarray]

    @staticmethod
    def of(queries: Rows, gallery: Rows) -> "Matches":
        """Compare ids, items and categories."""
        own = _position(*codes(queries.ids, gallery.ids))
        query_item, item = codes(queries.items, gallery.items)
        # A missing item gets a code that the other side does not have.
        unknown = max(query_item.max(initial=0), item.max(initial=0)) + 1
        item, query_item = np.where(item < 0, unknown, item), np.where(query_item < 0, unknown + 1, query_item)
        query_category, category = codes(queries.categories, gallery.categories)
        kinds = max(query_category.max(initial=0), category.max(initial=0)) + 1
        order = np.argsort(item * kinds + category, kind="stable")
        keys = (item * kinds + category)[order]
        first, stop = (np.searchsorted(keys, (query_item + more) * kinds) for more in (0, 1))
        same = [np.searchsorted(keys, query_item * kinds + query_category + more) for more in (0, 1)]
        itself = own >= 0
        own_relevant = itself & (item[own] == query_item) if len(item) else itself
        own_same = itself & (category[own] == query_category) if len(item) else itself
        relevant = (stop - first - own_relevant, same[1] - same[0] - (own_relevant & own_same))
        sizes = (len(gallery) - itself, np.bincount(category, minlength=kinds)[query_category] - own_same)
        views = (dict(zip(VIEWS, columns, strict=True)) for columns in (relevant, sizes))
        return Matches(order, first, stop, own, query_category, category, *views)

    def pairs(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Relevant pairs of some queries: (place in ``rows``, gallery row), sorted by place."""
        lengths = self.stop[rows] - self.first[rows]
        owner = np.repeat(np.arange(len(rows)), lengths)
        inside = np.arange(len(owner)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        columns = self.order[self.first[rows][owner] + inside]
        not_itself = columns != self.own[rows][owner]
        return owner[not_itself], columns[not_itself]


def _position(wanted: np.ndarray, codes_there: np.ndarray) -> np.ndarray:
    """Position of each wanted code in unique codes, or -1."""
    order = np.argsort(codes_there)
    at = np.searchsorted(codes_there[order], wanted)
    at = np.minimum(at, len(order) - 1)
    return np.where(codes_there[order[at]] == wanted, order[at], -1) if len(order) else np.full(len(wanted), -1)


@dataclass(frozen=True)
class Ranking:
    """The ranks of the relevant rows for each of Q queries.

    Attributes:
        ranks: int64 [P], 1-based, query after query, ascending for each; an undetected query has none.
        counts: int64 [Q], number of ``ranks`` of each query.
        relevant: int64 [Q], how many gallery rows are relevant.
        gallery: int64 [Q], how many gallery rows were ranked (the query itself is not).
        detected: bool [Q].
    """

    ranks: np.ndarray
    counts: np.ndarray
    relevant: np.ndarray
    gallery: np.ndarray
    detected: np.ndarray
