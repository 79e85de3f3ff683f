"""Our figures against two independent libraries on random cases; where their definitions differ, the test says how."""

import numpy as np
import pytest
import torch
import torchmetrics.retrieval as tm
from pytorch_metric_learning.distances import CosineSimilarity, LpDistance
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import CustomKNN

from stages.retrieval import metrics
from stages.retrieval.ranking import VIEWS, Sizes, rank_chunks
from stages.retrieval.similarity import Rows

# Their name -> ours.
SAME = {
    "precision_at_1": "hit_at_1",
    "mean_average_precision": "map",
    "mean_average_precision_at_r": "map_at_r",
    "mean_reciprocal_rank": "mrr",
    "r_precision": "r_precision",
}
KS = [1, 5, 20, 500]


def rows(vectors, items, prefix, categories=None):
    n = len(items)
    return Rows([f"{prefix}{i}" for i in range(n)], items, categories or ["top"] * n, vectors, np.ones(n, bool))


def ours(queries, gallery, metric="cosine", view=VIEWS[0]):
    parts = rank_chunks(queries, gallery, metric, Sizes(16, 70, 900))
    scores = metrics.Scores.joined(metrics.score(part[view], KS) for part in parts)
    return metrics.summary(scores, queries.categories.to_pylist(), 2, 0)


def theirs(metric, *given, **more):
    distance = CosineSimilarity() if metric == "cosine" else LpDistance(normalize_embeddings=False)
    calculator = AccuracyCalculator(
        include=tuple(SAME), device=torch.device("cpu"), knn_func=CustomKNN(distance), **more
    )
    return calculator.get_accuracy(*given)


def case(seed, items=15, queries=60, gallery=200, width=24):
    generator = np.random.default_rng(seed)
    centers = generator.normal(size=(items, width))
    which = [generator.integers(0, items, n) for n in (queries, gallery)]
    return [(centers[one] + 1.5 * generator.normal(size=(len(one), width))).astype(np.float32) for one in which], which


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("seed", range(4))
def test_averages_agree_with_pytorch_metric_learning(metric, seed):
    (query, reference), (query_items, items) = case(seed)
    items = np.where(items == 3, 4, items)  # the queries of item 3 are lone: left out by both
    found = ours(rows(query, query_items, "q"), rows(reference, items, "g"), metric)
    expected = theirs(metric, query, query_items, reference, items)
    assert found["n_without_match"] == (query_items == 3).sum() > 0
    assert {name: found[name] for name in SAME.values()} == pytest.approx(
        {SAME[name]: value for name, value in expected.items()}, abs=1e-6
    )


@pytest.mark.parametrize("seed", range(3))
def test_a_gallery_that_holds_the_queries_agrees_with_pytorch_metric_learning(seed):
    # Theirs drops the nearest neighbor, or the one at the query's position; ours the one with the query's id.
    (vectors, _), (items, _) = case(seed, queries=150)
    everything = rows(vectors, items, "r")
    shuffled = np.random.default_rng(seed).permutation(150)
    gallery = Rows([f"r{i}" for i in shuffled], items[shuffled], ["top"] * 150, vectors[shuffled], np.ones(150, bool))
    found, expected = ours(everything, gallery), theirs("cosine", vectors, items)
    assert {name: found[name] for name in SAME.values()} == pytest.approx(
        {SAME[name]: value for name, value in expected.items()}, abs=1e-6
    )


def test_galleries_of_one_category_agree_with_pytorch_metric_learning_run_for_each():
    # Theirs knows no categories (its classes are the items): one run for each, weighted by its queries that count.
    (query, reference), (query_items, items) = case(7)
    kinds = [f"kind{i % 3}" for i in range(15)]
    found = ours(
        rows(query, query_items, "q", [kinds[i] for i in query_items]),
        rows(reference, items, "g", [kinds[i] for i in items]),
        view="same_superclass",
    )
    totals = dict.fromkeys(SAME.values(), 0.0)
    for kind in range(3):
        mine, there = query_items % 3 == kind, items % 3 == kind
        expected = theirs("cosine", query[mine], query_items[mine], reference[there], items[there])
        for name, value in expected.items():
            assert found["per_category"][f"kind{kind}"][SAME[name]] == pytest.approx(value, abs=1e-6)
            totals[SAME[name]] += value * mine.sum() / len(query)
    assert {name: found[name] for name in totals} == pytest.approx(totals, abs=1e-6)


def test_pytorch_metric_learning_takes_items_for_float32_and_merges_neighbors_above_2_to_the_24():
    query, reference = np.array([[1, 0]], np.float32), np.array([[1, 0], [0, 1]], np.float32)
    query_items, items = np.array([2**24]), np.array([2**24 + 1, 2**24])
    assert theirs("cosine", query, query_items, reference, items)["precision_at_1"] == 1
    found = ours(rows(query, query_items, "q"), rows(reference, items, "g"))
    assert found["hit_at_1"] == 0 and found["mrr"] == 1 / 2


def test_pytorch_metric_learning_puts_ties_in_any_order_and_ours_last():
    # All vectors are equal; the only difference between the two galleries is the order of their rows.
    query, reference = np.ones((1, 4), np.float32), np.ones((40, 4), np.float32)
    reached = set()
    for place in range(40):
        items = np.ones(40, np.int64)
        items[place] = 0
        reached.add(theirs("cosine", query, np.zeros(1), reference, items)["mean_reciprocal_rank"])
        assert ours(rows(query, [0], "q"), rows(reference, items, "g"))["mrr"] == pytest.approx(1 / 40)
    assert len(reached) > 1 and max(reached) == 1


def torchmetrics_of(query, query_items, reference, items):
    """Every figure that torchmetrics has, from the scores of all pairs; lone queries skipped, as ours are.

    It takes scores for probabilities, and what scores 0 or less for not retrieved: cosines are moved above 0.
    """
    unit = [torch.from_numpy(one.astype(np.float64)) for one in (query, reference)]
    scores = torch.nn.functional.normalize(unit[0]) @ torch.nn.functional.normalize(unit[1]).T + 2
    target = torch.from_numpy(query_items[:, None] == items[None, :])
    given = (scores.flatten(), target.flatten(), torch.arange(len(query)).repeat_interleave(len(items)))
    skip = {"empty_target_action": "skip"}
    of = {"map": tm.RetrievalMAP(**skip), "mrr": tm.RetrievalMRR(**skip), "r_precision": tm.RetrievalRPrecision(**skip)}
    for k in KS:
        of[f"hit_at_{k}"] = tm.RetrievalHitRate(top_k=k, **skip)
        of[f"precision_at_{k}"] = tm.RetrievalPrecision(top_k=k, **skip)
        of[f"recall_at_{k}"] = tm.RetrievalRecall(top_k=k, **skip)
    return {name: float(metric(*given[:2], indexes=given[2])) for name, metric in of.items()}


@pytest.mark.parametrize("seed", range(3))
def test_averages_agree_with_torchmetrics(seed):
    # KS holds 500, more than the gallery: hit and recall are those of the whole gallery, precision divides by 500.
    (query, reference), (query_items, items) = case(seed)
    items = np.where(items == 3, 4, items)
    found = ours(rows(query, query_items, "q"), rows(reference, items, "g"))
    expected = torchmetrics_of(query, query_items, reference, items)
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-6)


def test_torchmetrics_counts_lone_queries_as_zero_unless_told_to_skip_them():
    query, reference = np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32)
    found = ours(rows(query, [0, 9], "q"), rows(reference, [0, 1], "g"))
    assert found["hit_at_1"] == 1 and found["n_without_match"] == 1
    default = tm.RetrievalHitRate(top_k=1)
    target = torch.tensor([True, False, False, False])
    assert default(torch.eye(2).flatten() + 0.1, target, indexes=torch.tensor([0, 0, 1, 1])) == 0.5


def test_torchmetrics_does_not_count_a_relevant_row_whose_score_is_not_above_zero():
    query, reference = np.array([[1, 0]], np.float32), np.array([[0.9, 0.1], [-1, 0]], np.float32)
    found = ours(rows(query, [1], "q"), rows(reference, [0, 1], "g"))
    assert found["mrr"] == 1 / 2 and found["recall_at_5"] == 1
    scores, target = torch.tensor([0.99, -1.0]), torch.tensor([False, True])
    assert tm.RetrievalRecall(top_k=5)(scores, target, indexes=torch.tensor([0, 0])) == 0
