"""Queries ranked on whole rows, against a float64 ranking written out plainly."""

import numpy as np
import pytest
from ranked import WHOLE, clouds, plain, ranked

from stages.retrieval import full_rankings as whole_rows_module
from stages.retrieval import ranking


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
