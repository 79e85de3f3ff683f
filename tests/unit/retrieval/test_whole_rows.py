"""Blocks of the ranking: their sizes bound memory and change nothing, against a float64 ranking written out plainly."""

import tracemalloc

import numpy as np
import pyarrow as pa
import pytest

from stages.core.errors import StageError
from stages.retrieval import ranking
from stages.retrieval import whole_rows as whole_rows_module
from stages.retrieval.ranking import VIEWS, Counting, Sizes, rank_chunks
from stages.retrieval.similarity import TIE, Rows

WHOLE = (10_000, 10_000, 10_000_000)


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
    """Noisy copies of a few centres, with exact and near copies among them."""
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(items, width))
    kinds = [f"kind{i % 3}" for i in range(items)]

    def draw(n, prefix):
        which = generator.integers(0, items, n)
        vectors = centres[which] + spread * generator.normal(size=(n, width))
        vectors[1::5] = vectors[::5][: len(vectors[1::5])]
        vectors[2::5] = vectors[::5][: len(vectors[2::5])] * (1 + 1e-6)
        return some(vectors.astype(np.float32), which.tolist(), [kinds[i] for i in which], prefix)

    return draw(queries, "q"), draw(gallery, "g")


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize(("spread", "width"), [(1.0, 5), (3.0, 64), (2.0, 512), (1e-4, 64)])
@pytest.mark.parametrize("sizes", [WHOLE, (7, 13, 30), (1, 150, 10_000), (40, 1, 10_000)])
def test_every_block_size_gives_the_float64_ranking(metric, spread, width, sizes):
    queries, gallery = clouds(3, spread, width)
    assert ranked(queries, gallery, metric, sizes) == plain(queries, gallery, metric)


@pytest.fixture
def whole_rows(monkeypatch):
    """Rank by whole rows however few rows are relevant to a query."""
    monkeypatch.setattr(ranking, "MANY_RELEVANT", 0)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize(("spread", "width"), [(1.0, 5), (3.0, 64), (2.0, 512), (1e-4, 64)])
@pytest.mark.parametrize("sizes", [(*WHOLE, 40), (7, 13, 30, 7), (1, 150, 10_000, 1), (40, 1, 1, 40)])
def test_whole_rows_give_the_float64_ranking_too(metric, spread, width, sizes, whole_rows):
    queries, gallery = clouds(3, spread, width)
    assert ranked(queries, gallery, metric, sizes) == plain(queries, gallery, metric)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("doubt", [1e9, 1e13])
def test_whole_rows_settle_pairs_that_a_product_cannot_tell_apart(metric, doubt, whole_rows, monkeypatch):
    """With a bound as wide as 1e-7 of the scores some are in doubt, with 1e-3 about half."""
    settled = []
    settle = whole_rows_module._Query._settled
    monkeypatch.setattr(
        whole_rows_module._Query, "_settled", lambda *given: (settled.append(given[-1].mean()), settle(*given))[1]
    )
    monkeypatch.setattr(whole_rows_module, "ROUNDINGS", doubt)
    queries, gallery = clouds(3, 2.0, 64)
    assert ranked(queries, gallery, metric, (*WHOLE, 40)) == plain(queries, gallery, metric)
    assert settled and (doubt < 1e10 or np.mean(settled) > 0.4)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_collapsed_vectors_are_ranked_in_float64(metric):
    queries, gallery = clouds(4, 1.0, 96)
    near = [
        Rows(rows.ids, rows.items, rows.categories, (100 + 1e-3 * rows.vectors).astype(np.float32), rows.detected)
        for rows in (queries, gallery)
    ]
    expected = plain(*near, metric)
    for sizes in (WHOLE, (9, 31, 100), (9, 31, 100, 8)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ranking, "MANY_RELEVANT", 0)
            assert ranked(*near, metric, sizes) == expected


def test_pairs_too_close_for_float32_are_settled_one_by_one(monkeypatch):
    settled = []
    settle = Counting._settle
    monkeypatch.setattr(Counting, "_settle", lambda self, doubts: (settled.extend(doubts), settle(self, doubts)))
    # The irrelevant row is nearer than the relevant one by 5e-9, a hundredth of what float32 can tell at length 1.
    gallery = np.array([[1, 1e-4], [1, np.sqrt(1e-8 + 1e-8)], *[[-1, 0]] * 300], np.float32)
    queries = some(np.array([[1.0, 0.0]], np.float32), ["a"], ["top"], "q")
    for items, rank in ((["a", "b", *"c" * 300], 1), (["b", "a", *"c" * 300], 2)):
        found = ranked(queries, some(gallery, items, ["top"] * 302, "g"), "cosine", WHOLE)
        assert found["whole_gallery"] == [[rank]]
    assert settled


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("length", [1e30, 1e-30])
def test_vectors_at_the_ends_of_float32_are_ranked_like_others(metric, length):
    queries, gallery = clouds(5, 2.0, 16)
    expected = ranked(queries, gallery, metric, WHOLE)
    scaled = [
        Rows(
            rows.ids, rows.items, rows.categories, (rows.vectors * np.float64(length)).astype(np.float32), rows.detected
        )
        for rows in (queries, gallery)
    ]
    assert ranked(*scaled, metric, WHOLE) == plain(*scaled, metric)
    assert len(expected["whole_gallery"]) == len(queries)


def test_many_relevant_rows_of_a_query_are_ranked_too():
    queries, gallery = clouds(6, 4.0, 8, items=2, queries=20, gallery=400)
    assert ranked(queries, gallery, "cosine", (6, 90, 500)) == plain(queries, gallery, "cosine")


def test_both_views_are_counted_on_one_matrix_product(monkeypatch):
    products = []
    block = Counting._block
    monkeypatch.setattr(Counting, "_block", lambda self, *given: (products.append(1), block(self, *given))[1])
    queries, gallery = clouds(7, 1.0, 512)
    ranked(queries, gallery, "cosine", (10, 50, 10_000))
    assert len(products) == 4 * 3  # 40 queries by 10, 150 gallery rows by 50


def test_missing_item_matches_nothing_not_even_another_missing_item():
    vectors = np.eye(3, dtype=np.float32)
    queries = some(vectors[:2], [None, "a"], ["top"] * 2, "q")
    found = ranked(queries, some(vectors, [None, "a", None], ["top"] * 3, "g"), "cosine", WHOLE)
    assert found["whole_gallery"] == [[], [1]]


@pytest.mark.parametrize("ids", [[1.5], np.array([1], np.float32), [True], [b"x"]])
def test_ids_of_another_kind_are_refused(ids):
    with pytest.raises(StageError, match="ids must be"):
        Rows(ids, ["a"], ["top"], np.zeros((1, 2), np.float32), np.ones(1, bool))


@pytest.mark.parametrize("ids", [["x", 1], [2**63], [None]])
def test_mixed_too_large_and_missing_ids_are_refused(ids):
    with pytest.raises(StageError, match="ids"):
        Rows(ids, ["a"] * len(ids), ["top"] * len(ids), np.zeros((len(ids), 2), np.float32), np.ones(len(ids), bool))


def test_ids_of_two_kinds_would_never_match_and_are_refused():
    one = Rows(["1"], ["a"], ["top"], np.ones((1, 2), np.float32), np.ones(1, bool))
    other = Rows(np.array([1]), ["a"], ["top"], np.ones((1, 2), np.float32), np.ones(1, bool))
    with pytest.raises(StageError, match="ids of one type, found int64, string"):
        ranked(one, other, "cosine", WHOLE)


def test_neighbouring_ids_above_2_to_the_24_stay_apart_as_arrays_and_as_arrow_columns():
    vectors = np.array([[1, 0], [0.9, 0.1]], np.float32)
    for ids in (np.array([2**24, 2**24 + 1]), pa.chunked_array([[2**24], [2**24 + 1]]), [str(2**24), str(2**24 + 1)]):
        everything = Rows(ids, ["a", "a"], ["top"] * 2, vectors, np.ones(2, bool))
        assert ranked(everything, everything, "cosine", WHOLE)["whole_gallery"] == [[1], [1]]


def test_vectors_of_two_widths_are_refused():
    one, other = (some(np.ones((1, width), np.float32), ["a"], ["top"], str(width)) for width in (2, 3))
    with pytest.raises(StageError, match="queries have 2 dimensions and the gallery 3"):
        ranked(one, other, "cosine", WHOLE)


@pytest.mark.parametrize(
    ("items", "queries", "spread"),
    [(10_000, 600, 1.0), (10_000, 600, 0.0), (3, 20, 1.0)],
    ids=["few relevant rows", "all scores equal", "ten thousand relevant rows to a query"],
)
def test_memory_stays_below_the_param(items, queries, spread):
    generator = np.random.default_rng(8)
    vectors = (1 + spread * generator.normal(size=(30_000, 64))).astype(np.float32)
    which = generator.integers(0, items, 30_000)
    gallery = Rows(np.arange(30_000), which, which % 7, vectors, np.ones(30_000, bool))
    own = which[:queries]
    asking = Rows(np.arange(-queries, 0), own, own % 7, vectors[:queries], np.ones(queries, bool))
    tracemalloc.start()
    try:
        for _ in rank_chunks(asking, gallery, "cosine", Sizes.within(64, asking, gallery)):
            pass
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # Bytes; without blocks, the scores of 600 queries alone are 72 MB and their float64 copies twice as much.
    assert peak < 64e6
