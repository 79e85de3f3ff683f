"""Exact scores of queries with gallery rows, and the nearest rows of a query.

These rules hold for every encoder and benchmark; ranking.py computes ranks by them:

- A score is the cosine, or minus the squared Euclidean distance, in float64. It follows from the two vectors alone,
  whichever other rows are scored at the same time.
- Ties count against the model. The rank of a relevant row is 1 + the number of irrelevant rows with at least its
  score + the number of relevant rows before it. Scores closer than rounding error (``TIE``) are ties, so that a
  constant embedding does not beat chance through rounding.
- A query never finds itself: its row is excluded by id, not by position. Ids are unique strings or int64, never floats.
- A query whose item was not detected has no vector and counts as a miss.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stages.core.errors import StageError, shown
from stages.retrieval.vectors import METRICS

# Two scores of a query are equal if they differ by less than this share of (the squared length of the query + the
# largest squared length in the gallery). A float64 sum of 2048 products has an error of at most 2048 * 1.1e-16 =
# 2.3e-13 of that.
TIE = 1e-12

BLOCK_BYTES = 4_000_000  # of float64 vectors in one step

Column: TypeAlias = Sequence[Hashable] | np.ndarray | pa.Array | pa.ChunkedArray


def column(values: Column, what: str, allow_missing: bool = False) -> pa.Array:
    """The values as an array of int64 or strings.

    Args:
        what: name of the column, for messages.
        allow_missing: missing values are allowed.

    Raises:
        StageError: floats, missing values, a mixture, or integers beyond int64.
    """
    try:
        array = values if isinstance(values, (pa.Array, pa.ChunkedArray)) else pa.array(values)
        array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
        kind = array.type.value_type if pa.types.is_dictionary(array.type) else array.type
        if array.null_count == len(array):
            array = array.cast(pa.int64() if pa.types.is_integer(kind) else pa.string())
            kind = array.type
        if not (pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            raise StageError(
                f"{what} must be strings or integers (floats merge ids above 2**53), found {kind}: "
                f"{shown(array[:20].to_pylist())}"
            )
        array = array.cast(pa.int64() if pa.types.is_integer(kind) else pa.string())
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise StageError(f"{what} must be all strings or all integers of 64 bits: {str(error)[:200]}") from None
    if array.null_count and not allow_missing:
        raise StageError(f"{what}: {array.null_count} of {len(array)} values are missing.")
    return array


def codes(*columns: pa.Array) -> list[np.ndarray]:
    """Each column as int64 codes: equal values get equal codes in all columns, missing values -1.

    Raises:
        StageError: one column has strings and another integers, which are never equal.
    """
    filled = [values for values in columns if values.null_count < len(values)]
    if len(kinds := {str(values.type) for values in filled}) > 1:
        raise StageError(f"queries and gallery must have ids of one type, found {shown(kinds)}.")
    kind = filled[0].type if filled else pa.string()
    joined = pa.concat_arrays([values if values in filled else pa.nulls(len(values), kind) for values in columns])
    coded = joined.dictionary_encode().indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return np.split(coded, np.cumsum([len(values) for values in columns])[:-1])


@dataclass(frozen=True)
class Rows:
    """Queries or a gallery: aligned columns of n rows.

    Attributes:
        ids: unique strings or integers.
        items: rows with the same item are correct matches of each other; a row without an item matches nothing.
        categories: used where the gallery is restricted to the category of the query.
        vectors: [n, d], in memory or memory-mapped; the values of an undetected row are ignored.
        detected: bool [n]; false if the item was not detected, so that it has no vector.
        repeats: bool [n]; true if the row nearly repeats a picture on the other side of the split. None: not known.
    """

    ids: Column
    items: Column
    categories: Column
    vectors: np.ndarray
    detected: np.ndarray
    repeats: np.ndarray | None = None

    def __post_init__(self) -> None:
        for name in ("ids", "items", "categories"):
            object.__setattr__(self, name, column(getattr(self, name), name, allow_missing=name == "items"))
        lengths = {len(self.ids), len(self.items), len(self.categories), len(self.vectors), len(self.detected)}
        if len(lengths) != 1:
            raise StageError(f"ids, items, categories, vectors and detected have different lengths: {sorted(lengths)}")
        counts = pc.value_counts(self.ids)
        if len(counts) != len(self.ids):
            twice = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")
            raise StageError(f"ids must be unique, found twice: {shown(twice.to_pylist())}")
        if len(bad := self._not_finite()):
            raise StageError(f"vectors with NaN or infinity: {shown(self.ids.take(pa.array(bad)).to_pylist())}")

    def __len__(self) -> int:
        return len(self.ids)

    def _not_finite(self) -> np.ndarray:
        step = max(1, BLOCK_BYTES // max(1, self.vectors.shape[1]))
        finite = [
            np.isfinite(self.vectors[start : start + step]).all(axis=1) for start in range(0, len(self.vectors), step)
        ]
        return np.flatnonzero(self.detected & ~np.concatenate([np.empty(0, bool), *finite]))


def sums(products: np.ndarray) -> np.ndarray:
    """Sums [n] of float64 rows [n, d]; the order of summation does not depend on the other rows."""
    return np.ascontiguousarray(products).sum(axis=1)


class Prepared:
    """Scaled vectors, computed for a few rows at a time.

    For cosine each vector is scaled to unit length; a zero vector stays zero, so its cosine with any vector is 0. For
    Euclidean distance all vectors are scaled by the same power of two: this changes no comparison and keeps float32
    from overflowing.

    Attributes:
        squares: float64 [n], squared lengths of the scaled vectors.
    """

    def __init__(self, rows: Rows, metric: str, scale: float = 1.0) -> None:
        """Compute the factors of ``rows``; the vector of an undetected row is zero.

        Args:
            scale: the factor of all vectors; not used for cosine.
        """
        self.metric = metric
        self._raw = rows.vectors
        n, width = rows.vectors.shape
        lengths = np.zeros(n)
        step = max(1, BLOCK_BYTES // (8 * max(1, width)))
        for start in range(0, n, step):
            block = rows.vectors[start : start + step].astype(np.float64)
            lengths[start : start + step] = sums(block * block)
        lengths = np.sqrt(np.where(rows.detected, lengths, 0))
        unit = 1 / np.where(lengths > 0, lengths, 1)
        self._factors = unit if metric == "cosine" else np.full(n, scale)
        self._factors[~np.asarray(rows.detected)] = 0
        self.squares = (lengths * self._factors) ** 2

    def __len__(self) -> int:
        return len(self._raw)

    @property
    def width(self) -> int:
        """Dimensions of a vector."""
        return self._raw.shape[1]

    def double(self, rows: Sequence[int] | np.ndarray | slice) -> np.ndarray:
        """float64 [m, d]: the scaled vectors of some rows."""
        vectors = self._raw[rows].astype(np.float64)
        factors = self._factors[rows, None]
        vectors[(factors == 0)[:, 0]] = 0  # the row of an undetected item may contain NaN
        vectors *= factors
        return vectors

    def single(self, start: int, stop: int) -> np.ndarray:
        """float32 [stop - start, d]: the scaled vectors of consecutive rows, without a float64 copy of all of them."""
        result = np.empty((stop - start, self.width), np.float32)
        step = max(1, BLOCK_BYTES // (8 * max(1, self.width)))
        for at in range(start, stop, step):
            end = min(at + step, stop)
            result[at - start : end - start] = self.double(slice(at, end))
        return result


def prepared(queries: Rows, gallery: Rows, metric: str) -> tuple[Prepared, Prepared]:
    """Scale queries and gallery by the same factor.

    Raises:
        StageError: unknown metric, or vectors of different widths.
    """
    if metric not in METRICS:
        raise StageError(f"metric is {metric!r}, expected one of: {shown(METRICS)}")
    if queries.vectors.shape[1] != gallery.vectors.shape[1]:
        raise StageError(
            f"queries have {queries.vectors.shape[1]} dimensions and the gallery {gallery.vectors.shape[1]}."
        )
    if metric == "cosine":
        return Prepared(queries, metric), Prepared(gallery, metric)
    longest = max(Prepared(rows, metric).squares.max(initial=0) for rows in (queries, gallery))
    scale = 2.0 ** -np.frexp(np.sqrt(longest))[1]
    return Prepared(queries, metric, scale), Prepared(gallery, metric, scale)


def pair_scores(queries: np.ndarray, places: np.ndarray, gallery: Prepared, rows: np.ndarray) -> np.ndarray:
    """Scores float64 [m] of m pairs: query vector ``queries[places[i]]`` with gallery row ``rows[i]``.

    The score of a pair does not depend on the other pairs; a few pairs at a time are in memory.

    Args:
        queries: float64 [q, d], scaled by ``Prepared``.
        places: int64 [m].
        rows: int64 [m].
    """
    result = np.empty(len(rows))
    step = max(1, BLOCK_BYTES // (8 * max(1, gallery.width)))
    for start in range(0, len(rows), step):
        span = slice(start, start + step)
        factors = gallery.double(rows[span])
        if gallery.metric == "cosine":
            factors *= queries[places[span]]
            result[span] = sums(factors)
        else:
            factors -= queries[places[span]]
            factors *= factors
            result[span] = -sums(factors)
    return result


def products(queries: np.ndarray, gallery: Prepared, step: int) -> np.ndarray:
    """Approximate scores float64 [q, G] by matrix products: their order is that of the scores except for rounding.

    They are the cosine, or minus the squared distance without the squared length of the query, which is the same for
    all rows of a query.

    Args:
        queries: float64 [q, d], scaled by ``Prepared``.
        step: gallery rows in memory at the same time.
    """
    scores = np.empty((len(queries), len(gallery)))
    for start in range(0, len(gallery), step):
        span = slice(start, min(start + step, len(gallery)))
        np.matmul(queries, gallery.double(span).T, out=scores[:, span])
    if gallery.metric == "euclidean":
        scores *= 2
        scores -= gallery.squares
    return scores


def nearest(
    queries: Rows, gallery: Rows, metric: str, rows: Sequence[int], k: int
) -> dict[int, list[tuple[int, bool]]]:
    """For each query in ``rows``: the first ``k`` gallery positions in the order of ranks, and whether each is correct.

    Among equal scores, wrong rows come before correct ones, then the id decides. A matrix product finds candidates,
    and only these are scored exactly.
    """
    of_queries, of_gallery = prepared(queries, gallery, metric)
    query_ids, gallery_ids = codes(queries.ids, gallery.ids)
    query_items, gallery_items = codes(queries.items, gallery.items)
    longest = of_gallery.squares.max(initial=0)
    step = max(1, SCORES_BYTES // (8 * max(1, len(gallery))))
    block = max(1, SCORES_BYTES // (16 * max(1, of_gallery.width)))
    result = {}
    for start in range(0, len(rows), step):
        chunk = np.asarray(rows[start : start + step], np.int64)
        vectors = of_queries.double(chunk)
        for row, vector, approximate in zip(chunk.tolist(), vectors, products(vectors, of_gallery, block), strict=True):
            scale = of_queries.squares[row] + longest
            for candidates in _shortlists(approximate, gallery_ids != query_ids[row], k, NEAR * scale):
                scores = pair_scores(vector[None], np.zeros(len(candidates), np.int64), of_gallery, candidates)
                correct = (gallery_items[candidates] == query_items[row]) & (query_items[row] >= 0)
                first, lower = _first(scores, correct, TIE * scale, gallery.ids.take(pa.array(candidates)), k)
                if lower:  # then every row that is no candidate scores lower than the last result, too
                    break
            result[row] = [(int(candidates[place]), bool(correct[place])) for place in first]
    return result


SCORES_BYTES = 32_000_000  # for the scores of some queries with the whole gallery; half of it for gallery vectors
NEAR = 1e-9  # margin of the candidates, a share as ``TIE``: much larger than that and than rounding


def _shortlists(scores: np.ndarray, allowed: np.ndarray, k: int, margin: float) -> Iterator[np.ndarray]:
    """Positions of the 2k nearest allowed rows and of those within ``margin`` of them; then of all allowed rows."""
    everything = np.flatnonzero(allowed)
    if 2 * k < len(everything):
        last = np.partition(scores[everything], -2 * k)[-2 * k]
        yield everything[scores[everything] >= last - margin]
    yield everything


def _first(scores: np.ndarray, correct: np.ndarray, tolerance: float, ids: pa.Array, k: int) -> tuple[list[int], int]:
    """Positions of the first ``k`` of n scored rows, and how many of the n score lower than all of these."""
    best_first = np.argsort(-scores, kind="stable")
    level = np.cumsum(np.diff(scores[best_first], prepend=np.inf) < -tolerance)  # equals share a level
    count = np.searchsorted(level, level[k - 1], side="right") if k <= len(level) else len(level)
    places = best_first[:count]
    order = zip(level[:count], correct[places], ids.take(pa.array(places)).to_pylist(), places.tolist(), strict=True)
    return [place for *_, place in sorted(order)[:k]], len(scores) - int(count)
