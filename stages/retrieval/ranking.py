"""Exact ranks of the relevant gallery rows of every query, in bounded memory (rules: similarity.py).

The gallery is never sorted. The rank of a relevant row is the number of irrelevant rows that score at least as high,
plus its place among the relevant ones. It is computed from the scores of the relevant pairs and by counting:

1. The relevant pairs are scored one by one in float64. These scores are the bars.
2. Blocks of queries x gallery are scored in float32, whose rounding error has a bound. A score that is higher than a
   bar by more than the bound is counted, one that is lower by more is not.
3. The few pairs in between are scored one by one in float64. If there are many, as with a collapsed encoder, the block
   is scored in float64 first, with a much smaller bound.

So the result equals that of float64, whatever the sizes of the blocks. Both views are counted from the same scores.
Memory above the vectors stays below ``memory_mb``, unless the relevant rows of a single query need more.

The relevant gallery rows of a query are found by sorting, without a table of queries x gallery. If queries have many of
them, as in benchmarks of categories, full_rankings.py computes the same ranks in less time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from stages.core.errors import StageError
from stages.retrieval.full_rankings import COPIES, THREADS, Near, WholeRows, rank_whole_rows
from stages.retrieval.relevance import VIEWS, Matches, Ranking
from stages.retrieval.similarity import TIE, Prepared, Rows, pair_scores, prepared
from stages.runner.progress import track

SMALLEST_MB = 64
BYTES_PER_ROW = 120  # codes, places, lengths of a query or gallery row
BYTES_PER_PAIR = 120  # of a relevant pair: places, bar, counts, copies while sorting

SLACK = 8  # roundings of a score, in addition to its d products: of both vectors, the squares, the bar
FEW_BARS = 12  # up to this number, comparing a row of scores with each bar is faster than sorting it
DOUBTFUL = 64  # a float64 block is used if one score in this many is doubtful, and more than MANY are
MANY = 32
DOUBTS_AT_ONCE = 50_000
MANY_RELEVANT = 64  # mean per query above which sorting its scores is faster than scoring each pair alone


@dataclass(frozen=True)
class Sizes:
    """Sizes of what is in memory at once: queries and gallery rows of a block, relevant pairs.

    Attributes:
        whole: number of queries whose scores with the whole gallery are in memory at once, if each has many relevant
            rows; 0: never.
    """

    queries: int
    gallery: int
    pairs: int
    whole: int = 0

    @staticmethod
    def within(memory_mb: int, queries: Rows, gallery: Rows) -> "Sizes":
        """The sizes that fit into ``memory_mb`` megabytes (at least ``SMALLEST_MB``) above the vectors.

        Shares of the budget: a quarter for gallery vectors, an eighth each for queries' and pairs, half for scores.

        A block's gallery row takes 4 + 8 bytes a dimension (float32, float64), its query row 8 + 8 (a copy); a score
        takes 4, or 8 in float64 blocks, which have half the queries, and the same for a copy. Scores with the whole
        gallery and their copies get three eighths, as the allocator keeps freed memory.

        Raises:
            StageError: the ids of all rows leave no room for blocks.
        """
        width = max(1, gallery.vectors.shape[1])
        rows = len(queries) + len(gallery)
        budget = memory_mb * 1_000_000 - BYTES_PER_ROW * rows
        if budget < SMALLEST_MB * 500_000:
            enough = -(-(BYTES_PER_ROW * rows + SMALLEST_MB * 500_000) // 1_000_000)
            raise StageError(f"`evaluate.memory_mb` is {memory_mb}; {rows} rows of queries and gallery need {enough}.")
        columns = max(1, min(len(gallery), max(64, budget // 4 // (12 * width))))
        lines = max(8, min(budget // 8 // (16 * width), budget // 2 // (8 * columns)))
        full = 3 * budget // 8 // (8 * max(1, len(gallery))) - COPIES * THREADS
        return Sizes(lines, columns, budget // 8 // BYTES_PER_PAIR, max(0, min(full, budget // 8 // (16 * width))))


def rank_chunks(
    queries: Rows,
    gallery: Rows,
    metric: str,
    sizes: Sizes,
    desc: str = "ranking",
    near: Near | None = None,
    voters: int = 0,
) -> Iterator[dict[str, Ranking]]:
    """View -> ranking of the next few queries, in order, until all have been ranked.

    Args:
        metric: ``cosine`` or ``euclidean``.
        sizes: of the blocks; they bound memory and change no result.
        desc: text of the progress line.
        near, voters: see WholeRows; not used where queries have few relevant rows.
    """
    of_queries, of_gallery = prepared(queries, gallery, metric)
    matches = Matches.of(queries, gallery)
    counted = queries.detected & (matches.relevant["whole_gallery"] > 0)
    pairs = np.where(counted, matches.stop - matches.first, 0)
    if sizes.whole and pairs.sum() > MANY_RELEVANT * counted.sum():
        members = by_category(matches.gallery_category)
        rows = WholeRows(matches, members, of_queries, of_gallery, sizes.gallery, near, voters)
        yield from rank_whole_rows(rows, counted, queries.detected, sizes.whole, sizes.pairs, desc)
        return
    bounds = _bounds(pairs, sizes)
    blocks = range(0, len(gallery), sizes.gallery)
    total = len(blocks) * (len(bounds) - 1)
    steps = iter(track(range(total), total, desc))
    for begin, end in pairwise(bounds):
        counting = Counting(matches, of_queries, of_gallery, begin + np.flatnonzero(counted[begin:end]))
        for start in blocks:
            next(steps)
            counting.add_block(start, min(start + sizes.gallery, len(gallery)))
        yield {view: counting.ranking(view, begin, queries.detected[begin:end]) for view in VIEWS}
    next(steps, None)


def _bounds(pairs: np.ndarray, sizes: Sizes) -> list[int]:
    """Where to split the queries, so that a chunk has few enough rows and relevant pairs (or is one query)."""
    bounds, held = [0], 0
    for row, more in enumerate(pairs.tolist()):
        if row > bounds[-1] and (row - bounds[-1] >= sizes.queries or held + more > sizes.pairs):
            bounds.append(row)
            held = 0
        held += more
    return [*bounds, len(pairs)] if len(pairs) else bounds


def at_least(scores: np.ndarray, bars: np.ndarray) -> np.ndarray:
    """int64 [b]: how many of the scores [n] reach each of the bars [b], both of one type."""
    if len(bars) <= FEW_BARS:
        return np.array([np.count_nonzero(scores >= bar) for bar in bars], np.int64)
    return len(scores) - np.searchsorted(np.sort(scores), bars, side="left")


def by_category(categories: np.ndarray) -> dict[int, np.ndarray]:
    """Code -> ascending positions of the rows [n] that have it."""
    order = np.argsort(categories, kind="stable")
    present, first = np.unique(categories[order], return_index=True)
    return dict(zip(present.tolist(), np.split(order, first[1:]), strict=True))


class Counting:
    """For each relevant pair of some queries: how many irrelevant gallery rows score at least as high."""

    def __init__(self, matches: Matches, queries: Prepared, gallery: Prepared, rows: np.ndarray) -> None:
        """Score the relevant pairs of the queries ``rows``."""
        self.matches, self.gallery, self.rows = matches, gallery, rows
        self.vectors = queries.double(rows)
        self.owner, self.columns = matches.pairs(rows)
        self.first = np.searchsorted(self.owner, np.arange(len(rows) + 1))
        self.category = matches.query_category[rows]
        self.same = matches.gallery_category[self.columns] == self.category[self.owner]
        scale = queries.squares[rows] + gallery.squares.max(initial=0)
        exact = pair_scores(self.vectors, self.owner, gallery, self.columns)
        # Bars are lowered, so that rounding never puts a relevant row before an equal irrelevant one.
        self.bars = exact - TIE * scale[self.owner]
        # Blocks leave out the term of minus the squared distance that is the same for all pairs of a query.
        euclidean = gallery.metric == "euclidean"
        self.shift = queries.squares[rows][self.owner] if euclidean else 0.0
        # |q g| <= (q^2 + g^2) / 2, and each of d products and sums errs by at most one rounding of that.
        self.roundings = (gallery.width + SLACK) * scale * (1.0 if euclidean else 0.5)
        self.counts = {view: np.zeros(len(self.owner), np.int64) for view in VIEWS}
        self.hard = np.zeros(len(rows), bool)  # queries with many doubts in float32

    def add_block(self, start: int, stop: int) -> None:
        """Count the gallery rows from ``start`` to ``stop``."""
        if len(easy := np.flatnonzero(~self.hard)):
            left = self.vectors[easy].astype(np.float32)
            self.hard[self._count(easy, left, self.gallery.single(start, stop), start)] = True
        if len(hard := np.flatnonzero(self.hard)):
            right = self.gallery.double(slice(start, stop))
            step = max(1, len(self.rows) // 2)
            for chunk in (hard[at : at + step] for at in range(0, len(hard), step)):
                self._count(chunk, self.vectors[chunk], right, start)

    def _count(self, rows: np.ndarray, left: np.ndarray, right: np.ndarray, start: int) -> list[int]:
        """Count a block of vectors [r, d] against [g, d]; in float32, rows with many doubts are returned uncounted."""
        scores = self._block(rows, left, right, start)
        reach = self.roundings[self.owner] * np.finfo(scores.dtype).eps / 2
        high = (self.bars + self.shift + reach).astype(scores.dtype)
        low = (self.bars + self.shift - reach).astype(scores.dtype)
        members = by_category(self.matches.gallery_category[start : start + len(right)])
        everywhere, same = (self.counts[view] for view in VIEWS)
        given_up: list[int] = []
        doubts: list[tuple[int, np.ndarray]] = []
        held = 0
        for line, row in zip(scores, rows.tolist(), strict=True):
            pairs = slice(self.first[row], self.first[row + 1])
            reached = at_least(line, np.concatenate([high[pairs], low[pairs]]))
            sure, maybe = reached[: len(reached) // 2], reached[len(reached) // 2 :]
            if scores.dtype == np.float32 and (maybe - sure).sum() > max(MANY, len(line) // DOUBTFUL):
                given_up.append(row)
                continue
            everywhere[pairs] += sure
            members_of = members.get(int(self.category[row]), ())
            if len(members_of):
                same[pairs] += sure if len(members_of) == len(line) else at_least(line[members_of], high[pairs])
            for pair in pairs.start + np.flatnonzero(maybe > sure):
                doubts.append((pair, start + np.flatnonzero((line >= low[pair]) & (line < high[pair]))))
            held += int((maybe - sure).sum())
            if held > DOUBTS_AT_ONCE:
                self._settle(doubts)
                doubts, held = [], 0
        self._settle(doubts)
        return given_up

    def _block(self, rows: np.ndarray, left: np.ndarray, right: np.ndarray, start: int) -> np.ndarray:
        """Scores [r, g]; -inf where the gallery row is relevant or the query itself."""
        scores = left @ right.T
        stop = start + len(right)
        if self.gallery.metric == "euclidean":
            scores *= 2
            scores -= self.gallery.squares[start:stop].astype(scores.dtype)
        place = np.full(len(self.rows), -1)
        place[rows] = np.arange(len(rows))
        own = self.matches.own[self.rows]
        for owner, column in ((self.owner, self.columns), (np.arange(len(self.rows)), own)):
            inside = (column >= start) & (column < stop) & (place[owner] >= 0)
            scores[place[owner[inside]], column[inside] - start] = -np.inf
        return scores

    def _settle(self, doubts: list[tuple[int, np.ndarray]]) -> None:
        """Score doubtful pairs (relevant pair, gallery rows) one by one, and count those that reach the bar."""
        if not doubts:
            return
        pair = np.repeat([pair_index for pair_index, _ in doubts], [len(columns) for _, columns in doubts])
        column = np.concatenate([columns for _, columns in doubts])
        reached = pair_scores(self.vectors, self.owner[pair], self.gallery, column) >= self.bars[pair]
        same = self.matches.gallery_category[column] == self.category[self.owner[pair]]
        np.add.at(self.counts["whole_gallery"], pair[reached], 1)
        np.add.at(self.counts["same_superclass"], pair[reached & same], 1)

    def ranking(self, view: str, begin: int, detected: np.ndarray) -> Ranking:
        """The ranking of the q queries from ``begin`` on, with ``detected`` [q]."""
        kept = np.ones(len(self.owner), bool) if view == "whole_gallery" else self.same
        owner, counts = self.owner[kept], self.counts[view][kept]
        order = np.lexsort((counts, owner))
        owner, counts = owner[order], counts[order]
        lengths = np.bincount(self.rows[owner] - begin, minlength=len(detected))
        before = np.arange(len(owner)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        rows = slice(begin, begin + len(detected))
        return Ranking(
            counts + before + 1, lengths, self.matches.relevant[view][rows], self.matches.gallery[view][rows], detected
        )
