"""Rows to rank, the ranks that come of them, and a float64 ranking written out plainly."""

import numpy as np

from stages.retrieval.ranking import VIEWS, Ranking, Sizes, rank_chunks
from stages.retrieval.similarity import TIE, Rows

WHOLE = (10_000, 10_000, 10_000_000)


def rows(vectors, items, ids=None, categories=None, detected=None, prefix="r"):
    n = len(items)
    return Rows(
        ids if ids is not None else [f"{prefix}{i}" for i in range(n)],
        items,
        categories or ["top"] * n,
        np.asarray(vectors, np.float32).reshape(n, -1),
        np.ones(n, bool) if detected is None else np.asarray(detected),
    )


def rank_relevant(queries, gallery, metric, sizes=(8, 8, 100), same_category=False):
    """The parts of a ranking, joined."""
    view = VIEWS[same_category]
    parts = [part[view] for part in rank_chunks(queries, gallery, metric, Sizes(*sizes))]
    names = ("ranks", "counts", "relevant", "gallery", "detected")
    return Ranking(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def ranks(ranking):
    ends = np.cumsum(ranking.counts)
    return [found.tolist() for found in np.split(ranking.ranks, ends[:-1])]


def angles(*degrees):
    radians = np.deg2rad(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1)


def some(vectors, items, categories, prefix, detected=None):
    n = len(items)
    ids = [f"{prefix}{i}" for i in range(n)]
    return Rows(ids, items, categories, vectors, np.ones(n, bool) if detected is None else detected)


def ranked(queries, gallery, metric, sizes):
    """View -> the ranks of each query as lists."""
    found = {view: [] for view in VIEWS}
    for part in rank_chunks(queries, gallery, metric, Sizes(*sizes)):
        for view in VIEWS:
            found[view] += [ranks.tolist() for ranks in np.split(part[view].ranks, np.cumsum(part[view].counts)[:-1])]
    return found


def plain(queries, gallery, metric):
    """The same from the rules alone: float64, one query at a time, no blocks."""
    left, right = queries.vectors.astype(np.float64), gallery.vectors.astype(np.float64)
    if metric == "cosine":
        left, right = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (left, right))
    found = {view: [] for view in VIEWS}
    query_items, items = np.array(queries.items.to_pylist()), np.array(gallery.items.to_pylist())
    query_kinds, kinds = np.array(queries.categories.to_pylist()), np.array(gallery.categories.to_pylist())
    ids = np.array(gallery.ids.to_pylist())
    for row, vector in enumerate(left):
        scores = (right * vector).sum(axis=1) if metric == "cosine" else -((right - vector) ** 2).sum(axis=1)
        tolerance = TIE * ((vector**2).sum() + (right**2).sum(axis=1).max())
        for view in VIEWS:
            there = ids != queries.ids[row].as_py()
            if view == "same_superclass":
                there &= kinds == query_kinds[row]
            mine = there & (items == query_items[row])
            best_first = np.sort(scores[mine])[::-1]
            ahead = [(scores[there & ~mine] >= score - tolerance).sum() for score in best_first]
            found[view].append([int(count) + place for place, count in enumerate(ahead, start=1)])
    return found


def clouds(seed, spread, width, items=12, queries=40, gallery=150):
    """Noisy copies of a few centers, with exact and near copies among them."""
    generator = np.random.default_rng(seed)
    centers = generator.normal(size=(items, width))
    kinds = [f"kind{i % 3}" for i in range(items)]

    def draw(n, prefix):
        which = generator.integers(0, items, n)
        vectors = centers[which] + spread * generator.normal(size=(n, width))
        vectors[1::5] = vectors[::5][: len(vectors[1::5])]
        vectors[2::5] = vectors[::5][: len(vectors[2::5])] * (1 + 1e-6)
        return some(vectors.astype(np.float32), which.tolist(), [kinds[i] for i in which], prefix)

    return draw(queries, "q"), draw(gallery, "g")
