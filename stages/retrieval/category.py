"""Category prediction by the vote of the nearest training images: one measure for every encoder, however trained.

The k nearest images of the gallery (a benchmark of kind image_category has the training images there) vote for their
category. Categories are ranked by votes, and those with equal votes by their nearest image; top-n accuracy is the share
of queries whose true category is among the first n. As everywhere, ties count against the model: an image of another
category that is as near comes first, and a category that nobody voted for comes last.
"""

import numpy as np

NEIGHBOURS = 10  # docs/methods.md, C: 5 or 6 of a few thousand were best; five places in a ranking need more voters
TOPS = (1, 3, 5)  # published for category prediction


def vote_ranks(
    similarity: np.ndarray, gallery: np.ndarray, truth: np.ndarray, k: int = NEIGHBOURS, tolerance: float = 1e-12
) -> np.ndarray:
    """int64 [q]: the 1-based place of each query's true category in the vote of its k nearest images.

    Args:
        similarity: [q, n], higher is nearer.
        gallery: int [n], the category of each image.
        truth: int [q], the category of each query; one that no image has takes the place after the last.
        k: voters; all images where there are fewer.
        tolerance: similarities closer than this are equal.
    """
    classes = np.unique(gallery)
    result = np.empty(len(truth), np.int64)
    for row, (scores, true) in enumerate(zip(np.asarray(similarity, np.float64), truth, strict=True)):
        # Lowering the right ones by the tolerance puts them behind their equals.
        lowered = scores - tolerance * (gallery == true)
        first = np.argsort(-lowered, kind="stable")[:k]
        names, votes = np.unique(gallery[first], return_counts=True)
        nearest = {name: scores[first][gallery[first] == name].max() for name in names}
        result[row] = _place(dict(zip(names, votes, strict=True)), nearest, true, len(classes), tolerance)
        if true not in classes:
            result[row] = len(classes) + 1
    return result


def _place(votes: dict[int, int], nearest: dict[int, float], true: int, classes: int, tolerance: float) -> int:
    if true not in votes:
        return classes  # all that nobody voted for are equal, and the right one is the last of them
    mine = votes[true]
    return 1 + sum(
        count > mine or (count == mine and nearest[name] >= nearest[true] - tolerance)
        for name, count in votes.items()
        if name != true
    )


def majority_accuracies(gallery: np.ndarray, truth: np.ndarray, tops: tuple[int, ...] = TOPS) -> dict[str, float]:
    """``top_<n>`` of naming the most frequent categories whatever the image shows, equally frequent ones in any order.

    For a baseline ties are split evenly: counting them against it would make the model look better.

    Args:
        gallery: int [n], the category of each training image.
        truth: int [q], the category of each query.
        tops: the n.
    """
    names, counts = np.unique(gallery, return_counts=True)
    larger = (counts[None, :] > counts[:, None]).sum(axis=1)
    equal = (counts[None, :] == counts[:, None]).sum(axis=1)  # itself too
    place = {name: at for at, name in enumerate(names.tolist())}
    of_query = [place[true] for true in truth.tolist() if true in place]
    shares = {top: np.clip((top - larger) / equal, 0, 1) for top in tops}
    return {f"top_{top}": float(shares[top][of_query].sum()) / max(1, len(truth)) for top in tops}


def top_accuracies(ranks: np.ndarray, tops: tuple[int, ...] = TOPS, queries: int | None = None) -> dict[str, float]:
    """``top_<n>`` -> share of queries whose true category is among the first n.

    Args:
        ranks: as of ``vote_ranks``.
        tops: the n.
        queries: of how many, if some of them were not ranked: an undetected garment is a miss.
    """
    total = len(ranks) if queries is None else queries
    return {f"top_{top}": float((ranks <= top).sum()) / total if total else 0.0 for top in tops}
