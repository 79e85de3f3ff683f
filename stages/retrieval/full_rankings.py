"""Ranks for queries with many relevant rows, by sorting a query's scores with the whole gallery (rules: similarity.py).

In a benchmark of categories a query has thousands of relevant rows: 40,000 queries of DeepFashion's categories make 900
million relevant pairs, and scoring each alone, as ranking.py does, takes hours. This module computes all scores of a
few queries by a float64 matrix product, and ranks all relevant rows of a query by one sort.

A score from a matrix product differs from the score of the pair alone (``pair_scores``) by less than a known bound. If
the scores of an irrelevant and a relevant row are closer than twice the bound, both pairs are scored alone. So the
ranks equal those of ranking.py.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from stages.core.parallel import workers
from stages.retrieval.relevance import VIEWS, Matches, Ranking
from stages.retrieval.similarity import TIE, Prepared, pair_scores, products
from stages.runner.progress import track

ROUNDINGS = 10  # of a score, in addition to its d products: of both vectors, the squares, their difference, the bar
THREADS = 4  # at most; each holds copies of a query's scores
COPIES = 6  # of a query's scores while it is ranked, if most of the gallery is relevant

Near = Callable[[int, np.ndarray, np.ndarray], None]  # query, places of the nearest gallery rows, their scores


@dataclass(frozen=True)
class WholeRows:
    """Scores of a few queries with the whole gallery, and their ranking.

    Attributes:
        matches: of all queries with the gallery.
        members: category -> its gallery rows.
        queries, gallery: prepared vectors.
        columns: gallery rows of one matrix product.
        near: called with the ``voters`` nearest gallery rows of each query, and those that tie with the last.
    """

    matches: Matches
    members: dict[int, np.ndarray]
    queries: Prepared
    gallery: Prepared
    columns: int
    near: Near | None = None
    voters: int = 0

    def scores(self, vectors: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """float64 [q, G] of the queries ``rows``, prepared vectors [q, d]: cosine, or minus squared distance."""
        scores = products(vectors, self.gallery, self.columns)
        if self.gallery.metric == "euclidean":
            scores -= self.queries.squares[rows, None]
        return scores

    def ahead(self, row: int, vector: np.ndarray, line: np.ndarray) -> dict[str, np.ndarray]:
        """View -> int64, ascending: how many irrelevant rows come before each relevant one of a query.

        Args:
            vector: of the query ``row``, prepared.
            line: its scores.
        """
        matches = self.matches
        own, category = int(matches.own[row]), int(matches.query_category[row])
        relevant = matches.order[matches.first[row] : matches.stop[row]]
        relevant = relevant[relevant != own]
        scale = self.queries.squares[row] + self.gallery.squares.max(initial=0)
        rounding = (self.gallery.width + ROUNDINGS) * scale * (1.0 if self.gallery.metric == "euclidean" else 0.5)
        query = _Query(vector, line, self.gallery, TIE * scale, rounding * np.finfo(np.float64).eps)
        irrelevant = np.ones(len(line), bool)
        irrelevant[relevant] = False
        if own >= 0:
            irrelevant[own] = False
        if self.near is not None:
            self._tell(row, line)
        result = {"whole_gallery": query.ahead(np.flatnonzero(irrelevant), relevant)}
        inside = self.members.get(category, np.empty(0, np.int64))
        alike = relevant[matches.gallery_category[relevant] == category]
        result["same_superclass"] = query.ahead(inside[irrelevant[inside]], alike)
        return result

    def _tell(self, row: int, line: np.ndarray) -> None:
        count = min(self.voters, len(line))
        last = np.partition(line, -count)[-count]
        places = np.flatnonzero(line >= last - 4 * TIE)
        self.near(row, places, line[places])


@dataclass(frozen=True)
class _Query:
    """One query.

    Attributes:
        vector: prepared, float64 [d].
        line: its scores with the gallery, float64 [G].
        tie: scores that are this close are equal.
        reach: an irrelevant score this close to a bar may be on its other side (twice the bound of one score).
    """

    vector: np.ndarray
    line: np.ndarray
    gallery: Prepared
    tie: float
    reach: float

    def ahead(self, irrelevant: np.ndarray, relevant: np.ndarray) -> np.ndarray:
        """int64, ascending: how many ``irrelevant`` rows score at least as high as each ``relevant`` row."""
        if not len(irrelevant):
            return np.zeros(len(relevant), np.int64)
        scores = self.line[irrelevant]
        scores.sort()
        bars = np.sort(self.line[relevant]) - self.tie
        first = scores.searchsorted(bars + self.reach)
        doubtful = (first > 0) & (scores[np.maximum(first - 1, 0)] >= bars - self.reach)
        if doubtful.any():
            first[doubtful] = self._settled(irrelevant, relevant, bars, doubtful)
            return np.sort(len(irrelevant) - first)
        return (len(irrelevant) - first)[::-1]

    def _settled(
        self, irrelevant: np.ndarray, relevant: np.ndarray, bars: np.ndarray, doubtful: np.ndarray
    ) -> np.ndarray:
        """How many ``irrelevant`` rows are below each ``doubtful`` bar, by the scores of single pairs."""
        low, high = bars[doubtful] - self.reach, bars[doubtful] + self.reach
        scores = self.line[irrelevant]
        near = low.searchsorted(scores, side="right") > high.searchsorted(scores, side="right")
        scores[near] = self._alone(irrelevant[near])
        scores.sort()
        asked = relevant[np.argsort(self.line[relevant])][doubtful]
        return scores.searchsorted(self._alone(asked) - self.tie)

    def _alone(self, rows: np.ndarray) -> np.ndarray:
        return pair_scores(self.vector[None], np.zeros(len(rows), np.int64), self.gallery, rows)


def rank_whole_rows(
    rows: WholeRows, counted: np.ndarray, detected: np.ndarray, queries: int, pairs: int, desc: str
) -> Iterator[dict[str, Ranking]]:
    """View -> ranking of the next few queries, in order, until all have been ranked.

    Queries are ranked in parallel threads, as sorting releases the interpreter lock.

    Args:
        counted: bool [Q], which queries are ranked; the others have no ranks.
        detected: bool [Q], as in Ranking.
        queries: number of queries whose scores are in memory at once.
        pairs: number of relevant pairs in memory at once, unless a single query has more.
        desc: text of the progress line.
    """
    lengths = np.where(counted, rows.matches.stop - rows.matches.first, 0)
    blocks = range(0, len(counted), queries)
    with ThreadPoolExecutor(min(THREADS, workers())) as pool:
        for begin in track(blocks, len(blocks), desc):
            end = min(begin + queries, len(counted))
            asked = begin + np.flatnonzero(counted[begin:end])
            vectors = rows.queries.double(asked)
            scores = rows.scores(vectors, asked)
            start, ranked = begin, iter(())
            while start < end:
                stop = start + max(1, int(np.searchsorted(np.cumsum(lengths[start:end]), pairs, side="right")))
                span_rows = slice(*np.searchsorted(asked, (start, stop)))
                ranked = pool.map(rows.ahead, asked[span_rows].tolist(), vectors[span_rows], scores[span_rows])
                ahead_of = dict(zip(asked[span_rows].tolist(), ranked, strict=True))
                span = slice(start, stop)
                yield {view: _ranking(rows.matches, view, ahead_of, span, detected[span]) for view in VIEWS}
                start = stop
            del scores, vectors, ranked  # before the next block: each may take a third of the memory


def _ranking(
    matches: Matches, view: str, ahead_of: dict[int, dict[str, np.ndarray]], span: slice, detected: np.ndarray
) -> Ranking:
    """The ranking of consecutive queries, from the results of ``ahead`` for the ranked ones."""
    nothing = {view: np.empty(0, np.int64)}
    ahead = [ahead_of.get(row, nothing)[view] for row in range(span.start, span.stop)]
    ranks = np.concatenate([counts + np.arange(1, len(counts) + 1) for counts in ahead])
    counts = np.array([len(counts_ahead) for counts_ahead in ahead], np.int64)
    return Ranking(ranks, counts, matches.relevant[view][span], matches.gallery[view][span], detected)
