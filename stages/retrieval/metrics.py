"""Retrieval metrics from the ranks of relevant rows: per query, averaged, with intervals and the level of chance.

A query without a relevant gallery row is left out of every average and counted. A query whose item was never
detected is scored 0 everywhere, and so is it in the level of chance, so that both are about the same queries.

The metrics, for a query with R relevant rows in a gallery of G:
    hit@k           1 when a relevant row is among the first k, else 0.
    precision@k     relevant rows among the first k, divided by k.
    recall@k        the same, divided by R.
    mAP             mean over the relevant rows of the precision at their rank.
    MAP@R           the same over the first R ranks only, divided by R (Musgrave et al. 2020, eq. 3).
    R-precision     precision at R.
    MRR             1 / rank of the first relevant row.
A k beyond the gallery means the whole gallery: hit@k and recall@k are those at G; precision@k still divides by k.

``evaluate`` is the one evaluator: all figures of one set of vectors on one benchmark (rules: similarity.py).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field, PositiveInt

from stages.contracts.tables import read_table
from stages.core.params import Section, Seed
from stages.retrieval.category import NEIGHBORS, PREDICTION, Votes
from stages.retrieval.ranking import SMALLEST_MB, Sizes, rank_chunks
from stages.retrieval.relevance import VIEWS, Ranking
from stages.retrieval.similarity import Rows
from stages.retrieval.vectors import null_bytes

WITH_INTERVAL = ("hit_at_1", "map", "map_at_r")
DRAWN_AT_ONCE = 2_000_000  # rows of bootstrap samples that are drawn together: 50 MB


@dataclass(frozen=True)
class Scores:
    """Metrics of each of Q queries.

    Attributes:
        values: metric -> float64 [Q]; NaN for a query without a relevant row.
        relevant, gallery: int64 [Q], detected: bool [Q], as in Ranking.
    """

    values: dict[str, np.ndarray]
    relevant: np.ndarray
    gallery: np.ndarray
    detected: np.ndarray

    def of(self, rows: np.ndarray) -> "Scores":
        """Those of some queries, bool [Q]."""
        values = {name: column[rows] for name, column in self.values.items()}
        return Scores(values, self.relevant[rows], self.gallery[rows], self.detected[rows])

    @staticmethod
    def joined(parts: Iterable["Scores"]) -> "Scores":
        """Consecutive parts as one."""
        parts = list(parts)
        return Scores(
            {name: np.concatenate([part.values[name] for part in parts]) for name in parts[0].values},
            *(np.concatenate([getattr(part, name) for part in parts]) for name in ("relevant", "gallery", "detected")),
        )


def score(ranking: Ranking, ks: Sequence[int]) -> Scores:
    """Every metric of every query (formulas: top of this module)."""
    queries, found = len(ranking.counts), ranking.counts
    owner = np.repeat(np.arange(queries), found)
    ends = np.cumsum(found)
    place = np.arange(1, len(owner) + 1) - np.repeat(ends - found, found)
    relevant = np.where(ranking.relevant > 0, ranking.relevant, np.nan)

    def total(per_row: np.ndarray) -> np.ndarray:
        return np.bincount(owner, per_row, minlength=queries)

    precision = place / ranking.ranks
    within_r = ranking.ranks <= ranking.relevant[owner]
    reciprocal = np.zeros(queries)
    reciprocal[found > 0] = 1 / ranking.ranks[(ends - found)[found > 0]]
    scored = relevant / relevant  # 1, or NaN for a query that is left out
    values = {
        "map": total(precision) / relevant,
        "map_at_r": total(precision * within_r) / relevant,
        "r_precision": total(within_r) / relevant,
        "mrr": reciprocal * scored,
    }
    near = ranking.ranks <= max(ks, default=0)  # few, where thousands are relevant
    near_owner, near_ranks = owner[near], ranking.ranks[near]
    for k in ks:
        seen = np.bincount(near_owner[near_ranks <= k], minlength=queries)
        values[f"hit_at_{k}"] = (seen > 0) * scored
        values[f"precision_at_{k}"] = seen / k * scored
        values[f"recall_at_{k}"] = seen / relevant
    return Scores(values, ranking.relevant, ranking.gallery, ranking.detected)


def chance_hit(gallery: np.ndarray, relevant: np.ndarray, k: int) -> np.ndarray:
    """[n] probability that a random order has a relevant row in its first k: 1 - C(G-R, k) / C(G, k)."""
    gallery, relevant = np.asarray(gallery, np.float64), np.asarray(relevant, np.float64)
    none_found = np.ones(len(gallery))
    for drawn in range(k):
        left = gallery - drawn
        none_found *= np.clip((left - relevant) / np.where(left > 0, left, 1), 0, None)
    return 1 - none_found


def _harmonic(gallery: np.ndarray) -> np.ndarray:
    """1 + 1/2 + ... + 1/G of each G."""
    return np.concatenate([[0.0], np.cumsum(1 / np.arange(1, max(gallery, default=0) + 1))])[gallery]


def chance_average_precision(gallery: np.ndarray, relevant: np.ndarray, first: np.ndarray | None = None) -> np.ndarray:
    """[n] expected average precision of a random order of G rows with R relevant ones, over its first N ranks.

    Rank i is relevant with probability R/G, and then (i-1)(R-1)/(G-1) more are expected before it; the sum over
    i <= N of both, divided by i and R, is (H + (R-1)/(G-1) (N-H)) / G with the harmonic number H = 1 + ... + 1/N.
    N is ``first``, or G; with N = R this is what MAP@R expects.
    """
    gallery, relevant = np.asarray(gallery, np.int64), np.asarray(relevant, np.int64)
    first = gallery if first is None else np.asarray(first, np.int64)
    harmonic = _harmonic(first)
    share = (relevant - 1) / np.maximum(gallery - 1, 1)
    return (harmonic + share * (first - harmonic)) / gallery


def chance(scores: Scores, ks: Sequence[int]) -> dict[str, float]:
    """What a random order of the gallery scores on average over the same queries."""
    scored = scores.relevant > 0
    if not scored.any():
        return {}
    gallery, relevant, detected = scores.gallery[scored], scores.relevant[scored], scores.detected[scored]
    levels = {f"hit_at_{k}": float((chance_hit(gallery, relevant, k) * detected).mean()) for k in ks}
    return levels | {
        "map": float((chance_average_precision(gallery, relevant) * detected).mean()),
        "map_at_r": float((chance_average_precision(gallery, relevant, relevant) * detected).mean()),
    }


def intervals(values: np.ndarray, samples: int, seed: int) -> np.ndarray:
    """[2, m] ends of the 95 % percentile bootstrap intervals of the means of m columns [n, m], resampling queries.

    Samples are drawn many at a time: one by one, a benchmark of a few dozen queries waits for Python.
    """
    generator = np.random.default_rng(seed)
    rows = len(values)
    means = np.empty((samples, values.shape[1]))
    step = max(1, DRAWN_AT_ONCE // rows)
    for first in range(0, samples, step):
        count = min(step, samples - first)
        drawn = generator.integers(0, rows, (count, rows)) + np.arange(count)[:, None] * rows
        times_drawn = np.bincount(drawn.ravel(), minlength=count * rows).reshape(count, rows)
        means[first : first + count] = times_drawn @ values / rows
    return np.quantile(means, [0.025, 0.975], axis=0)


def summary(scores: Scores, categories: Sequence[str] | None, samples: int, seed: int) -> dict[str, object]:
    """Averages over the queries that have a relevant row, intervals of hit@1, mAP and MAP@R, and the same by category.

    Args:
        categories: of each query, [Q]; None: nothing by category.
        samples: bootstrap samples.
    """
    scored = scores.relevant > 0
    values = {name: column[scored] for name, column in scores.values.items()} if scored.any() else {}
    result: dict[str, object] = {
        "n_scored": int(scored.sum()),
        "n_missed": int((scored & ~scores.detected).sum()),
        "n_without_match": int((~scored).sum()),
        **_averages(values, samples, seed),
    }
    if categories is None:
        return result
    of_scored = np.array([str(category) for category in categories], dtype=object)[scored]
    rows = {category: np.flatnonzero(of_scored == category) for category in sorted(set(of_scored))}
    return result | {
        "per_category": {
            category: {"n_scored": len(places)}
            | _averages({name: column[places] for name, column in values.items()}, samples, seed)
            for category, places in rows.items()
        },
    }


def _averages(values: dict[str, np.ndarray], samples: int, seed: int) -> dict[str, float]:
    result = {name: float(column.mean()) for name, column in values.items()}
    if names := [name for name in WITH_INTERVAL if name in values]:
        low, high = intervals(np.stack([values[name] for name in names], axis=1), samples, seed)
        result |= {f"{name}_low95": float(end) for name, end in zip(names, low, strict=True)}
        result |= {f"{name}_high95": float(end) for name, end in zip(names, high, strict=True)}
    return result


class EvaluateParams(Section):
    """How encoders are scored."""

    ks: list[PositiveInt] = Field(min_length=1)
    bootstrap_samples: PositiveInt
    seed: Seed
    memory_mb: int = Field(ge=SMALLEST_MB)


def read_table_rows(path: Path) -> tuple[pa.Table, np.ndarray]:
    """row_id, item, category and repeats of a benchmark's table, and bool [n] which rows have an image."""
    table = read_table(path, columns=["row_id", "item", "category", "repeats"]).combine_chunks()
    return table, ~null_bytes(path)


def as_rows(table: pa.Table, detected: np.ndarray, vectors: np.ndarray) -> Rows:
    """A benchmark's table with its vectors [n, d]; rows without a category share one, named ``unknown``."""
    repeats = table["repeats"].is_valid().to_numpy()
    return Rows(table["row_id"], table["item"], table["category"].fill_null("unknown"), vectors, detected, repeats)


def evaluate(
    queries: Rows,
    gallery: Rows,
    metric: str,
    params: EvaluateParams,
    desc: str = "ranking",
    categories_too: bool = False,
    brief: bool = False,
) -> dict[str, Any]:
    """All figures of one benchmark: both views of the gallery, each beside the level of chance.

    Args:
        categories_too: the items are labels, so that the neighbors can vote for the query's (category.py); what stands
            in the place of chance is then naming the most frequent ones.
        brief: leave out the figures by category, the level of chance and those without repeating queries.

    Where queries repeat training pictures (``Rows.repeats``) ``clean`` has the same figures without them. The gallery
    stays whole there: taking rows out of it would ask every query another question.
    """
    ks = sorted(set(params.ks))
    sizes = Sizes.within(params.memory_mb, queries, gallery)
    votes = Votes(queries, gallery) if categories_too else None
    parts = [
        {view: score(ranking, ks) for view, ranking in part.items()}
        for part in rank_chunks(queries, gallery, metric, sizes, desc, votes and votes.near, NEIGHBORS)
    ]
    result: dict[str, Any] = {
        "n_queries": len(queries),
        "n_missed": int((~queries.detected).sum()),
        "gallery": len(gallery),
        "dimensions": gallery.vectors.shape[1],
        "chance": {},
    }
    categories = None if brief else queries.categories.to_pylist()
    repeats = np.zeros(len(queries), bool) if queries.repeats is None else queries.repeats
    for view in VIEWS:
        scores = Scores.joined(part[view] for part in parts)
        result[view] = summary(scores, categories, params.bootstrap_samples, params.seed)
        if brief:
            continue
        result["chance"][view] = chance(scores, ks)
        if view == VIEWS[0] and repeats.any():
            clean = scores.of(~repeats)
            result["clean"] = {
                "n_left_out": int(repeats.sum()),
                view: summary(clean, None, params.bootstrap_samples, params.seed),
                "chance": {view: chance(clean, ks)},
            }
    result["n_without_match"] = result["whole_gallery"]["n_without_match"]
    if votes:
        found = votes.result(queries, gallery, metric, params.memory_mb)
        result[PREDICTION], result["chance"][PREDICTION] = found
        if "clean" in result:
            result["clean"][PREDICTION], result["clean"]["chance"][PREDICTION] = votes.of(~repeats)
    return result


def curve_rows(of_encoders: Mapping[str, dict[str, Any]]) -> list[list[Any]]:
    """Rows (encoder, k, hit@k), the encoders in their order, of those that were scored.

    Args:
        of_encoders: encoder -> its figures of one view.
    """
    rows = []
    for encoder, scores in of_encoders.items():
        ks = sorted(int(key.removeprefix("hit_at_")) for key in scores if key.removeprefix("hit_at_").isdigit())
        rows += [[encoder, k, scores[f"hit_at_{k}"]] for k in ks]
    return rows
