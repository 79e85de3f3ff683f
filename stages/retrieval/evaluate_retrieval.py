"""Score one encoder on every benchmark, by the one evaluator (scoring.py).

Reads:  EMBEDDINGS_DIR/<name>-queries.parquet and -gallery.parquet, BENCHMARKS_DIR/<name>/ for each name in the list
        ``benchmarks``; where embed ran with flip, EMBEDDINGS_DIR/plain/ too: the figures without it stand beside; where
        the encoder attends to regions, EMBEDDINGS_DIR/regions/<k>/ too (regions.py). Where a benchmark's items are
        labels by its benchmark.json, the neighbours' vote for them is scored as well (category.py).
Writes: METRICS_PREFIX.json; METRICS_PREFIX/<name>.csv (hit@k beside chance) and METRICS_PREFIX/<name>.jpg (what
        queries, evenly chosen by id, found).
Params: benchmarks (the list), evaluate.

Vectors that someone else computed are scored by the same evaluator (external.py):
    python -m stages.run score_vectors --embeddings FILE --benchmark NAME
"""

from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from stages.core.errors import StageError, shown
from stages.core.files import fresh_folder, write_csv, write_json
from stages.retrieval.category import predicts_categories
from stages.retrieval.evaluator import CURVE, EvaluateParams, as_rows, curve_rows, evaluate, headline, read_table_rows
from stages.retrieval.flip import on_and_off
from stages.retrieval.gallery import Shown, evenly, retrieval_sheet
from stages.retrieval.regions import by_region
from stages.retrieval.similarity import Rows, nearest
from stages.retrieval.vectors import benchmark_names, open_vectors, vectors_path
from stages.runner.progress import say
from stages.runner.stage import Report, Stage

SHOWN_QUERIES, SHOWN_RESULTS = 6, 5


def read_rows(table_path: Path, vectors_file: Path) -> tuple[Rows, str]:
    """One part of a benchmark with its vectors in the order of the table, and the metric.

    Raises:
        StageError: when the vectors are not those of the table's images.
    """
    table, detected = read_table_rows(table_path)
    file = open_vectors(vectors_file)
    with_image = set(table["row_id"].filter(detected).to_pylist())
    if differing := with_image ^ set(file.ids.to_pylist()):
        raise StageError(
            f"{vectors_file}: {len(file.ids)} vectors are not those of the {len(with_image)} images in {table_path} "
            f"(differing: {shown(differing)}). Run `dvc repro` to embed them again."
        )
    return as_rows(table, detected, file.aligned(table["row_id"].combine_chunks(), detected)), file.metric or "cosine"


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


def images(path: Path, ids: set[str]) -> dict[str, bytes]:
    """Encoded images of a benchmark table by row id."""
    table = pq.read_table(path, columns=["row_id", "bytes"], filters=[("row_id", "in", sorted(ids))])
    return dict(zip(table["row_id"].to_pylist(), table["bytes"].to_pylist(), strict=True))


def picture_rows(queries: Rows, gallery: Rows, metric: str, folder: Path) -> list[Shown]:
    """A few detected queries that have a match, evenly spread by id, with what they found in the whole gallery."""
    findable = pc.is_in(queries.items, value_set=gallery.items.drop_null()).to_numpy(zero_copy_only=False)
    by_id = pc.sort_indices(queries.ids).to_numpy()
    candidates = by_id[(queries.detected & findable)[by_id]]
    if not len(candidates):
        return []
    chosen = [candidates[place] for place in evenly(len(candidates), SHOWN_QUERIES)]
    found = nearest(queries, gallery, metric, chosen, SHOWN_RESULTS)
    query_id = {row: queries.ids[row].as_py() for row in found}
    gallery_id = {at: gallery.ids[at].as_py() for hits in found.values() for at, _ in hits}
    of_query = images(folder / "queries.parquet", set(query_id.values()))
    of_gallery = images(folder / "gallery.parquet", set(gallery_id.values()))
    return [
        Shown(of_query[query_id[row]], [(of_gallery[gallery_id[at]], correct) for at, correct in hits])
        for row, hits in found.items()
    ]


def score_benchmark(name: str, args: Namespace, params: EvaluateParams, report: Report) -> dict[str, Any]:
    """Score one benchmark, write its curve and pictures, and put what is worth tracking into ``report``."""
    folder, plots = args.benchmarks / name, args.prefix
    whole = queries, gallery, metric = read_benchmark(folder, args.embeddings, name)
    labels = predicts_categories(folder)
    result = evaluate(queries, gallery, metric, params, f"ranking {name}", labels)
    write_csv(plots / f"{name}.csv", list(CURVE), curve_rows(result, params.ks))
    report.metrics |= headline(name, result)
    if rows := picture_rows(queries, gallery, metric, folder):
        retrieval_sheet(rows).save(plots / f"{name}.jpg")
        report.pictures.append(plots / f"{name}.jpg")

    def without_flip(plain: Path) -> dict[str, Any]:
        return evaluate(*read_benchmark(folder, plain, name), params, f"ranking {name} without flip", labels)

    if flip := on_and_off(result, args.embeddings, without_flip):
        result["flip"] = flip
    return result | by_region(
        args.embeddings,
        lambda vectors: read_benchmark(folder, vectors, name),
        lambda pair: evaluate(*pair, params, f"ranking {name} by region"),
        whole,
    )


def main(args: Namespace, params: SimpleNamespace) -> Report:
    """Score each benchmark, write figures, curves and pictures."""
    report = Report()
    fresh_folder(args.prefix)
    results: dict[str, Any] = {}
    for name in benchmark_names():
        result = results[name] = score_benchmark(name, args, params.evaluate, report)
        figures = ", ".join(f"{key.split('.', 1)[1]} {value:.3f}" for key, value in headline(name, result).items())
        missed = f"{result['n_missed']} of {result['n_queries']} queries missed"
        say(f"{args.encoder} on {name}: {figures}; {missed}, {result['n_without_match']} without a match")
    write_json(Path(f"{args.prefix}.json"), results)
    return report


STAGE = Stage(main, ["encoder", "embeddings", "benchmarks", "prefix"], {"evaluate": ("evaluate", EvaluateParams)})
