"""Rows with vectors, their exact scores, and the nearest rows of a query; ranking.py computes ranks by these rules.

The rules for every encoder and benchmark:

- A score is the cosine, or minus the squared Euclidean distance, in float64, from the two vectors alone: it does not
  depend on other rows that are scored at the same time.
- Ties count against the model. The rank of a relevant row is 1 + the irrelevant rows that score at least as
  high + the relevant rows before it. Scores closer than rounding error (``TIE``) are ties, so a constant
  embedding never beats chance by the order of summation.
- The query itself is masked by id, not by position. Ids are strings or int64, never floats, and unique.
- A query whose item was never detected has no vector and is a miss.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stages.core.errors import StageError, shown
from stages.retrieval.vectors import METRICS

# Two scores of a query are equal when they differ by less than this share of its squared length plus the
# gallery's largest: float64 sums of 2048 products are off by at most 2048 * 1.1e-16 = 2.3e-13 of that.
TIE = 1e-12

BLOCK_BYTES = 4_000_000  # of float64 vectors in one step

Column: TypeAlias = Sequence[Hashable] | np.ndarray | pa.Array | pa.ChunkedArray


def column(values: Column, what: str, may_miss: bool = False) -> pa.Array:
    """The values as an int64 or string array, without missing ones unless they ``may_miss``.

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
    if array.null_count and not may_miss:
        raise StageError(f"{what}: {array.null_count} of {len(array)} values are missing.")
    return array


def codes(*columns: pa.Array) -> list[np.ndarray]:
    """Each column as int64 codes: equal values have equal codes, missing ones -1; integers stay exact.

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
        items: rows with an equal item are correct matches of each other; a missing one matches nothing.
        categories: for the view that restricts the gallery to the query's category.
        vectors: [n, d], in memory or memory-mapped; the row of an undetected query is not read.
        detected: bool [n]; False = the item was never detected, there is no vector.
        repeats: bool [n]; True = it nearly repeats a picture on the other side of the split; None: not known.
    """

    ids: Column
    items: Column
    categories: Column
    vectors: np.ndarray
    detected: np.ndarray
    repeats: np.ndarray | None = None

    def __post_init__(self) -> None:
        for name in ("ids", "items", "categories"):
            object.__setattr__(self, name, column(getattr(self, name), name, may_miss=name == "items"))
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
    """[n] sums of float64 rows [n, d]; the order of summation does not depend on other rows."""
    return np.ascontiguousarray(products).sum(axis=1)


class Prepared:
    """Vectors prepared for comparison, a few rows at a time: of unit length for cosine, else all scaled by a factor.

    A zero vector stays zero: it is similar to nothing. The factor is a power of two, which changes no comparison and
    keeps float32 from overflowing.

    Attributes:
        squares: float64 [n], squared lengths of the prepared vectors.
    """

    def __init__(self, rows: Rows, metric: str, scale: float = 1.0) -> None:
        """Measure the vectors of ``rows``; vectors of undetected rows count as zero."""
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
        """float64 [m, d] of some rows."""
        vectors = self._raw[rows].astype(np.float64)
        factors = self._factors[rows, None]
        vectors[(factors == 0)[:, 0]] = 0  # the row of an undetected query may contain NaN
        vectors *= factors
        return vectors

    def single(self, start: int, stop: int) -> np.ndarray:
        """float32 [stop - start, d] of consecutive rows, without a float64 copy of all of them."""
        result = np.empty((stop - start, self.width), np.float32)
        step = max(1, BLOCK_BYTES // (8 * max(1, self.width)))
        for at in range(start, stop, step):
            end = min(at + step, stop)
            result[at - start : end - start] = self.double(slice(at, end))
        return result


def prepared(queries: Rows, gallery: Rows, metric: str) -> tuple[Prepared, Prepared]:
    """Prepare queries and gallery with the same factor.

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
    """float64 [m] scores of m pairs: the prepared query vector ``queries[places[i]]`` and gallery row ``rows[i]``.

    A few pairs at a time; the score of a pair does not depend on other pairs.
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
    """float64 [q, G], in the order of the scores except for rounding, ``step`` gallery rows at a time.

    The cosine, or minus the squared distance without the term that is the same for all rows of a query.

    Args:
        queries: [q, d], prepared.
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
    """For each query in ``rows`` its first ``k`` gallery positions in rank order, and whether each is correct.

    Of equals, wrong ones come before correct ones, then the id decides. A matrix product finds candidates, and only
    these are scored exactly.
    """
    of_queries, of_gallery = prepared(queries, gallery, metric)
    query_ids, gallery_ids = codes(queries.ids, gallery.ids)
    query_items, gallery_items = codes(queries.items, gallery.items)
    longest = of_gallery.squares.max(initial=0)
    step = max(1, SCORES_BYTES // (8 * max(1, len(gallery))))
    block = max(1, SCORES_BYTES // (16 * max(1, of_gallery.width)))
    result = {}
    for start in range(0, len(rows), step):
        asked = np.asarray(rows[start : start + step], np.int64)
        vectors = of_queries.double(asked)
        for row, vector, rough in zip(asked.tolist(), vectors, products(vectors, of_gallery, block), strict=True):
            scale = of_queries.squares[row] + longest
            for candidates in _shortlists(rough, gallery_ids != query_ids[row], k, NEAR * scale):
                scores = pair_scores(vector[None], np.zeros(len(candidates), np.int64), of_gallery, candidates)
                correct = (gallery_items[candidates] == query_items[row]) & (query_items[row] >= 0)
                first, left = _first(scores, correct, TIE * scale, gallery.ids.take(pa.array(candidates)), k)
                if left:  # all rows that are not candidates are farther than the last result
                    break
            result[row] = [(int(candidates[place]), bool(correct[place])) for place in first]
    return result


SCORES_BYTES = 32_000_000  # of a few queries' scores with the whole gallery; half as many for gallery vectors
NEAR = 1e-9  # of a query's squared length plus the gallery's largest: far more than rounding and than ``TIE``


def _shortlists(scores: np.ndarray, allowed: np.ndarray, k: int, margin: float) -> Iterator[np.ndarray]:
    """Positions of the 2k nearest allowed rows and their equals; then of all rows, if these were not enough."""
    everything = np.flatnonzero(allowed)
    if 2 * k < len(everything):
        last = np.partition(scores[everything], -2 * k)[-2 * k]
        yield everything[scores[everything] >= last - margin]
    yield everything


def _first(scores: np.ndarray, correct: np.ndarray, tolerance: float, ids: pa.Array, k: int) -> tuple[list[int], int]:
    """Positions of the first ``k`` of n scored rows, and how many are farther than the last of these and its equals."""
    best_first = np.argsort(-scores, kind="stable")
    level = np.cumsum(np.diff(scores[best_first], prepend=np.inf) < -tolerance)  # equals share a level
    kept = np.searchsorted(level, level[k - 1], side="right") if k <= len(level) else len(level)
    places = best_first[:kept]
    order = zip(level[:kept], correct[places], ids.take(pa.array(places)).to_pylist(), places.tolist(), strict=True)
    return [place for *_, place in sorted(order)[:k]], len(scores) - int(kept)
