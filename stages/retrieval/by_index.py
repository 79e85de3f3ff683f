"""Scores of a search by an index (index.py) on a benchmark, in addition to the exact scores.

For each ``nprobe`` that was measured when the index was built, they are the recall of the ten nearest against the exact
search, for the benchmark's own queries, and the hits among the garments that the index finds. Ties count against the
model, as in every ranking.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from stages.core.errors import StageError
from stages.retrieval.catalogue import HIT, LEADING
from stages.retrieval.index import NEIGHBORS, Index, comparable, exact_nearest, read_index, recall
from stages.retrieval.relevance import VIEWS, Matches
from stages.retrieval.similarity import TIE, Rows
from stages.retrieval.vectors import VectorFile


def scores_by_index(
    path: Path, file: VectorFile, queries: Rows, gallery: Rows, metric: str, ks: Sequence[int]
) -> dict[str, Any] | None:
    """Scores of the index at ``path``, for each nprobe; None when a gallery has none.

    Args:
        file: the gallery's vectors, whose order is that of the index.

    Returns:
        lists, nprobe (what a search uses), and by_nprobe: nprobe, recall, and the hits at each k.

    Raises:
        StageError: the index is damaged or of other vectors, or faiss is not installed.
    """
    if not path.is_file():
        return None
    index = read_index(path)
    expected = {"rows": len(file.ids), "width": file.width, "metric": metric}
    if differing := {key: index.card[key] for key in expected if index.card[key] != expected[key]}:
        raise StageError(f"{path}: an index of other vectors ({differing}, expected {expected}). Run `dvc repro`.")
    order = pc.index_in(file.ids, value_set=gallery.ids).to_numpy(zero_copy_only=False)
    scores = _Scores(index, gallery.vectors[order], order, queries, gallery, metric)
    return {
        "lists": index.card["lists"],
        "nprobe": index.card["nprobe"],
        "by_nprobe": [scores.of(int(nprobe), ks) for nprobe in index.card["recall"]],
    }


class _Scores:
    """Searches of one benchmark's detected queries; ``order`` [n] gives the gallery row of each row of the index."""

    def __init__(
        self, index: Index, vectors: np.ndarray, order: np.ndarray, queries: Rows, gallery: Rows, metric: str
    ) -> None:
        self.index, self.vectors, self.order = index, vectors, order
        matches = Matches.of(queries, gallery)
        self.scored = int((matches.relevant[VIEWS[0]] > 0).sum())
        self.rows = np.flatnonzero(queries.detected)
        self.queries = queries.vectors[self.rows]
        place = np.empty(len(gallery), np.int64)
        place[order] = np.arange(len(gallery))
        own = matches.own[self.rows]
        self.own = np.where(own >= 0, place[own], -1)
        self.relevant = [
            matches.order[first:stop]
            for first, stop in zip(matches.first[self.rows], matches.stop[self.rows], strict=True)
        ]
        largest = np.square(comparable(vectors, metric)).sum(axis=1, dtype=np.float64).max()
        self.scale = np.square(comparable(self.queries, metric)).sum(axis=1, dtype=np.float64) + largest
        self.best, _ = exact_nearest(
            lambda: [vectors],
            self.queries,
            min(NEIGHBORS, len(vectors)),
            metric,
            self.own if (own >= 0).any() else None,
        )

    def of(self, nprobe: int, ks: Sequence[int]) -> dict[str, Any]:
        """Recall of the ten nearest, and hits, with one nprobe."""
        wanted = min(max(NEIGHBORS, *ks) + 1, len(self.vectors))  # one more, as the query may be in the gallery
        scores, rows = self.index.nearest(self.vectors, self.queries, wanted, nprobe)
        scores[rows == self.own[:, None]] = -np.inf
        ranks = np.array([self._rank(place, scores[place], rows[place]) for place in range(len(rows))])
        nearest = -np.sort(-scores, axis=1)[:, : self.best.shape[1]]
        hits = {
            measure.key: float((ranks <= k).sum() / self.scored)
            for measure in HIT.at(sorted(set(ks)))
            for k in measure.k
            if self.scored
        }
        return {"nprobe": nprobe, "recall": recall(nearest, self.best, self.scale), **hits}

    def _rank(self, place: int, scores: np.ndarray, rows: np.ndarray) -> float:
        """Rank of the first relevant row that was found; infinity: none was."""
        known = np.isfinite(scores)
        relevant = known & np.isin(self.order[rows], self.relevant[place])
        if not relevant.any():
            return np.inf
        bar = scores[relevant].max() - TIE * self.scale[place]
        return float(1 + np.count_nonzero(known & ~relevant & (scores >= bar)))


def log_line(encoder: str, benchmark: str, exact: dict[str, Any], scores: dict[str, Any]) -> str:
    """One line of a log: the scores by the index, each with its recall, and the exact score."""

    def hit(scores: dict[str, Any]) -> str:
        return f", {LEADING.label} {scores[LEADING.key]:.3f}" if LEADING.key in scores else ""

    values = (f"nprobe {row['nprobe']}: recall {row['recall']:.3f}{hit(row)}" for row in scores["by_nprobe"])
    return f"{benchmark}: {encoder} by an index of {scores['lists']} lists: {'; '.join(values)}; exact{hit(exact)}"
