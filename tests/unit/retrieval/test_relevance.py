"""Which gallery rows are relevant for a query, against comparing every pair; some cases by hand."""

import numpy as np
import pytest

from stages.retrieval.relevance import Matches
from stages.retrieval.similarity import Rows


def rows(ids, items, categories=None):
    n = len(ids)
    return Rows(ids, items, categories or ["top"] * n, np.zeros((n, 2), np.float32), np.ones(n, bool))


def pairs(found, queries):
    owner, gallery = found.pairs(np.arange(queries))
    return sorted(zip(owner.tolist(), gallery.tolist(), strict=True))


def test_relevant_rows_are_those_of_the_item_without_the_query_itself():
    queries = rows(["q", "b"], ["coat", "hat"])
    gallery = rows(["a", "b", "c", "d"], ["coat", "hat", "hat", "coat"])
    found = Matches.of(queries, gallery)
    assert pairs(found, 2) == [(0, 0), (0, 3), (1, 2)]
    assert found.own.tolist() == [-1, 1]
    assert found.relevant["whole_gallery"].tolist() == [2, 1]
    assert found.gallery["whole_gallery"].tolist() == [4, 3]  # b is not ranked for itself


def test_within_the_category_only_its_rows_count():
    queries = rows(["q"], ["coat"], ["outwear"])
    gallery = rows(["a", "b", "c"], ["coat", "coat", "hat"], ["outwear", "dress", "outwear"])
    found = Matches.of(queries, gallery)
    assert (found.relevant["whole_gallery"].tolist(), found.relevant["same_superclass"].tolist()) == ([2], [1])
    assert (found.gallery["whole_gallery"].tolist(), found.gallery["same_superclass"].tolist()) == ([3], [2])


def test_missing_item_matches_nothing_and_nothing_is_relevant_in_an_empty_gallery():
    found = Matches.of(rows(["q", "r"], [None, "a"]), rows(["g", "h"], [None, "a"]))
    assert pairs(found, 2) == [(1, 1)]
    empty = Matches.of(rows(["q"], ["a"]), rows([], []))
    assert pairs(empty, 1) == [] and empty.relevant["whole_gallery"].tolist() == [0]


@pytest.mark.parametrize("seed", range(5))
def test_pairs_and_counts_are_those_of_comparing_every_pair(seed):
    draw = np.random.default_rng(seed)
    ids = [f"r{number}" for number in range(60)]
    items = [None if number == 0 else f"i{number}" for number in draw.integers(0, 9, 60)]
    kinds = [f"k{number}" for number in draw.integers(0, 3, 60)]
    asked = draw.permutation(60)[:25]
    queries = rows([ids[n] for n in asked], [items[n] for n in asked], [kinds[n] for n in asked])
    found = Matches.of(queries, rows(ids, items, kinds))
    same = [
        (place, n) for place, q in enumerate(asked) for n in range(60)
        if items[q] is not None and items[n] == items[q] and n != q
    ]  # fmt: skip
    assert pairs(found, 25) == same
    for place, q in enumerate(asked):
        mine = [n for owner, n in same if owner == place]
        own_kind = [n for n in mine if kinds[n] == kinds[q]]
        assert found.relevant["whole_gallery"][place] == len(mine)
        assert found.relevant["same_superclass"][place] == len(own_kind)
        assert found.gallery["same_superclass"][place] == kinds.count(kinds[q]) - 1
