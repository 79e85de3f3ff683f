"""Formulas on rankings worked out by hand, against independent libraries, and the evaluator's result on a whole benchmark."""

from dataclasses import replace
from itertools import permutations
from math import comb

import numpy as np
import pytest
import torch
import torchmetrics.retrieval as tm
from pytorch_metric_learning.distances import CosineSimilarity, LpDistance
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import CustomKNN
from sklearn.metrics import average_precision_score
from torchmetrics.functional import retrieval

from stages.retrieval import catalogue, metrics
from stages.retrieval.metrics import EvaluateParams
from stages.retrieval.metrics import evaluate as score
from stages.retrieval.ranking import SMALLEST_MB, VIEWS, Counting, Ranking, Sizes, rank_chunks
from stages.retrieval.similarity import Rows


def ranking(found, relevant, gallery=10, detected=None):
    n = len(found)
    return Ranking(
        np.array([rank for ranks in found for rank in ranks], np.int64),
        np.array([len(ranks) for ranks in found]),
        np.array(relevant),
        np.full(n, gallery),
        np.ones(n, bool) if detected is None else np.array(detected),
    )


def query_scores(ranks, relevant, ks):
    """Metrics of one query with relevant rows at ``ranks``."""
    return {name: values[0] for name, values in metrics.score(ranking([ranks], [relevant]), ks).values.items()}


def scored(queries, gallery, ks, view="whole_gallery", metric="cosine"):
    """Metrics of every query."""
    parts = rank_chunks(queries, gallery, metric, Sizes(16, 50, 1000))
    return metrics.Scores.joined(metrics.score(part[view], ks) for part in parts)


def test_every_metric_of_a_query_with_matches_at_ranks_1_3_and_6():
    scores = query_scores([1, 3, 6], 3, [1, 2, 5, 20])
    assert scores["map"] == pytest.approx((1 / 1 + 2 / 3 + 3 / 6) / 3)
    assert scores["map_at_r"] == pytest.approx((1 / 1 + 2 / 3) / 3)
    assert scores["r_precision"] == pytest.approx(2 / 3)
    assert scores["mrr"] == 1
    assert [scores[f"hit_at_{k}"] for k in (1, 2, 5, 20)] == [1, 1, 1, 1]
    assert [scores[f"precision_at_{k}"] for k in (1, 2, 5, 20)] == [1, 1 / 2, 2 / 5, 3 / 20]
    assert [scores[f"recall_at_{k}"] for k in (1, 2, 5, 20)] == pytest.approx([1 / 3, 1 / 3, 2 / 3, 1])


def test_every_metric_of_a_query_whose_only_match_is_fourth():
    scores = query_scores([4], 1, [3, 4])
    assert scores == {
        "map": 0.25, "map_at_r": 0, "r_precision": 0, "mrr": 0.25,
        "hit_at_3": 0, "precision_at_3": 0, "recall_at_3": 0,
        "hit_at_4": 1, "precision_at_4": 0.25, "recall_at_4": 1,
    }  # fmt: skip


def test_missed_query_scores_zero_in_every_metric():
    assert set(query_scores([], 2, [1, 5]).values()) == {0.0}


def test_lone_queries_are_left_out_and_misses_count_as_zero():
    found = ranking([[1], [], [], [2]], [1, 1, 0, 1], detected=[True, False, True, True])
    result = metrics.summary(metrics.score(found, [1, 2]), ["top", "top", "dress", "vest"], samples=10, seed=0)
    assert (result["n_scored"], result["n_missed"], result["n_without_match"]) == (3, 1, 1)
    assert result["hit_at_1"] == pytest.approx(1 / 3)
    assert result["hit_at_2"] == pytest.approx(2 / 3)
    assert result["map"] == pytest.approx((1 + 0 + 1 / 2) / 3)
    assert set(result["per_category"]) == {"top", "vest"}
    assert result["per_category"]["top"]["n_scored"] == 2
    assert result["per_category"]["top"]["hit_at_1"] == 0.5
    assert result["per_category"]["vest"]["mrr"] == 0.5


def test_no_query_with_a_match_gives_counts_and_no_averages():
    scores = metrics.score(ranking([[]], [0]), [1])
    result = metrics.summary(scores, ["top"], samples=10, seed=0)
    assert result == {"n_scored": 0, "n_missed": 0, "n_without_match": 1, "per_category": {}}
    assert metrics.chance(scores, [1]) == {}


def test_map_agrees_with_scikit_learn_where_there_are_no_ties():
    generator = np.random.default_rng(4)
    for _ in range(20):
        vectors = generator.normal(size=(41, 5)).astype(np.float32)
        items = generator.integers(0, 4, 41)
        ids = [f"{i:02d}" for i in range(41)]
        queries = Rows(["q"], [0], ["top"], vectors[:1], np.array([True]))
        gallery = Rows(ids[1:], items[1:].tolist(), ["top"] * 40, vectors[1:], np.ones(40, bool))
        unit = vectors.astype(float) / np.linalg.norm(vectors.astype(float), axis=1, keepdims=True)
        expected = average_precision_score(items[1:] == 0, unit[1:] @ unit[0])
        assert scored(queries, gallery, [1]).values["map"][0] == pytest.approx(expected, abs=1e-12)


def test_other_metrics_agree_with_torchmetrics_where_there_are_no_ties():
    generator = np.random.default_rng(8)
    for _ in range(20):
        scores = torch.from_numpy(generator.permutation(30) + 1.0)  # torchmetrics ignores scores of 0
        relevant = torch.from_numpy(generator.random(30) < 0.2)
        relevant[3] = True
        order = scores.argsort(descending=True)
        ranks = torch.nonzero(relevant[order])[:, 0].numpy() + 1
        ours = query_scores(ranks, len(ranks), [1, 5, 40])
        theirs = {
            "map": retrieval.retrieval_average_precision(scores, relevant),
            "mrr": retrieval.retrieval_reciprocal_rank(scores, relevant),
            "r_precision": retrieval.retrieval_r_precision(scores, relevant),
        }
        for k in (1, 5, 40):
            theirs[f"hit_at_{k}"] = retrieval.retrieval_hit_rate(scores, relevant, top_k=k)
            theirs[f"precision_at_{k}"] = retrieval.retrieval_precision(scores, relevant, top_k=k)
            theirs[f"recall_at_{k}"] = retrieval.retrieval_recall(scores, relevant, top_k=k)
        assert {name: ours[name] for name in theirs} == pytest.approx(
            {k: float(v) for k, v in theirs.items()}, abs=1e-6
        )


@pytest.mark.parametrize(("gallery", "relevant", "k"), [(10, 3, 1), (10, 3, 5), (7, 7, 1), (5, 1, 9), (40, 2, 20)])
def test_chance_of_a_hit_is_hypergeometric(gallery, relevant, k):
    expected = 1 - comb(gallery - relevant, min(k, gallery)) / comb(gallery, min(k, gallery))
    assert catalogue.chance_hit([gallery], [relevant], k)[0] == pytest.approx(expected)


@pytest.mark.parametrize(("gallery", "relevant"), [(1, 1), (5, 1), (5, 2), (6, 3), (4, 4)])
def test_chance_average_precision_is_the_mean_over_all_orders(gallery, relevant):
    values = []
    for order in permutations(range(gallery)):
        ranks = np.sort(np.array(order[:relevant]) + 1)
        values.append(query_scores(ranks, relevant, [])["map"])
    assert catalogue.chance_average_precision([gallery], [relevant])[0] == pytest.approx(np.mean(values))


@pytest.mark.parametrize(("gallery", "relevant"), [(1, 1), (5, 1), (5, 2), (6, 3), (4, 4)])
def test_chance_map_at_r_is_the_mean_over_all_orders(gallery, relevant):
    values = [
        query_scores(sorted(place + 1 for place in order[:relevant]), relevant, [])["map_at_r"]
        for order in permutations(range(gallery))
    ]
    expected = catalogue.chance_average_precision([gallery], [relevant], [relevant])[0]
    assert expected == pytest.approx(np.mean(values))


@pytest.mark.parametrize("value", [0.1, 0.0, 1e-20, -3e7])
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("view", ["whole_gallery", "same_superclass"])
def test_constant_embedding_scores_no_better_than_chance(value, metric, view):
    generator = np.random.default_rng(5)
    n = 60
    items = generator.integers(0, 6, n)
    same = np.full((n, 16), value, np.float32)
    everything = Rows([f"r{i}" for i in range(n)], items, [f"kind{i % 2}" for i in items], same, np.ones(n, bool))
    scores = scored(everything, everything, [1, 5, 20], view, metric)
    result = metrics.summary(scores, everything.categories.to_pylist(), samples=10, seed=0)
    level = metrics.chance(scores, [1, 5, 20])
    assert result["hit_at_1"] == 0 < level["hit_at_1"]
    assert all(result[name] <= level[name] for name in level)
    # The worst order: all R relevant rows after the G - R others, so none among the first R.
    assert result["map_at_r"] == result["r_precision"] == 0


def test_constant_embedding_that_took_ties_for_itself_would_score_100_percent():
    # What the rule guards against: the same case, were the relevant row put first among its equals.
    optimistic = metrics.score(ranking([[1], [1]], [1, 1], gallery=60), [1])
    assert optimistic.values["hit_at_1"].mean() == 1
    assert metrics.chance(optimistic, [1])["hit_at_1"] == pytest.approx(1 / 60)


def test_random_embedding_scores_about_chance():
    generator = np.random.default_rng(6)
    n = 400
    items = generator.integers(0, 20, n)
    vectors = generator.normal(size=(n, 32)).astype(np.float32)
    everything = Rows(list(range(n)), items, ["top"] * n, vectors, np.ones(n, bool))
    scores = scored(everything, everything, [1, 10])
    level = metrics.chance(scores, [1, 10])
    for name in ("hit_at_1", "hit_at_10", "map", "map_at_r"):
        error = scores.values[name].std() / np.sqrt(n)
        assert abs(scores.values[name].mean() - level[name]) < 4 * error


def test_k_beyond_the_gallery_means_the_whole_gallery_and_precision_still_divides_by_k():
    scores = query_scores([2, 3], 2, [3, 50])
    assert scores["hit_at_50"] == scores["hit_at_3"] == 1
    assert scores["recall_at_50"] == scores["recall_at_3"] == 1
    assert scores["precision_at_50"] == 2 / 50
    assert catalogue.chance_hit([3], [2], 50)[0] == 1


def test_averages_by_category_and_their_intervals_are_those_of_its_queries_alone():
    found = metrics.score(ranking([[1], [2], [4], [1]], [1, 1, 1, 1]), [1])
    result = metrics.summary(found, ["top", "top", "vest", "top"], samples=200, seed=3)
    top = metrics.summary(metrics.score(ranking([[1], [2], [1]], [1, 1, 1]), [1]), ["top"] * 3, samples=200, seed=3)
    assert result["per_category"]["top"]["hit_at_1"] == pytest.approx(2 / 3)
    assert result["per_category"]["top"]["map"] == pytest.approx((1 + 1 / 2 + 1) / 3)
    for name in ("hit_at_1_low95", "hit_at_1_high95", "map_low95", "map_at_r_high95"):
        assert result["per_category"]["top"][name] == top[name]
    assert result["per_category"]["vest"]["map"] == 0.25


def test_chance_counts_a_missed_query_as_a_miss():
    level = metrics.chance(metrics.score(ranking([[1], []], [1, 1], gallery=4, detected=[True, False]), [1]), [1])
    assert level["hit_at_1"] == pytest.approx((1 / 4 + 0) / 2)
    # A random order has its one match at each of 4 ranks: precision 1, 1/2, 1/3, 1/4.
    assert level["map"] == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4) / 4 / 2)


def test_interval_covers_the_mean_and_repeats_with_its_seed():
    values = np.repeat([0.0, 1.0], [40, 60])[:, None]
    ends = metrics.intervals(values, 2000, seed=7)
    # The normal approximation of a share of 0.6 in 100: 0.6 -+ 1.96 * sqrt(0.6 * 0.4 / 100)
    assert ends[:, 0] == pytest.approx((0.504, 0.696), abs=0.02)
    assert (metrics.intervals(values, 2000, seed=7) == ends).all()


def test_samples_drawn_together_are_those_drawn_one_by_one(monkeypatch):
    values = np.random.default_rng(3).random((7, 2))
    together = metrics.intervals(values, 20, seed=5)
    monkeypatch.setattr(metrics, "DRAWN_AT_ONCE", 15)  # two samples at a time
    assert metrics.intervals(values, 20, seed=5) == pytest.approx(together, abs=1e-12)
    generator = np.random.default_rng(5)
    means = [values[generator.integers(0, 7, 7)].mean(axis=0) for _ in range(20)]
    assert together == pytest.approx(np.quantile(means, [0.025, 0.975], axis=0), abs=1e-12)


def test_columns_of_intervals_are_drawn_together_and_do_not_change_each_other():
    values = np.random.default_rng(0).random((30, 2))
    together = metrics.intervals(values, 50, seed=1)
    assert together[:, 1] == pytest.approx(metrics.intervals(values[:, 1:], 50, seed=1)[:, 0])


def test_interval_of_equal_values_has_no_width():
    assert metrics.intervals(np.ones((5, 1)), 50, seed=0)[:, 0] == pytest.approx([1, 1])


PARAMS = EvaluateParams(ks=[50, 1, 5, 5], bootstrap_samples=30, seed=0, memory_mb=64)


def clouds_of(seed, n, prefix, missed=0):
    generator = np.random.default_rng(seed)
    items = generator.integers(0, 12, n)
    vectors = (np.random.default_rng(9).normal(size=(12, 40))[items] + 1.5 * generator.normal(size=(n, 40))).astype(
        np.float32
    )
    return Rows(
        [f"{prefix}{i}" for i in range(n)], items, [f"kind{i % 3}" for i in items], vectors, np.arange(n) >= missed
    )


def test_block_sizes_change_no_figure(monkeypatch):
    queries, gallery = clouds_of(1, 50, "q", missed=4), clouds_of(2, 160, "g")
    whole = score(queries, gallery, "cosine", PARAMS)
    for sizes in ((1, 7, 20), (13, 160, 100), (50, 33, 5)):
        monkeypatch.setattr(Sizes, "within", staticmethod(lambda *given, sizes=sizes: Sizes(*sizes)))
        assert score(queries, gallery, "cosine", PARAMS) == whole


def test_result_names_counts_intervals_and_chance_of_both_views():
    result = score(clouds_of(1, 50, "q", missed=4), clouds_of(2, 160, "g"), "cosine", PARAMS)
    assert (result["n_queries"], result["n_missed"], result["gallery"], result["dimensions"]) == (50, 4, 160, 40)
    for view in ("whole_gallery", "same_superclass"):
        scores, chance = result[view], result["chance"][view]
        assert scores["n_scored"] + scores["n_without_match"] == 50
        assert set(chance) == {"hit_at_1", "hit_at_5", "hit_at_50", "map", "map_at_r"}
        for name in ("hit_at_1", "map", "map_at_r"):
            assert scores[f"{name}_low95"] <= scores[name] <= scores[f"{name}_high95"]
            assert chance[name] < scores[name]
        assert sum(one["n_scored"] for one in scores["per_category"].values()) == scores["n_scored"]
        weighted = sum(one["n_scored"] * one["map"] for one in scores["per_category"].values()) / scores["n_scored"]
        assert weighted == pytest.approx(scores["map"])


def test_clean_is_the_same_figures_of_the_queries_that_repeat_nothing():
    """As if the marked queries had not been asked: the gallery stays whole."""
    queries, gallery = clouds_of(1, 50, "q", missed=4), clouds_of(2, 160, "g")
    marked = np.arange(50) % 7 == 0
    labels = {"categories_too": True}
    whole = score(replace(queries, repeats=marked), gallery, "cosine", PARAMS, **labels)
    clean = whole.pop("clean")
    assert whole == score(queries, gallery, "cosine", PARAMS, **labels)
    assert "clean" not in whole
    kept = np.flatnonzero(~marked)
    taken = [getattr(queries, name).take(kept) for name in ("ids", "items", "categories")]
    alone = score(Rows(*taken, queries.vectors[kept], queries.detected[kept]), gallery, "cosine", PARAMS, **labels)
    del alone["whole_gallery"]["per_category"]
    assert clean == {
        "n_left_out": 8,
        "whole_gallery": alone["whole_gallery"],
        "category_prediction": alone["category_prediction"],
        "chance": {name: alone["chance"][name] for name in ("whole_gallery", "category_prediction")},
    }


def test_clean_takes_no_second_ranking(monkeypatch):
    queries, gallery = clouds_of(1, 50, "q"), clouds_of(2, 160, "g")
    blocks = []
    block = Counting._block
    monkeypatch.setattr(Counting, "_block", lambda self, *given: (blocks.append(1), block(self, *given))[1])
    score(queries, gallery, "cosine", PARAMS)
    once = len(blocks)
    score(replace(queries, repeats=np.arange(50) < 9), gallery, "cosine", PARAMS)
    assert len(blocks) == 2 * once


def test_memory_of_64_mb_at_least_is_asked_for():
    with pytest.raises(ValueError, match="memory_mb"):
        EvaluateParams(ks=[1], bootstrap_samples=1, seed=0, memory_mb=SMALLEST_MB - 1)


# Their name -> ours.
SAME = {
    "precision_at_1": "hit_at_1",
    "mean_average_precision": "map",
    "mean_average_precision_at_r": "map_at_r",
    "mean_reciprocal_rank": "mrr",
    "r_precision": "r_precision",
}
KS = [1, 5, 20, 500]


def plain_rows(vectors, items, prefix, categories=None):
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
    found = ours(plain_rows(query, query_items, "q"), plain_rows(reference, items, "g"), metric)
    expected = theirs(metric, query, query_items, reference, items)
    assert found["n_without_match"] == (query_items == 3).sum() > 0
    assert {name: found[name] for name in SAME.values()} == pytest.approx(
        {SAME[name]: value for name, value in expected.items()}, abs=1e-6
    )


@pytest.mark.parametrize("seed", range(3))
def test_a_gallery_that_holds_the_queries_agrees_with_pytorch_metric_learning(seed):
    # Theirs drops the nearest neighbor, or the one at the query's position; ours the one with the query's id.
    (vectors, _), (items, _) = case(seed, queries=150)
    everything = plain_rows(vectors, items, "r")
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
        plain_rows(query, query_items, "q", [kinds[i] for i in query_items]),
        plain_rows(reference, items, "g", [kinds[i] for i in items]),
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
    found = ours(plain_rows(query, query_items, "q"), plain_rows(reference, items, "g"))
    assert found["hit_at_1"] == 0 and found["mrr"] == 1 / 2


def test_pytorch_metric_learning_puts_ties_in_any_order_and_ours_last():
    # All vectors are equal; the only difference between the two galleries is the order of their rows.
    query, reference = np.ones((1, 4), np.float32), np.ones((40, 4), np.float32)
    reached = set()
    for place in range(40):
        items = np.ones(40, np.int64)
        items[place] = 0
        reached.add(theirs("cosine", query, np.zeros(1), reference, items)["mean_reciprocal_rank"])
        assert ours(plain_rows(query, [0], "q"), plain_rows(reference, items, "g"))["mrr"] == pytest.approx(1 / 40)
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
    found = ours(plain_rows(query, query_items, "q"), plain_rows(reference, items, "g"))
    expected = torchmetrics_of(query, query_items, reference, items)
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-6)


def test_torchmetrics_counts_lone_queries_as_zero_unless_told_to_skip_them():
    query, reference = np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32)
    found = ours(plain_rows(query, [0, 9], "q"), plain_rows(reference, [0, 1], "g"))
    assert found["hit_at_1"] == 1 and found["n_without_match"] == 1
    default = tm.RetrievalHitRate(top_k=1)
    target = torch.tensor([True, False, False, False])
    assert default(torch.eye(2).flatten() + 0.1, target, indexes=torch.tensor([0, 0, 1, 1])) == 0.5


def test_torchmetrics_does_not_count_a_relevant_row_whose_score_is_not_above_zero():
    query, reference = np.array([[1, 0]], np.float32), np.array([[0.9, 0.1], [-1, 0]], np.float32)
    found = ours(plain_rows(query, [1], "q"), plain_rows(reference, [0, 1], "g"))
    assert found["mrr"] == 1 / 2 and found["recall_at_5"] == 1
    scores, target = torch.tensor([0.99, -1.0]), torch.tensor([False, True])
    assert tm.RetrievalRecall(top_k=5)(scores, target, indexes=torch.tensor([0, 0])) == 0
