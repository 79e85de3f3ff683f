"""The ranking of a query: its first results with their scores, and the rank of the best right one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stages.core.errors import StageError
from stages.page.lookup import Profile, unknown
from stages.retrieval.metrics import as_rows
from stages.retrieval.similarity import TIE, Rows, nearest, prepared, products
from stages.retrieval.vectors import PARTS, open_vectors, vectors_path

STEP = 4096  # gallery rows that are scored at a time


@dataclass(frozen=True)
class Pair:
    """A benchmark with the vectors of one encoder.

    Attributes:
        metric: cosine or euclidean.
        names: part -> row ids, items and categories as Python lists.
    """

    queries: Rows
    gallery: Rows
    metric: str
    names: dict[str, dict[str, list[Any]]]

    def place(self, row_id: str) -> int:
        """Position of a query; -1 if it is not in the benchmark."""
        ids = self.names["queries"]["row_id"]
        return ids.index(row_id) if row_id in ids else -1


def load_pair(profile: Profile, encoder: str, benchmark: str) -> Pair:
    """A benchmark's tables with an encoder's vectors, as the evaluator reads them.

    Raises:
        StageError: when there is no such encoder or benchmark, with the nearest names.
    """
    profile.benchmark(benchmark)
    encoders = profile.folders("embeddings")
    if encoder not in encoders:
        raise unknown("encoder", encoder, encoders, profile.data / "embeddings")
    sides, metrics, names = [], [], {}
    for role in PARTS:
        table, detected = profile.benchmark_rows(benchmark, role)
        file = open_vectors(vectors_path(profile.data / "embeddings" / encoder, benchmark, role))
        vectors = file.aligned(table["row_id"].combine_chunks(), detected)
        sides.append(as_rows(table, detected, vectors))
        metrics.append(file.metric or "cosine")
        names[role] = {name: table[name].to_pylist() for name in ("row_id", "item", "category")}
    if metrics[0] != metrics[1]:
        raise StageError(f"{profile.data}/embeddings/{encoder}: {benchmark} has two metrics. Run `dvc repro embed`.")
    return Pair(sides[0], sides[1], metrics[0], names)


def likeness(query: np.ndarray, other_vector: np.ndarray, metric: str) -> float:
    """The cosine of two vectors [d], or their Euclidean distance."""
    first, second = query.astype(np.float64), other_vector.astype(np.float64)
    if metric == "euclidean":
        return float(np.linalg.norm(first - second))
    lengths = np.linalg.norm(first) * np.linalg.norm(second)
    return float(first @ second / lengths) if lengths else 0.0


def rankings(pair: Pair, rows: Sequence[int], k: int) -> list[dict[str, Any]]:
    """The rankings of some queries.

    Args:
        rows: places of queries.
        k: number of results of each, ranked as by the evaluator: among equal scores, wrong rows come first.

    Returns:
        for each query ``row_id``, ``item``, ``category``; ``detected``; ``results``: ``row_id``, ``correct`` and
        ``score`` (cosine, or Euclidean distance) of each; ``match``: ``row_id``, ``rank`` and ``score`` of the best
        right row, None where the gallery has none or nothing was detected; ``matches``: how many right rows there are.
    """
    queries, gallery, names = pair.queries, pair.gallery, pair.names
    detected = [row for row in rows if queries.detected[row]]
    nearest_rows = nearest(queries, gallery, pair.metric, detected, k) if detected else {}
    of_queries, of_gallery = prepared(queries, gallery, pair.metric)
    of_item = np.array([str(entry) if entry is not None else "" for entry in names["gallery"]["item"]], dtype=object)
    ids = np.array(names["gallery"]["row_id"], dtype=object)
    longest = of_gallery.squares.max(initial=0)
    every = products(of_queries.double(detected), of_gallery, STEP) if detected else np.zeros((0, len(ids)))
    scored = dict(zip(detected, every, strict=True))
    result = []
    for row in rows:
        row_id, item = names["queries"]["row_id"][row], names["queries"]["item"][row]
        allowed = ids != row_id
        right = allowed & (of_item == str(item)) if item is not None else np.zeros(len(ids), bool)
        entry: dict[str, Any] = {
            "row_id": row_id, "item": item, "category": names["queries"]["category"][row],
            "detected": bool(queries.detected[row]), "matches": int(right.sum()), "results": [], "match": None,
        }  # fmt: skip
        if entry["detected"]:
            scores = scored[row]
            if pair.metric == "euclidean":
                scores = scores - of_queries.squares[row]
            vector = queries.vectors[row]
            entry["results"] = [
                {
                    "row_id": str(ids[at]),
                    "correct": correct,
                    "score": likeness(vector, gallery.vectors[at], pair.metric),
                }
                for at, correct in nearest_rows[row]
            ]
            if right.any():
                best = int(np.flatnonzero(right)[scores[right].argmax()])
                equal = scores >= scores[best] - TIE * (of_queries.squares[row] + longest)
                rank = 1 + int((allowed & ~right & equal).sum())
                score = likeness(vector, gallery.vectors[best], pair.metric)
                entry["match"] = {"row_id": str(ids[best]), "rank": rank, "score": score}
        result.append(entry)
    return result
