"""Category prediction by the vote of the nearest gallery images: one measure for every encoder, however trained.

For benchmarks whose items are labels (kinds category and image_category). The k nearest images of the gallery vote for
their category. Categories are ranked by votes, and those with equal votes by their nearest image; top-n accuracy is the
share of queries whose true category is among the first n. As everywhere, ties count against the model: an image of
another category that is as near comes first, and a category that nobody voted for comes last; a query that was not
detected is a miss, and one whose category the gallery does not have is left out.

An encoder with a category path of its own predicts by its softmax as well (``softmax_figures``). That is another
measure, and stands apart.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stages.core.files import read_json
from stages.retrieval.similarity import TIE, Rows, codes, prepared, products

PREDICTION = "category_prediction"  # its place in the evaluator's result
KINDS = ("category", "image_category")  # of benchmarks: the queries' and the gallery's items are labels
NEIGHBORS = 10  # docs/methods.md, C: 5 or 6 of a few thousand were best; five places in a ranking need more voters
TOPS = (1, 3, 5)  # published for category prediction, and the first


def predicts_categories(benchmark: Path) -> bool:
    """Whether the items of a benchmark, by its benchmark.json, are labels that neighbors can vote for."""
    return read_json(benchmark / "benchmark.json")["kind"] in KINDS


class Votes:
    """The vote on every query of a benchmark, as far as its nearest gallery rows have been told."""

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
            places: of the ``NEIGHBORS`` nearest gallery rows, and of all that equal the last of them.
            scores: float64, theirs, higher is nearer.
        """
        truth = self.truth[[row]]
        self.ranks[row] = vote_ranks(scores[None], self.labels[places], truth, classes=self.classes)[0]
        self.waiting[row] = False

    def result(
        self, queries: Rows, gallery: Rows, metric: str, memory_mb: float
    ) -> tuple[dict[str, float], dict[str, float]]:
        """``predict``, which see; scores the queries that nobody has told of."""
        waiting = np.flatnonzero(self.waiting)
        if len(waiting):
            of_queries, of_gallery = prepared(queries, gallery, metric)
            # Half for scores and what ranking a query takes, a quarter each for vectors of queries and gallery.
            vectors = max(1, int(memory_mb * 250_000 / (16 * max(1, of_gallery.width))))
            step = max(1, min(vectors, int(memory_mb * 500_000 / (16 * len(gallery)))))
            for chunk in (waiting[start : start + step] for start in range(0, len(waiting), step)):
                scores = products(of_queries.double(chunk), of_gallery, vectors)
                self.ranks[chunk] = vote_ranks(scores, self.labels, self.truth[chunk])
        return self.of(np.ones(len(self.truth), bool))

    def of(self, rows: np.ndarray) -> tuple[dict[str, float], dict[str, float]]:
        """The same of some queries, bool [Q], once ``result`` has been asked."""
        count = int((self.scored & rows).sum())
        if not count:
            return {"n_scored": 0}, {}
        asking = self.asking & rows
        accuracies = {"n_scored": count, "neighbours": NEIGHBORS} | top_accuracies(self.ranks[asking], count)
        return accuracies, majority_accuracies(self.labels, self.truth[asking], count)


def predict(queries: Rows, gallery: Rows, metric: str, memory_mb: float) -> tuple[dict[str, float], dict[str, float]]:
    """``top_<n>`` of the vote, with the number of queries it is about; and of naming the most frequent categories.

    Both are shares of the same queries: those whose category the gallery has, undetected ones being misses of both.

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
        k: voters; all images where there are fewer.
        tolerance: similarities closer than this are equal.
        classes: how many there are where ``gallery`` is a part of it; None: those of ``gallery``.
    """
    classes, k = classes or len(np.unique(gallery)), min(k, len(gallery))
    result = np.empty(len(truth), np.int64)
    for row, (scores, true) in enumerate(zip(np.asarray(similarity, np.float64), truth, strict=True)):
        # Lowering the right ones by the tolerance puts them behind their equals.
        lowered = scores - tolerance * (gallery == true)
        near = np.flatnonzero(lowered >= np.partition(lowered, -k)[-k])
        first = near[np.argsort(-lowered[near], kind="stable")[:k]]
        names, votes = np.unique(gallery[first], return_counts=True)
        nearest = {name: scores[first][gallery[first] == name].max() for name in names}
        result[row] = _place(dict(zip(names, votes, strict=True)), nearest, true, classes, tolerance)
    return result


def _place(votes: dict[int, int], nearest: dict[int, float], true: int, classes: int, tolerance: float) -> int:
    if true not in votes:
        return classes  # all that nobody voted for are equal, and the right one is the last of them
    own_votes = votes[true]
    return 1 + sum(
        count > own_votes or (count == own_votes and nearest[name] >= nearest[true] - tolerance)
        for name, count in votes.items()
        if name != true
    )


def majority_accuracies(
    gallery: np.ndarray, truth: np.ndarray, queries: int, tops: tuple[int, ...] = TOPS
) -> dict[str, float]:
    """``top_<n>`` of naming the most frequent categories whatever the image shows, equally frequent ones in any order.

    For a baseline ties are split evenly: counting them against it would make the model look better.

    Args:
        gallery: int [n], the category of each gallery image.
        truth: int [q], the category of each detected query, one of the gallery's.
        queries: of how many; those that were not detected are misses.
        tops: the n.
    """
    names, counts = np.unique(gallery, return_counts=True)
    larger = (counts[None, :] > counts[:, None]).sum(axis=1)
    equal = (counts[None, :] == counts[:, None]).sum(axis=1)  # itself too
    place = np.searchsorted(names, truth)
    shares = {top: np.clip((top - larger) / equal, 0, 1) for top in tops}
    return {f"top_{top}": float(shares[top][place].sum()) / queries for top in tops}


def softmax_figures(
    probabilities: np.ndarray, names: Sequence[str], queries: Rows, gallery: Rows, repeats: np.ndarray | None = None
) -> dict[str, float]:
    """``top_<n>`` of an encoder's own categories by its softmax (system D, table 2), beside chance and the majority.

    About the queries whose category is one that the encoder learned and the gallery has; one that was not detected is
    a miss. Ties count against the model.

    Args:
        probabilities: [Q, c], of every query; the row of an undetected one is not looked at.
        names: of the c categories.
        repeats: bool [Q], queries to leave out.

    Returns:
        ``n_scored``; ``n_unknown``: queries left out because the encoder never learned their category; ``classes``: c;
        ``known``: how many of the gallery's categories it learned; ``top_<n>``; ``chance_top_<n>`` of naming any n of
        the c categories, ``majority_top_<n>`` of naming those most frequent in the gallery.
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
    chance = len(own) / result["n_scored"]  # what was not detected is a miss of a guess as well
    result |= top_accuracies(ranks, result["n_scored"])
    result |= {f"chance_top_{top}": chance * min(1.0, top / len(names)) for top in TOPS}
    return result | {f"majority_{top}": share for top, share in majority.items()}


def top_accuracies(ranks: np.ndarray, queries: int, tops: tuple[int, ...] = TOPS) -> dict[str, float]:
    """``top_<n>`` -> share of ``queries`` whose true category is among the first n.

    Args:
        ranks: as of ``vote_ranks``, of those that were detected: the others are misses.
        queries: number of all.
        tops: the n.
    """
    return {f"top_{top}": float((ranks <= top).sum()) / queries for top in tops}
