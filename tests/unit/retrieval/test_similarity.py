"""Rows that can be ranked, and the nearest of them."""

import numpy as np
import pytest
from ranked import angles, rows

from stages.core.errors import StageError
from stages.retrieval import similarity
from stages.retrieval.similarity import Rows, nearest


def test_float_and_repeated_ids_are_refused():
    with pytest.raises(StageError, match=r"strings or integers.*9007199254740992"):
        rows(angles(0), ["a"], ids=[2.0**53])
    with pytest.raises(StageError, match="unique, found twice: p"):
        rows(angles(0, 1), ["a", "a"], ids=["p", "p"])


def test_vector_with_nan_is_refused_by_id_but_a_missed_row_is_not_read():
    with pytest.raises(StageError, match="NaN or infinity: r1"):
        rows([[0.0], [np.nan]], ["a", "b"])
    assert len(rows([[0.0], [np.nan]], ["a", "b"], detected=[True, False])) == 2


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


@pytest.mark.parametrize("ids", [[1.5], np.array([1], np.float32), [True], [b"x"]])
def test_ids_of_another_kind_are_refused(ids):
    with pytest.raises(StageError, match="ids must be"):
        Rows(ids, ["a"], ["top"], np.zeros((1, 2), np.float32), np.ones(1, bool))


@pytest.mark.parametrize("ids", [["x", 1], [2**63], [None]])
def test_mixed_too_large_and_missing_ids_are_refused(ids):
    with pytest.raises(StageError, match="ids"):
        Rows(ids, ["a"] * len(ids), ["top"] * len(ids), np.zeros((len(ids), 2), np.float32), np.ones(len(ids), bool))
