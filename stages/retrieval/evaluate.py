"""Score one encoder on every benchmark, by the one evaluator (rules: search.py, formulas: metrics.py).

Reads:  EMBEDDINGS_DIR/<name>-queries.parquet and -gallery.parquet, BENCHMARKS_DIR/<name>/ for each name in the list
        ``benchmarks``.
Writes: METRICS_PREFIX.json; METRICS_PREFIX/<name>.csv (hit@k beside chance) and METRICS_PREFIX/<name>.jpg (what
        queries, evenly chosen by id, found).
Params: benchmarks (the list), evaluate.
"""

from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from pydantic import Field, PositiveInt

from stages.core.errors import StageError, shown
from stages.core.files import fresh_folder, write_csv, write_json
from stages.core.params import Section
from stages.core.progress import say
from stages.core.stage import Report, run_stage
from stages.core.tables import read_table
from stages.retrieval import metrics
from stages.retrieval.pictures import Shown, evenly, retrieval_sheet
from stages.retrieval.search import Rows, nearest, rank_relevant
from stages.retrieval.vectors import benchmark_names, null_bytes, read_vectors, vectors_path

VIEWS = {"whole_gallery": False, "same_superclass": True}  # name -> gallery restricted to the query's category
SHOWN_QUERIES, SHOWN_RESULTS = 6, 5


class EvaluateParams(Section):
    """How encoders are scored."""

    ks: list[PositiveInt] = Field(min_length=1)
    bootstrap_samples: PositiveInt
    seed: int
    chunk_rows: PositiveInt


def read_rows(table_path: Path, vectors_file: Path) -> tuple[Rows, str]:
    """One part of a benchmark with its vectors in the order of the table, and the metric.

    Raises:
        StageError: when the vectors are not those of the table's images.
    """
    table = read_table(table_path, columns=["row_id", "item", "category"])
    ids = table["row_id"].to_pylist()
    detected = ~null_bytes(table_path)
    vector_ids, vectors, metric = read_vectors(vectors_file)
    place = {row_id: at for at, row_id in enumerate(vector_ids)}
    with_image = {row_id for row_id, there in zip(ids, detected, strict=True) if there}
    if place.keys() != with_image or len(place) != len(vector_ids):
        raise StageError(
            f"{vectors_file}: {len(vector_ids)} vectors are not those of the {len(with_image)} images in {table_path} "
            f"(differing: {shown(place.keys() ^ with_image)}). Run `dvc repro` to embed them again."
        )
    aligned = np.zeros((len(ids), vectors.shape[1]), np.float32)
    aligned[detected] = vectors[[place[row_id] for row_id, there in zip(ids, detected, strict=True) if there]]
    return Rows(ids, table["item"].to_pylist(), table["category"].to_pylist(), aligned, detected), metric


def read_benchmark(folder: Path, embeddings: Path, name: str) -> tuple[Rows, Rows, str]:
    """Queries, gallery and the metric of one benchmark."""
    queries, metric = read_rows(folder / "queries.parquet", vectors_path(embeddings, name, "queries"))
    gallery, gallery_metric = read_rows(folder / "gallery.parquet", vectors_path(embeddings, name, "gallery"))
    if metric != gallery_metric or queries.vectors.shape[1] != gallery.vectors.shape[1] or not gallery.detected.all():
        raise StageError(
            f"{embeddings}: queries of {name} have {queries.vectors.shape[1]} dimensions and metric {metric}, the "
            f"gallery {gallery.vectors.shape[1]} and {gallery_metric}, {int((~gallery.detected).sum())} gallery rows "
            "have no image. Run `dvc repro` to embed them again."
        )
    return queries, gallery, metric


def evaluate(queries: Rows, gallery: Rows, metric: str, params: EvaluateParams) -> dict[str, Any]:
    """All figures of one benchmark: both views of the gallery, each beside the level of chance."""
    ks = sorted(set(params.ks))
    result: dict[str, Any] = {
        "n_queries": len(queries),
        "n_missed": int((~queries.detected).sum()),
        "gallery": len(gallery),
        "chance": {},
    }
    for view, same_category in VIEWS.items():
        ranking = rank_relevant(queries, gallery, metric, params.chunk_rows, same_category)
        result[view] = metrics.summary(ranking, queries.categories, ks, params.bootstrap_samples, params.seed)
        result["chance"][view] = metrics.chance(ranking, ks)
    result["n_without_match"] = result["whole_gallery"]["n_without_match"]
    return result


CURVE = ("k", "hit", "chance", "hit_same_superclass", "chance_same_superclass")


def curve_rows(result: dict[str, Any], ks: list[int]) -> list[list[Any]]:
    """Rows of ``CURVE`` for one benchmark; empty cells for a view in which no query has a match."""

    def cells(view: str, k: int) -> list[Any]:
        if not result[view]["n_scored"]:
            return [None, None]
        return [result[view][f"hit_at_{k}"], result["chance"][view][f"hit_at_{k}"]]

    return [[k, *cells("whole_gallery", k), *cells("same_superclass", k)] for k in sorted(set(ks))]


def images(path: Path, ids: set[str]) -> dict[str, bytes]:
    """Encoded images of a benchmark table by row id."""
    table = pq.read_table(path, columns=["row_id", "bytes"], filters=[("row_id", "in", sorted(ids))])
    return dict(zip(table["row_id"].to_pylist(), table["bytes"].to_pylist(), strict=True))


def picture_rows(queries: Rows, gallery: Rows, metric: str, folder: Path) -> list[Shown]:
    """A few detected queries that have a match, evenly spread by id, with what they found in the whole gallery."""
    findable = set(gallery.items)
    candidates = [row for row in np.argsort(queries.ids) if queries.detected[row] and queries.items[row] in findable]
    if not candidates:
        return []
    chosen = [candidates[place] for place in evenly(len(candidates), SHOWN_QUERIES)]
    found = {row: nearest(queries, gallery, metric, row, SHOWN_RESULTS) for row in chosen}
    of_query = images(folder / "queries.parquet", {queries.ids[row] for row in chosen})
    of_gallery = images(folder / "gallery.parquet", {gallery.ids[at] for hits in found.values() for at, _ in hits})
    return [
        Shown(of_query[queries.ids[row]], [(of_gallery[gallery.ids[at]], correct) for at, correct in hits])
        for row, hits in found.items()
    ]


def headline(benchmark: str, result: dict[str, Any]) -> dict[str, float]:
    """The figures worth a line in the tracker."""
    return {
        f"{benchmark}.{view}.{name}": result[view][name]
        for view in VIEWS
        for name in ("hit_at_1", "map", "mrr")
        if name in result[view]
    }


def main(args: Namespace, params: SimpleNamespace) -> Report:
    """Score each benchmark, write figures, curve and pictures."""
    report = Report()
    plots = fresh_folder(args.prefix)
    results: dict[str, Any] = {}
    for name in benchmark_names():
        folder = args.benchmarks / name
        queries, gallery, metric = read_benchmark(folder, args.embeddings, name)
        result = results[name] = evaluate(queries, gallery, metric, params.evaluate)
        write_csv(plots / f"{name}.csv", list(CURVE), curve_rows(result, params.evaluate.ks))
        report.metrics |= headline(name, result)
        if rows := picture_rows(queries, gallery, metric, folder):
            retrieval_sheet(rows).save(plots / f"{name}.jpg")
            report.pictures.append(plots / f"{name}.jpg")
        figures = ", ".join(f"{key.split('.', 1)[1]} {value:.3f}" for key, value in headline(name, result).items())
        missed = f"{result['n_missed']} of {result['n_queries']} queries missed"
        say(f"{args.encoder} on {name}: {figures}; {missed}, {result['n_without_match']} without a match")
    write_json(Path(f"{args.prefix}.json"), results)
    return report


if __name__ == "__main__":
    run_stage(main, ["encoder", "embeddings", "benchmarks", "prefix"], {"evaluate": ("evaluate", EvaluateParams)})
