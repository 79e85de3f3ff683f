"""Category prediction by the vote of the nearest gallery images: the same measure for every encoder.

It is measured on benchmarks whose items are labels (kinds category and image_category). The k nearest images of the
gallery vote for their category. Categories are ranked by votes, and those with equal votes by their nearest image;
top-n accuracy is the share of queries whose true category is among the first n. Ties count against the model: an image
of another category at the same distance comes first, and categories without votes come last. A query that was not
detected is a miss; queries whose category the gallery does not have are left out.

An encoder with a category path also predicts by its softmax (``softmax_figures``), which is another measure and is
reported separately.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stages.core.files import read_json
from stages.retrieval.similarity import TIE, Rows, codes, prepared, products

PREDICTION = "category_prediction"  # key in the evaluator's result
CATEGORY_KINDS = ("category", "image_category")  # kinds of benchmark whose items are labels
NEIGHBORS = 10  # docs/methods.md, C: 5 or 6 of a few thousand were best; top-5 needs more voters
TOPS = (1, 3, 5)  # 3 and 5 are published


def predicts_categories(benchmark: Path) -> bool:
    """Whether the items of a benchmark, by its benchmark.json, are labels that neighbors can vote for."""
    return read_json(benchmark / "benchmark.json")["kind"] in CATEGORY_KINDS


class Votes:
    """The votes on the queries of a benchmark."""

    def __init__(self, queries: Rows, gallery: Rows) -> None:
        self.truth, self.labels = codes(queries.items, gallery.items)
        self.scored = (self.truth >= 0) & np.isin(self.truth, self.labels)
        self.asking = self.scored & queries.detected
        self.waiting = self.asking.copy()
        self.classes = len(np.unique(self.labels))
        self.ranks = np.zeros(len(self.truth), np.int64)

    def near(self, row: int, places: np.ndarray, scores: np.ndarray) -> None:
        """Count the vote on one query.

        Args:
            places: of the ``NEIGHBORS`` nearest gallery rows, and of all that tie with the last of them.
            scores: their float64 scores, higher is nearer.
        """
        truth = self.truth[[row]]
        self.ranks[row] = vote_ranks(scores[None], self.labels[places], truth, classes=self.classes)[0]
        self.waiting[row] = False

    def result(
        self, queries: Rows, gallery: Rows, metric: str, memory_mb: float
    ) -> tuple[dict[str, float], dict[str, float]]:
        """See ``predict``; queries without a call of ``near`` are scored first."""
        waiting = np.flatnonzero(self.waiting)
        if len(waiting):
            of_queries, of_gallery = prepared(queries, gallery, metric)
            # Half for scores and the ranking of a query, a quarter each for vectors of queries and gallery.
            vectors = max(1, int(memory_mb * 250_000 / (16 * max(1, of_gallery.width))))
            step = max(1, min(vectors, int(memory_mb * 500_000 / (16 * len(gallery)))))
            for chunk in (waiting[start : start + step] for start in range(0, len(waiting), step)):
                scores = products(of_queries.double(chunk), of_gallery, vectors)
                self.ranks[chunk] = vote_ranks(scores, self.labels, self.truth[chunk])
        return self.of(np.ones(len(self.truth), bool))

    def of(self, rows: np.ndarray) -> tuple[dict[str, float], dict[str, float]]:
        """The result for some queries, bool [Q]; call ``result`` first."""
        count = int((self.scored & rows).sum())
        if not count:
            return {"n_scored": 0}, {}
        asking = self.asking & rows
        accuracies = {"n_scored": count, "neighbors": NEIGHBORS} | top_accuracies(self.ranks[asking], count)
        return accuracies, majority_accuracies(self.labels, self.truth[asking], count)


def predict(queries: Rows, gallery: Rows, metric: str, memory_mb: float) -> tuple[dict[str, float], dict[str, float]]:
    """``top_<n>`` of the vote with the number of scored queries, and ``top_<n>`` of the most frequent categories.

    Both are shares of the queries whose category the gallery has; undetected queries are misses in both.

    Args:
        memory_mb: megabytes that scores and blocks of vectors may take.
    """
    return Votes(queries, gallery).result(queries, gallery, metric, memory_mb)


def vote_ranks(
    similarity: np.ndarray,
    gallery: np.ndarray,
    truth: np.ndarray,
    k: int = NEIGHBORS,
    tolerance: float = 2 * TIE,
    classes: int | None = None,
) -> np.ndarray:
    """int64 [q]: the 1-based place of each query's true category in the vote of its k nearest images.

    Args:
        similarity: [q, n], higher is nearer.
        gallery: int [n], the category of each image.
        truth: int [q], the category of each query, one of the gallery's.
        k: number of voters, or all images if there are fewer.
        tolerance: similarities closer than this are equal.
        classes: number of categories if ``gallery`` is only a part of it; None: those in ``gallery``.
    """
    classes, k = classes or len(np.unique(gallery)), min(k, len(gallery))
    result = np.empty(len(truth), np.int64)
    for row, (scores, true) in enumerate(zip(np.asarray(similarity, np.float64), truth, strict=True)):
        # Correct images are lowered by the tolerance, so that they come after their equals.
        lowered = scores - tolerance * (gallery == true)
        near = np.flatnonzero(lowered >= np.partition(lowered, -k)[-k])
        first = near[np.argsort(-lowered[near], kind="stable")[:k]]
        names, votes = np.unique(gallery[first], return_counts=True)
        nearest = {name: scores[first][gallery[first] == name].max() for name in names}
        result[row] = _place(dict(zip(names, votes, strict=True)), nearest, true, classes, tolerance)
    return result


def _place(votes: dict[int, int], nearest: dict[int, float], true: int, classes: int, tolerance: float) -> int:
    if true not in votes:
        return classes  # categories without votes are equal, and the correct one comes last
    own_votes = votes[true]
    return 1 + sum(
        count > own_votes or (count == own_votes and nearest[name] >= nearest[true] - tolerance)
        for name, count in votes.items()
        if name != true
    )


def majority_accuracies(
    gallery: np.ndarray, truth: np.ndarray, queries: int, tops: tuple[int, ...] = TOPS
) -> dict[str, float]:
    """``top_<n>`` of predicting the most frequent categories for every image; equally frequent ones in any order.

    Ties are split evenly, because counting them against the baseline would favor the model.

    Args:
        gallery: int [n], the category of each gallery image.
        truth: int [q], the category of each detected query, one of the gallery's.
        queries: number of all queries; undetected ones are misses.
        tops: the n.
    """
    names, counts = np.unique(gallery, return_counts=True)
    larger = (counts[None, :] > counts[:, None]).sum(axis=1)
    equal = (counts[None, :] == counts[:, None]).sum(axis=1)  # including itself
    place = np.searchsorted(names, truth)
    shares = {top: np.clip((top - larger) / equal, 0, 1) for top in tops}
    return {f"top_{top}": float(shares[top][place].sum()) / queries for top in tops}


def softmax_figures(
    probabilities: np.ndarray, names: Sequence[str], queries: Rows, gallery: Rows, repeats: np.ndarray | None = None
) -> dict[str, float]:
    """``top_<n>`` of an encoder's softmax over its categories (system D, table 2), with chance and the majority.

    Scored are the queries whose category the encoder learned and the gallery has. Undetected queries are misses. Ties
    count against the model.

    Args:
        probabilities: [Q, c], of every query; rows of undetected queries are ignored.
        names: of the c categories.
        repeats: bool [Q], queries to leave out.

    Returns:
        ``n_scored``; ``n_unknown``: queries left out because the encoder never learned their category; ``classes``: c;
        ``known``: number of the gallery's categories that it learned; ``top_<n>``; ``chance_top_<n>`` of n random
        categories, ``majority_top_<n>`` of those most frequent in the gallery.
    """
    truth, labels = queries.items.to_pylist(), gallery.items.to_pylist()
    kinds = {name: at for at, name in enumerate(sorted(set(labels) - {None}))}
    place = {name: at for at, name in enumerate(names)}
    asked = np.array([name in kinds for name in truth], bool)
    if repeats is not None:
        asked &= ~repeats
    column = np.array([place.get(name, -1) for name in truth], np.int64)
    scored = asked & (column >= 0)
    result: dict[str, float] = {
        "n_scored": int(scored.sum()),
        "n_unknown": int((asked & ~scored).sum()),
        "classes": len(names),
        "known": len(set(kinds) & set(names)),
    }
    if not result["n_scored"]:
        return result
    seen = scored & queries.detected
    own = probabilities[seen]
    ranks = (own >= own[np.arange(len(own)), column[seen]][:, None]).sum(axis=1)
    known = np.array([kinds[name] for name in labels if name is not None], np.int64)
    true = np.array([kinds[truth[row]] for row in np.flatnonzero(seen)], np.int64)
    majority = majority_accuracies(known, true, result["n_scored"])
    chance = len(own) / result["n_scored"]  # undetected queries are misses of guessing as well
    result |= top_accuracies(ranks, result["n_scored"])
    result |= {f"chance_top_{top}": chance * min(1.0, top / len(names)) for top in TOPS}
    return result | {f"majority_{top}": share for top, share in majority.items()}


def top_accuracies(ranks: np.ndarray, queries: int, tops: tuple[int, ...] = TOPS) -> dict[str, float]:
    """``top_<n>`` -> share of ``queries`` whose true category is among the first n.

    Args:
        ranks: see ``vote_ranks``, of the detected queries; the others are misses.
        queries: number of all queries.
        tops: the n.
    """
    return {f"top_{top}": float((ranks <= top).sum()) / queries for top in tops}
