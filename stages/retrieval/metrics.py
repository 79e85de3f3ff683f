"""Retrieval metrics from the ranks of relevant rows: per query, averaged, with intervals and the level of chance.

A query without a relevant gallery row is left out of every average and counted. A query whose item was never
detected is scored 0 everywhere, and so is it in the level of chance, so that both are about the same queries.
"""

from collections.abc import Sequence

import numpy as np

from stages.retrieval.search import Ranking


def query_scores(ranks: np.ndarray, relevant: int, ks: Sequence[int]) -> dict[str, float]:
    """Every metric of one query with ``relevant`` > 0 relevant rows at 1-based ascending ``ranks``.

    ``ranks`` is empty for a miss. precision@k divides by k, recall@k by the number of relevant rows R. mAP:
    mean over relevant rows of the precision at their rank. MAP@R: the same over the first R ranks only, divided
    by R (Musgrave et al. 2020). R-precision: precision at R. MRR: 1 / rank of the first relevant row.
    """
    precisions = np.arange(1, len(ranks) + 1) / ranks
    within_r = ranks <= relevant
    scores = {
        "map": float(precisions.sum()) / relevant,
        "map_at_r": float(precisions[within_r].sum()) / relevant,
        "r_precision": int(within_r.sum()) / relevant,
        "mrr": 1 / int(ranks[0]) if len(ranks) else 0.0,
    }
    for k in ks:
        found = int(np.searchsorted(ranks, k, side="right"))
        scores[f"hit_at_{k}"] = float(found > 0)
        scores[f"precision_at_{k}"] = found / k
        scores[f"recall_at_{k}"] = found / relevant
    return scores


def score(ranking: Ranking, ks: Sequence[int]) -> dict[str, np.ndarray]:
    """Metric name -> values [n] of the n queries that have a relevant row, in the order of the queries."""
    scored = np.flatnonzero(ranking.relevant > 0)
    rows = [query_scores(ranking.ranks[row], int(ranking.relevant[row]), ks) for row in scored]
    return {name: np.array([row[name] for row in rows]) for name in (rows[0] if rows else ())}


def chance_hit(gallery: np.ndarray, relevant: np.ndarray, k: int) -> np.ndarray:
    """[n] probability that a random order has a relevant row in its first k: 1 - C(G-R, k) / C(G, k)."""
    gallery, relevant = np.asarray(gallery, np.float64), np.asarray(relevant, np.float64)
    none_found = np.ones(len(gallery))
    for drawn in range(k):
        left = gallery - drawn
        none_found *= np.clip((left - relevant) / np.where(left > 0, left, 1), 0, None)
    return 1 - none_found


def chance_average_precision(gallery: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """[n] expected average precision of a random order of G rows with R relevant ones.

    Rank i is relevant with probability R/G, and then (i-1)(R-1)/(G-1) more are expected before it; the sum
    over i of both, divided by i and R, is (H + (R-1)/(G-1) (G-H)) / G with the harmonic number H = 1 + ... + 1/G.
    """
    gallery, relevant = np.asarray(gallery, np.int64), np.asarray(relevant, np.int64)
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, max(gallery, default=0) + 1))])[gallery]
    share = (relevant - 1) / np.maximum(gallery - 1, 1)
    return (harmonic + share * (gallery - harmonic)) / gallery


def chance(ranking: Ranking, ks: Sequence[int]) -> dict[str, float]:
    """What a random order of the gallery scores on average over the same queries."""
    scored = ranking.relevant > 0
    if not scored.any():
        return {}
    gallery, relevant, detected = ranking.gallery[scored], ranking.relevant[scored], ranking.detected[scored]
    levels = {f"hit_at_{k}": float((chance_hit(gallery, relevant, k) * detected).mean()) for k in ks}
    return levels | {"map": float((chance_average_precision(gallery, relevant) * detected).mean())}


def interval(values: np.ndarray, samples: int, seed: int) -> tuple[float, float]:
    """95 % percentile bootstrap interval of the mean of ``values`` [n], resampling queries."""
    generator = np.random.default_rng(seed)
    means = [values[generator.integers(0, len(values), len(values))].mean() for _ in range(samples)]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def summary(
    ranking: Ranking, categories: Sequence[str], ks: Sequence[int], samples: int, seed: int
) -> dict[str, object]:
    """Averages over the queries that have a relevant row, intervals for hit@1 and mAP, and the same by category.

    Args:
        categories: of each query, [Q].
        samples: bootstrap samples.
    """
    scored = ranking.relevant > 0
    values = score(ranking, ks)
    result: dict[str, object] = {
        "n_scored": int(scored.sum()),
        "n_missed": int((scored & ~ranking.detected).sum()),
        "n_without_match": int((~scored).sum()),
        **_means(values),
    }
    for name in ("hit_at_1", "map"):
        if name in values:
            result[f"{name}_low95"], result[f"{name}_high95"] = interval(values[name], samples, seed)
    of_scored = np.array([str(category) for category in categories], dtype=object)[scored]
    result["per_category"] = {
        category: {"n_scored": int((of_scored == category).sum())}
        | _means({name: column[of_scored == category] for name, column in values.items()})
        for category in sorted(set(of_scored))
    }
    return result


def _means(values: dict[str, np.ndarray]) -> dict[str, float]:
    return {name: float(column.mean()) for name, column in values.items()}
