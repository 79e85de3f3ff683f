"""The ranking rules by hand; blocks bound memory and change nothing, against a float64 ranking written out plainly."""

import tracemalloc

import numpy as np
import pyarrow as pa
import pytest
from ranked import WHOLE, angles, clouds, plain, rank_relevant, ranked, ranks, rows, some

from stages.core.errors import StageError
from stages.retrieval import ranking
from stages.retrieval.ranking import BYTES_PER_PAIR, COPIES, THREADS, Counting, Sizes, at_least, rank_chunks
from stages.retrieval.similarity import Rows, nearest


@pytest.mark.parametrize("bars", [3, 40])
def test_scores_that_reach_a_bar_are_counted_whichever_way(bars):
    generator = np.random.default_rng(9)
    scores, wanted = (
        generator.integers(0, 50, 500).astype(np.float32),
        generator.integers(-1, 52, bars).astype(np.float32),
    )
    assert at_least(scores, wanted).tolist() == [sum(score >= bar for score in scores) for bar in wanted]


def test_ranks_without_ties_are_positions_in_the_order_by_score():
    gallery = rows(angles(10, 20, 30, 40), ["a", "x", "a", "x"], prefix="g")
    assert ranks(rank_relevant(rows(angles(0), ["a"], prefix="q"), gallery, "cosine")) == [[1, 3]]


def test_irrelevant_rows_with_the_same_score_come_first():
    # 10 degrees: irrelevant; 20: two irrelevant and two relevant; 30: irrelevant
    gallery = rows(angles(20, 20, 10, 30, 20, 20), ["a", "x", "x", "x", "a", "x"], prefix="g")
    assert ranks(rank_relevant(rows(angles(0), ["a"], prefix="q"), gallery, "cosine")) == [[4, 5]]


def test_cosine_orders_by_angle_and_ignores_length():
    gallery = rows(angles(10, 20, 30) * [[1], [9], [1]], ["x", "y", "z"], prefix="g")
    ranking = rank_relevant(rows(angles(0, 40), ["y", "x"], prefix="q"), gallery, "cosine")
    assert ranks(ranking) == [[2], [3]]


def test_euclidean_orders_by_distance_where_cosine_would_not():
    queries = rows([[1.0, 0.0]], ["near"], prefix="q")
    gallery = rows([[1.0, 0.5], [9.0, 0.0]], ["near", "far"], prefix="g")
    assert ranks(rank_relevant(queries, gallery, "euclidean")) == [[1]]
    assert ranks(rank_relevant(queries, gallery, "cosine")) == [[2]]


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("width", [1, 3, 64, 513])
def test_constant_embedding_ranks_every_relevant_row_last(metric, width):
    vector = np.random.default_rng(0).normal(size=width)
    gallery = rows(np.tile(vector, (37, 1)), ["a", "b", *["c"] * 35], prefix="g")
    ranking = rank_relevant(rows(np.tile(vector, (2, 1)), ["a", "b"], prefix="q"), gallery, metric)
    assert ranks(ranking) == [[37], [37]]


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_copies_of_one_vector_in_the_gallery_are_ties_whatever_the_query(metric):
    generator = np.random.default_rng(1)
    gallery = rows(np.tile(generator.normal(size=300), (41, 1)), ["a", *["b"] * 40], prefix="g")
    queries = rows(generator.normal(size=(50, 300)), ["a"] * 50, prefix="q")
    assert ranks(rank_relevant(queries, gallery, metric, (7, 5, 9))) == [[41]] * 50


def test_zero_vectors_are_similar_to_nothing_and_rank_last():
    gallery = rows([[0, 0], [0, 0], [0, 0]], ["a", "b", "c"], prefix="g")
    assert ranks(rank_relevant(rows([[1, 0]], ["a"], prefix="q"), gallery, "cosine")) == [[3]]


def test_query_is_masked_by_id_wherever_it_lies_in_the_gallery():
    queries = rows(angles(0, 50), ["a", "b"], ids=["p", "q"])
    gallery = rows(angles(50, 5, 0, 60), ["b", "a", "a", "c"], ids=["q", "s", "p", "t"])
    ranking = rank_relevant(queries, gallery, "cosine")
    assert ranks(ranking) == [[1], []]  # q is the only b: a lone query
    assert ranking.gallery.tolist() == [3, 3]
    assert ranking.relevant.tolist() == [1, 0]


@pytest.mark.parametrize("big", [2**53, 2**63 - 2])
@pytest.mark.parametrize("kind", [int, str, np.int64])
def test_neighboring_ids_beyond_float_precision_stay_apart(big, kind):
    ids = [kind(big), kind(big + 1)]
    queries = rows(angles(0), ["a"], ids=ids[:1])
    ranking = rank_relevant(queries, rows(angles(0, 1), ["a", "a"], ids=ids), "cosine")
    assert ranking.gallery.tolist() == [1]
    assert ranks(ranking) == [[1]]


def test_neighboring_items_beyond_float_precision_stay_apart():
    queries = rows(angles(0), [2**53], prefix="q")
    ranking = rank_relevant(queries, rows(angles(0, 1), [2**53 + 1, 2**53], prefix="g"), "cosine")
    assert ranks(ranking) == [[2]]


def test_undetected_query_finds_nothing_but_its_match_is_counted():
    queries = rows(angles(0, 0), ["a", "a"], prefix="q", detected=[False, True])
    ranking = rank_relevant(queries, rows(angles(0, 90), ["a", "b"], prefix="g"), "cosine")
    assert ranks(ranking) == [[], [1]]
    assert ranking.relevant.tolist() == [1, 1]


def test_same_category_ranks_only_the_query_s_own_category():
    queries = rows(angles(0, 0, 0), ["a", "b", "z"], prefix="q", categories=["top", "bottom", "hat"])
    gallery = rows(angles(1, 2, 3, 4), ["x", "b", "y", "a"], prefix="g", categories=["bottom", "bottom", "top", "top"])
    assert ranks(rank_relevant(queries, gallery, "cosine")) == [[4], [2], []]
    restricted = rank_relevant(queries, gallery, "cosine", same_category=True)
    assert ranks(restricted) == [[2], [2], []]
    assert restricted.gallery.tolist() == [2, 2, 0]
    assert restricted.relevant.tolist() == [1, 1, 0]


def test_right_item_of_another_category_is_no_match_within_the_category():
    queries = rows(angles(0), ["a"], prefix="q", categories=["top"])
    gallery = rows(angles(0, 0), ["a", "b"], prefix="g", categories=["dress", "top"])
    assert rank_relevant(queries, gallery, "cosine", same_category=True).relevant.tolist() == [0]


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("same_category", [False, True])
def test_chunk_size_does_not_change_the_ranking(metric, same_category):
    generator = np.random.default_rng(2)
    vectors = generator.integers(-2, 3, size=(90, 3))  # few distinct values: many ties

    def some(part, prefix):
        n = len(part)
        kinds = [str(value) for value in generator.integers(0, 3, n)]
        return rows(part, generator.integers(0, 9, n).tolist(), prefix=prefix, categories=kinds)

    queries, gallery = some(vectors[:31], "q"), some(vectors[31:], "g")
    whole = rank_relevant(queries, gallery, metric, (1000, 1000, 1000), same_category)
    for sizes in ((1, 1, 1), (7, 1000, 1000), (1000, 4, 1000), (31, 11, 3)):
        assert ranks(rank_relevant(queries, gallery, metric, sizes, same_category)) == ranks(whole)


def test_ranking_equals_a_full_sort_with_wrong_before_right():
    generator = np.random.default_rng(3)
    vectors, items = generator.integers(-1, 2, size=(60, 4)), generator.integers(0, 5, 60).tolist()
    ids = [f"r{i}" for i in range(60)]
    everything = rows(vectors, items, ids=ids)
    expected = []
    for q in range(60):
        distances = ((vectors - vectors[q]) ** 2).sum(axis=1)  # integers: exact
        order = sorted((i for i in range(60) if i != q), key=lambda i: (distances[i], items[i] == items[q], ids[i]))
        expected.append([place for place, i in enumerate(order, start=1) if items[i] == items[q]])
        if q < 10:
            assert [at for at, _ in nearest(everything, everything, "euclidean", [q], 8)[q]] == order[:8]
    assert ranks(rank_relevant(everything, everything, "euclidean", (16, 7, 50))) == expected


def test_unknown_metric_is_refused():
    with pytest.raises(StageError, match="metric is 'dot', expected one of: cosine, euclidean"):
        rank_relevant(rows(angles(0), ["a"]), rows(angles(0), ["a"], prefix="g"), "dot")


class Many:
    """Rows of which only the number and the width are asked for."""

    def __init__(self, n, width):
        self.n, self.vectors = n, np.broadcast_to(np.float32(0), (n, width))

    def __len__(self):
        return self.n


@pytest.mark.parametrize("memory_mb", [160, 256, 1024])
@pytest.mark.parametrize(("queries", "gallery", "width"), [(200, 1_000_000, 512), (14_218, 12_612, 2048), (5, 5, 2)])
def test_sizes_of_blocks_fit_the_budget(memory_mb, queries, gallery, width):
    sizes = Sizes.within(memory_mb, Many(queries, width), Many(gallery, width))
    block = 8 * sizes.queries * sizes.gallery
    vectors = 12 * width * sizes.gallery + 16 * width * min(sizes.queries, queries)
    assert sizes.queries >= 1 and sizes.gallery >= 1
    assert block + vectors + BYTES_PER_PAIR * sizes.pairs <= memory_mb * 1_000_000
    whole = 8 * gallery * (sizes.whole + COPIES * THREADS) if sizes.whole else 0
    vectors = 12 * width * sizes.gallery + 16 * width * sizes.whole
    assert whole + vectors + BYTES_PER_PAIR * sizes.pairs <= memory_mb * 1_000_000


def test_memory_that_the_ids_alone_would_fill_is_refused_with_what_is_needed():
    with pytest.raises(StageError, match="`evaluate.memory_mb` is 100; 1000200 rows of queries and gallery need 153"):
        Sizes.within(100, Many(200, 512), Many(1_000_000, 512))
    assert Sizes.within(153, Many(200, 512), Many(1_000_000, 512)).gallery > 64


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize(("spread", "width"), [(1.0, 5), (3.0, 64), (2.0, 512), (1e-4, 64)])
@pytest.mark.parametrize("sizes", [WHOLE, (7, 13, 30), (1, 150, 10_000), (40, 1, 10_000)])
def test_every_block_size_gives_the_float64_ranking(metric, spread, width, sizes):
    queries, gallery = clouds(3, spread, width)
    assert ranked(queries, gallery, metric, sizes) == plain(queries, gallery, metric)


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


def test_ids_of_two_kinds_would_never_match_and_are_refused():
    one = Rows(["1"], ["a"], ["top"], np.ones((1, 2), np.float32), np.ones(1, bool))
    other = Rows(np.array([1]), ["a"], ["top"], np.ones((1, 2), np.float32), np.ones(1, bool))
    with pytest.raises(StageError, match="ids of one type, found int64, string"):
        ranked(one, other, "cosine", WHOLE)


def test_neighboring_ids_above_2_to_the_24_stay_apart_as_arrays_and_as_arrow_columns():
    vectors = np.array([[1, 0], [0.9, 0.1]], np.float32)
    for ids in (np.array([2**24, 2**24 + 1]), pa.chunked_array([[2**24], [2**24 + 1]]), [str(2**24), str(2**24 + 1)]):
        everything = Rows(ids, ["a", "a"], ["top"] * 2, vectors, np.ones(2, bool))
        assert ranked(everything, everything, "cosine", WHOLE)["whole_gallery"] == [[1], [1]]


def test_vectors_of_two_widths_are_refused():
    one, other = (some(np.ones((1, width), np.float32), ["a"], ["top"], str(width)) for width in (2, 3))
    with pytest.raises(StageError, match="queries have 2 dimensions and the gallery 3"):
        ranked(one, other, "cosine", WHOLE)


@pytest.mark.slow
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
