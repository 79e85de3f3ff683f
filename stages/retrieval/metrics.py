"""The metrics of catalogue.py for each query, their averages with intervals, and the scores of chance.

A query without a relevant gallery row is left out of every average and counted. A query whose item was not detected
scores 0, for the encoder and for chance alike.

``evaluate`` computes all scores of one set of vectors on one benchmark (rules: similarity.py).
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
from stages.retrieval.catalogue import HIT, Place, Ranks, every, find
from stages.retrieval.category import NEIGHBORS, PREDICTION, Votes
from stages.retrieval.ranking import SMALLEST_MB, Sizes, rank_chunks
from stages.retrieval.relevance import VIEWS, Ranking
from stages.retrieval.similarity import Rows
from stages.retrieval.vectors import null_bytes

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
        """The scores of some queries.

        Args:
            rows: bool [Q].
        """
        values = {name: column[rows] for name, column in self.values.items()}
        return Scores(values, self.relevant[rows], self.gallery[rows], self.detected[rows])

    @staticmethod
    def joined(chunks: Iterable["Scores"]) -> "Scores":
        """The scores of consecutive chunks of queries as one."""
        chunks = list(chunks)
        return Scores(
            {name: np.concatenate([chunk.values[name] for chunk in chunks]) for name in chunks[0].values},
            *(
                np.concatenate([getattr(chunk, name) for chunk in chunks])
                for name in ("relevant", "gallery", "detected")
            ),
        )


def score(ranking: Ranking, ks: Sequence[int]) -> Scores:
    """Every metric of every query."""
    ranks = Ranks(ranking, max(ks, default=0))
    values = {measure.key: measure.metric.of_query(ranks, *measure.k) for measure in every(ks)}
    return Scores(values, ranking.relevant, ranking.gallery, ranking.detected)


def chance(scores: Scores, ks: Sequence[int]) -> dict[str, float]:
    """The average scores of a random order of the gallery over the same queries."""
    scored = scores.relevant > 0
    if not scored.any():
        return {}
    gallery, relevant, detected = scores.gallery[scored], scores.relevant[scored], scores.detected[scored]
    return {
        key: float(np.where(detected, metric.of_chance(gallery, relevant, *k), metric.missed).mean())
        for key, _, metric, k in every(ks)
        if metric.of_chance
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
    """Averages over the queries that have a relevant row, intervals of those that have one, and the same by category.

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
    if measures := [measure for measure in map(find, values) if measure and measure.shown(Place.INTERVAL)]:
        columns = np.stack([values[measure.key] for measure in measures], axis=1)
        for measure, *ends in zip(measures, *intervals(columns, samples, seed), strict=True):
            result |= {name: float(end) for name, end in zip(measure.ends, ends, strict=True)}
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
    """All figures of one benchmark: both views of the gallery, each with the level of chance.

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
    chunks = [
        {view: score(ranking, ks) for view, ranking in chunk.items()}
        for chunk in rank_chunks(queries, gallery, metric, sizes, desc, votes and votes.near, NEIGHBORS)
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
        scores = Scores.joined(chunk[view] for chunk in chunks)
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
        predicted = votes.result(queries, gallery, metric, params.memory_mb)
        result[PREDICTION], result["chance"][PREDICTION] = predicted
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
        measures = (measure for measure in map(find, scores) if measure and measure.metric is HIT)
        rows += [
            [encoder, *measure.k, scores[measure.key]] for measure in sorted(measures, key=lambda measure: measure.k)
        ]
    return rows
