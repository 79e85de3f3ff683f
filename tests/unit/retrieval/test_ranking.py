"""The ranking rules, on cases small enough to work out by hand."""

import numpy as np
import pytest

from stages.core.errors import StageError
from stages.retrieval import similarity
from stages.retrieval.ranking import VIEWS, Ranking, Sizes, at_least, rank_chunks
from stages.retrieval.similarity import Rows, nearest


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
def test_neighbouring_ids_beyond_float_precision_stay_apart(big, kind):
    ids = [kind(big), kind(big + 1)]
    queries = rows(angles(0), ["a"], ids=ids[:1])
    ranking = rank_relevant(queries, rows(angles(0, 1), ["a", "a"], ids=ids), "cosine")
    assert ranking.gallery.tolist() == [1]
    assert ranks(ranking) == [[1]]


def test_neighbouring_items_beyond_float_precision_stay_apart():
    queries = rows(angles(0), [2**53], prefix="q")
    ranking = rank_relevant(queries, rows(angles(0, 1), [2**53 + 1, 2**53], prefix="g"), "cosine")
    assert ranks(ranking) == [[2]]


def test_float_and_repeated_ids_are_refused():
    with pytest.raises(StageError, match=r"strings or integers.*9007199254740992"):
        rows(angles(0), ["a"], ids=[2.0**53])
    with pytest.raises(StageError, match="unique, found twice: p"):
        rows(angles(0, 1), ["a", "a"], ids=["p", "p"])


def test_vector_with_nan_is_refused_by_id_but_a_missed_row_is_not_read():
    with pytest.raises(StageError, match="NaN or infinity: r1"):
        rows([[0.0], [np.nan]], ["a", "b"])
    assert len(rows([[0.0], [np.nan]], ["a", "b"], detected=[True, False])) == 2


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


def test_nearest_shows_equals_wrong_before_right_then_by_id_without_the_query():
    queries = rows(angles(0), ["a"], ids=["q"])
    gallery = rows(angles(0, 0, 0, 0, 9), ["a", "b", "a", "c", "a"], ids=["z", "y", "q", "x", "w"])
    assert nearest(queries, gallery, "cosine", [0], 3)[0] == [(3, False), (1, False), (0, True)]


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("spread", [1.0, 1e-4, 0.0])
def test_nearest_are_those_of_scoring_every_row(metric, spread, monkeypatch):
    """Equals of the last one, all rows where nothing tells them apart, are put in order like the others."""
    generator = np.random.default_rng(6)
    vectors = 1 + spread * generator.normal(size=(80, 12))
    vectors[1::3] = vectors[::3][: len(vectors[1::3])]
    items = generator.integers(0, 9, 80).tolist()
    queries, gallery = rows(vectors[:9], items[:9], prefix="g"), rows(vectors, items, prefix="g")
    monkeypatch.setattr(similarity, "SCORES_BYTES", 2000)  # three queries at a time
    alone = []
    pair_scores = similarity.pair_scores
    monkeypatch.setattr(
        similarity, "pair_scores", lambda *given: (alone.append(len(given[-1])), pair_scores(*given))[1]
    )
    found = nearest(queries, gallery, metric, range(9), 7)
    assert max(alone) < 40 or not spread  # of 79
    monkeypatch.setattr(similarity, "_shortlists", lambda scores, allowed, k, margin: [np.flatnonzero(allowed)])
    assert found == nearest(queries, gallery, metric, range(9), 7)
    assert {len(hits) for hits in found.values()} == {7}


def test_unknown_metric_is_refused():
    with pytest.raises(StageError, match="metric is 'dot', expected one of: cosine, euclidean"):
        rank_relevant(rows(angles(0), ["a"]), rows(angles(0), ["a"], prefix="g"), "dot")
