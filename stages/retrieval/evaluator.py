"""The one evaluator: figures of one set of vectors on one benchmark (rules: search.py, formulas: metrics.py)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field, PositiveInt

from stages.contracts.tables import read_table
from stages.core.params import Section, Seed
from stages.retrieval import metrics
from stages.retrieval.category import PREDICTION, predict
from stages.retrieval.ranking import SMALLEST_MB, Sizes, rank_chunks
from stages.retrieval.relevance import VIEWS
from stages.retrieval.similarity import Rows
from stages.retrieval.vectors import null_bytes


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
    brief: bool = False,
) -> dict[str, Any]:
    """All figures of one benchmark: both views of the gallery, each beside the level of chance.

    Args:
        categories_too: the items are labels, so that the neighbours can vote for the query's (category.py); what stands
            in the place of chance is then naming the most frequent ones.
        brief: leave out the figures by category and the level of chance, which are most of the work.
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
    categories = None if brief else queries.categories.to_pylist()
    for view in VIEWS:
        scores = metrics.Scores.joined(part[view] for part in parts)
        result[view] = metrics.summary(scores, categories, params.bootstrap_samples, params.seed)
        if not brief:
            result["chance"][view] = metrics.chance(scores, ks)
    result["n_without_match"] = result["whole_gallery"]["n_without_match"]
    if categories_too:
        result[PREDICTION], result["chance"][PREDICTION] = predict(queries, gallery, metric, params.memory_mb)
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
