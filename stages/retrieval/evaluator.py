"""The one evaluator: figures of one set of vectors on one benchmark (rules: search.py, formulas: metrics.py)."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field, PositiveInt

from stages.contracts.tables import read_table
from stages.core.params import Section, Seed
from stages.retrieval import metrics
from stages.retrieval.category import PREDICTION, TOPS, predict
from stages.retrieval.ranking import SMALLEST_MB, Sizes, rank_chunks
from stages.retrieval.relevance import VIEWS
from stages.retrieval.similarity import Rows
from stages.retrieval.vectors import null_bytes

CURVE = ("k", "hit", "chance", "hit_same_superclass", "chance_same_superclass")
HEADLINE = ("hit_at_1", "map", "mrr")


class EvaluateParams(Section):
    """How encoders are scored."""

    ks: list[PositiveInt] = Field(min_length=1)
    bootstrap_samples: PositiveInt
    seed: Seed
    memory_mb: int = Field(ge=SMALLEST_MB)


def read_table_rows(path: Path) -> tuple[pa.Table, np.ndarray]:
    """row_id, item and category of a benchmark's table, and bool [n] which rows have an image."""
    table = read_table(path, columns=["row_id", "item", "category"]).combine_chunks()
    return table, ~null_bytes(path)


def as_rows(table: pa.Table, detected: np.ndarray, vectors: np.ndarray) -> Rows:
    """A benchmark's table with its vectors [n, d]; rows without a category share one, named ``unknown``."""
    return Rows(table["row_id"], table["item"], table["category"].fill_null("unknown"), vectors, detected)


def evaluate(
    queries: Rows,
    gallery: Rows,
    metric: str,
    params: EvaluateParams,
    desc: str = "ranking",
    categories_too: bool = False,
) -> dict[str, Any]:
    """All figures of one benchmark: both views of the gallery, each beside the level of chance.

    Args:
        categories_too: the items are labels, so that the neighbours can vote for the query's (category.py); what stands
            in the place of chance is then naming the most frequent ones.
    """
    ks = sorted(set(params.ks))
    sizes = Sizes.within(params.memory_mb, queries, gallery)
    parts = [
        {view: metrics.score(ranking, ks) for view, ranking in part.items()}
        for part in rank_chunks(queries, gallery, metric, sizes, desc)
    ]
    result: dict[str, Any] = {
        "n_queries": len(queries),
        "n_missed": int((~queries.detected).sum()),
        "gallery": len(gallery),
        "dimensions": gallery.vectors.shape[1],
        "chance": {},
    }
    categories = queries.categories.to_pylist()
    for view in VIEWS:
        scores = metrics.Scores.joined(part[view] for part in parts)
        result[view] = metrics.summary(scores, categories, params.bootstrap_samples, params.seed)
        result["chance"][view] = metrics.chance(scores, ks)
    result["n_without_match"] = result["whole_gallery"]["n_without_match"]
    if categories_too:
        result[PREDICTION], result["chance"][PREDICTION] = predict(queries, gallery, metric, params.memory_mb)
    return result


def curve_rows(result: dict[str, Any], ks: list[int]) -> list[list[Any]]:
    """Rows of ``CURVE`` for one benchmark; empty cells for a view in which no query has a match."""

    def cells(view: str, k: int) -> list[Any]:
        if not result[view]["n_scored"]:
            return [None, None]
        return [result[view][f"hit_at_{k}"], result["chance"][view][f"hit_at_{k}"]]

    return [[k, *cells("whole_gallery", k), *cells("same_superclass", k)] for k in sorted(set(ks))]


def headline(benchmark: str, result: dict[str, Any]) -> dict[str, float]:
    """The figures worth a line in the tracker."""
    figures = {view: [name for name in HEADLINE if name in result[view]] for view in VIEWS}
    figures[PREDICTION] = [f"top_{top}" for top in TOPS if f"top_{top}" in result.get(PREDICTION, {})]
    return {f"{benchmark}.{view}.{name}": result[view][name] for view, names in figures.items() for name in names}
