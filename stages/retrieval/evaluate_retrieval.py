"""Score every encoder on every benchmark with the evaluator in metrics.py.

Reads:  EMBEDDINGS/<encoder>/<benchmark>-queries.parquet and -gallery.parquet; where embed ran with flip, plain/ below
        it, and where the encoder attends to regions, regions/<k>/ (regions.py); BENCHMARKS/<benchmark>/; an encoder's
        card and the header of its weights in ENCODERS/<encoder>/.
Writes: METRICS/<encoder>.json: hit@1 on each benchmark in which the same garment is correct;
        METRICS/labels/<encoder>.json: on those in which a garment with the same label is. ``chance`` is one encoder.
        PLOTS/hit_at_k.csv: benchmark, encoder, k, hit; also for chance.
        REPORT/clean.csv, for benchmarks in which queries nearly repeat training pictures: hit@1 and mAP of each encoder
        on all queries (published) and without those (clean), and their number.
        REPORT/softmax.csv: category prediction by the encoders' own softmax, with chance and the majority.
        REPORT/<encoder>.json: all scores on every benchmark (metrics.py), with and without flip, by region, of category
        prediction, by the gallery's index where it has one (by_index.py), and facts about the encoder;
        REPORT/<encoder>/<benchmark>.jpg: results of a few queries, evenly chosen by id.
Params: encoders, benchmarks (the lists), evaluate.

Vectors that someone else computed are scored by the same evaluator (score_vectors.py):
    python -m stages.run score_vectors --embeddings FILE --benchmark NAME
"""

import logging
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from math import prod
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
from safetensors import SafetensorError, safe_open

from stages.core.errors import StageError, shown
from stages.core.files import fresh_folder, read_json, write_csv, write_json
from stages.core.parallel import in_processes
from stages.core.params import Names
from stages.retrieval.by_index import log_line, scores_by_index
from stages.retrieval.catalogue import LEADING, Place, shown_at
from stages.retrieval.category import CATEGORY_KINDS, TOPS, softmax_figures
from stages.retrieval.comparison import on_and_off
from stages.retrieval.metrics import EvaluateParams, as_rows, curve_rows, evaluate, read_table_rows
from stages.retrieval.regions import Pair, by_region
from stages.retrieval.result_sheet import retrieval_sheet, shown_rows
from stages.retrieval.similarity import Rows
from stages.retrieval.vectors import PLAIN, SOFTMAX, index_path, open_vectors, vectors_path
from stages.runner.stage import Report, Stage

log = logging.getLogger(__name__)

# BatchNorm's statistics are in the weights file, but are no parameters.
BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


def parameter_count(weights: Path) -> int:
    """Parameters in a safetensors file, without BatchNorm's statistics, counted from its header.

    Raises:
        StageError: the file is no safetensors file.
    """
    try:
        with safe_open(weights, framework="numpy") as file:
            shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (OSError, SafetensorError) as error:
        raise StageError(f"{weights}: not a safetensors file: {error}. Run `dvc repro`.") from None
    return sum(prod(shape) for name, shape in shapes.items() if name.rsplit(".", 1)[-1] not in BUFFERS)


def encoder_parameters(folder: Path) -> int | None:
    """Number of an encoder's parameters; None when it has no weights file."""
    files = sorted(folder.glob("*.safetensors"))
    return sum(parameter_count(path) for path in files) if files else None


def card_in(folder: Path) -> dict[str, Any]:
    """The card of a trained encoder; empty if it has none."""
    return read_json(folder / "encoder.json") if (folder / "encoder.json").is_file() else {}


ON_VALIDATION = {"val_hit_at_1": LEADING.label, "val_knn": "k-NN accuracy"}  # the first that an encoder has counts


def on_validation(folder: Path) -> dict[str, Any] | None:
    """``figure``, ``before`` training and ``kept``: hit@1 on validation, or k-NN accuracy where there are no items.

    None if the encoder was not trained, or was not scored before training.
    """
    scores = read_json(folder / "scores.json") if (folder / "scores.json").is_file() else {}
    for key, figure in ON_VALIDATION.items():
        if {key, f"{key}_before"} <= set(scores):
            return {"figure": figure, "before": scores[f"{key}_before"], "kept": scores[key]}
    return None


def about_encoder(folder: Path) -> dict[str, Any]:
    """Facts about a trained encoder.

    Returns:
        parameters; image_size: pixels of the pictures' (longer) side; kept_epoch: 0 = the weights it started from;
        on_validation: see the function.
    """
    card = card_in(folder)
    facts = {
        "parameters": encoder_parameters(folder),
        "image_size": card.get("image_size"),
        "kept_epoch": card.get("epoch"),
        "on_validation": on_validation(folder),
    }
    return {name: value for name, value in facts.items() if value is not None}


CHANCE, VIEW = "chance", "whole_gallery"
# Key -> label of what the metrics files show: short, so that five benchmarks fit into a terminal of 160 columns.
SHORT = {measure.key: measure.label for measure in shown_at(Place.METRICS)}
LABEL_KINDS = (*CATEGORY_KINDS, "multilabel")  # kinds of benchmark in which a label decides, not the garment
LABELS = "labels"  # folder of the key metrics on these benchmarks
Results = dict[str, dict[str, Any]]  # benchmark -> result of the evaluator


@dataclass(frozen=True)
class Benchmark:
    """A benchmark's tables, read once for all encoders."""

    name: str
    folder: Path

    @cached_property
    def kind(self) -> str:
        """Its kind, from benchmark.json."""
        return read_json(self.folder / "benchmark.json")["kind"]

    @cached_property
    def tables(self) -> dict[str, tuple[pa.Table, np.ndarray]]:
        """queries and gallery -> their rows, and bool [n] which of them have an image."""
        return {name: read_table_rows(self.folder / f"{name}.parquet") for name in ("queries", "gallery")}

    def with_vectors(self, embeddings: Path) -> Pair:
        """Queries, gallery and the metric, with the vectors of one encoder.

        Raises:
            StageError: the vectors are not those of the tables' images, or queries and gallery do not fit each other.
        """
        (queries, metric), (gallery, gallery_metric) = (
            self._rows_of(embeddings, name) for name in ("queries", "gallery")
        )
        if (
            metric != gallery_metric
            or queries.vectors.shape[1] != gallery.vectors.shape[1]
            or not gallery.detected.all()
        ):
            raise StageError(
                f"{embeddings}: queries of {self.name} have {queries.vectors.shape[1]} dimensions and metric {metric}, "
                f"the gallery {gallery.vectors.shape[1]} and {gallery_metric}, {int((~gallery.detected).sum())} "
                "gallery rows have no image. Run `dvc repro` to embed them again."
            )
        return queries, gallery, metric

    def _rows_of(self, embeddings: Path, name: str) -> tuple[Rows, str]:
        path = vectors_path(embeddings, self.name, name)
        (table, detected), file = self.tables[name], open_vectors(path)
        with_image = set(table["row_id"].filter(detected).to_pylist())
        if differing := with_image ^ set(file.ids.to_pylist()):
            raise StageError(
                f"{path}: {len(file.ids)} vectors are not those of the {len(with_image)} images in "
                f"{self.folder / name}.parquet (differing: {shown(differing)}). Run `dvc repro` to embed them again."
            )
        vectors = file.aligned(table["row_id"].combine_chunks(), detected)
        return as_rows(table, detected, vectors), file.metric or "cosine"


def own_categories(benchmark: Benchmark, embeddings: Path, card: dict[str, Any], pair: Pair) -> dict[str, Any] | None:
    """Category prediction by the encoder's softmax (category.py); None when it has no category path.

    ``without_flip`` has the scores of the pictures alone, ``clean`` those without repeating queries.
    """
    queries, gallery, _ = pair
    table, detected = benchmark.tables["queries"]

    def scores_of(folder: Path, repeats: np.ndarray | None = None) -> dict[str, Any] | None:
        path = vectors_path(folder / SOFTMAX, benchmark.name, "queries")
        if not path.is_file():
            return None
        chances = open_vectors(path).aligned(table["row_id"].combine_chunks(), detected)
        return softmax_figures(chances, card["categories"], queries, gallery, repeats)

    result = scores_of(embeddings)
    if result is not None and (plain := scores_of(embeddings / PLAIN)):
        result["without_flip"] = plain
    if result is not None and queries.repeats is not None and queries.repeats.any():
        result["clean"] = scores_of(embeddings, queries.repeats)
    return result


def score(
    benchmark: Benchmark, embeddings: Path, params: EvaluateParams, picture: Path, card: dict[str, Any]
) -> dict[str, Any]:
    """All scores of one encoder on one benchmark; ``picture`` shows the results of a few queries.

    Args:
        card: of the encoder.
    """
    whole = benchmark.with_vectors(embeddings)
    votes = benchmark.kind in CATEGORY_KINDS

    def brief(pair: Pair, votes: bool = False) -> dict[str, Any]:
        return evaluate(*pair, params, f"ranking {benchmark.name} otherwise", votes, brief=True)

    result = evaluate(*whole, params, f"ranking {benchmark.name}", votes)
    if rows := shown_rows(*whole, benchmark.folder):
        picture.parent.mkdir(parents=True, exist_ok=True)
        retrieval_sheet(rows).save(picture)
    if flip := on_and_off(result, embeddings, lambda plain: brief(benchmark.with_vectors(plain), votes)):
        result["flip"] = flip
    if votes and (own := own_categories(benchmark, embeddings, card, whole)):
        result["softmax"] = own
    vectors = open_vectors(vectors_path(embeddings, benchmark.name, "gallery"))
    if by_index := scores_by_index(index_path(embeddings, benchmark.name), vectors, *whole, params.ks):
        result["ivf"] = by_index
    return result | by_region(embeddings, benchmark.with_vectors, brief, whole, params.memory_mb)


def score_all(args: Namespace, params: SimpleNamespace, benchmark: Benchmark) -> dict[str, dict[str, Any]]:
    """Encoder -> its scores on one benchmark."""
    return {
        encoder: score(
            benchmark,
            args.embeddings / encoder,
            params.evaluate,
            picture_path(args, encoder, benchmark),
            card_in(args.encoders / encoder),
        )
        for encoder in params.encoders
    }


def picture_path(args: Namespace, encoder: str, benchmark: Benchmark) -> Path:
    """Path of the picture of an encoder on a benchmark."""
    return args.report / encoder / f"{benchmark.name}.jpg"


def with_chance(results: Mapping[str, Results]) -> dict[str, Results]:
    """Encoder -> results, with chance as one more encoder, as it is the same for all."""
    first = next(iter(results.values()), {})
    return {**results, CHANCE: {name: result["chance"] for name, result in first.items()}}


def key_metrics(results: Results, names: list[str]) -> dict[str, dict[str, float]]:
    """Benchmark -> what the metrics files show, for those of ``names`` in which a query has a match."""
    shown = {name: results[name].get(VIEW, {}) for name in names}
    key_scores = {name: {SHORT[key]: scores[key] for key in SHORT if key in scores} for name, scores in shown.items()}
    return {name: numbers for name, numbers in key_scores.items() if numbers}


_CLEAN = [measure.key for measure in shown_at(Place.CLEAN)]
CLEAN_COLUMNS = ["benchmark", "encoder", "queries", "left_out", *_CLEAN, *(f"{key}_clean" for key in _CLEAN)]


def clean_rows(results: Mapping[str, Results]) -> list[list[Any]]:
    """Rows of ``CLEAN_COLUMNS``, for benchmarks whose queries repeat training pictures."""
    rows: list[list[Any]] = []
    for encoder, own in results.items():
        for name, result in own.items():
            if clean := result.get("clean"):
                both = [scores.get(key) for scores in (result[VIEW], clean[VIEW]) for key in _CLEAN]
                rows.append([name, encoder, result["n_queries"], clean["n_left_out"], *both])
    return sorted(rows, key=lambda row: row[0])


_COUNTS = ["n_scored", "n_unknown", "classes", "known"]
_SHARES = [f"{of}top_{top}" for of in ("", "chance_", "majority_") for top in TOPS]
SOFTMAX_COLUMNS = ["benchmark", "encoder", "view", *_COUNTS, *_SHARES]


def softmax_rows(results: Mapping[str, Results]) -> list[list[Any]]:
    """Rows of ``SOFTMAX_COLUMNS``: view is published, clean, or without_flip; of encoders with a category path."""
    rows: list[list[Any]] = []
    for encoder, own in results.items():
        for name, result in own.items():
            of_view = {"published": result.get("softmax", {})}
            of_view |= {view: of_view["published"].get(view) for view in ("clean", "without_flip")}
            rows += [
                [name, encoder, view, *(scores.get(key) for key in SOFTMAX_COLUMNS[3:])]
                for view, scores in of_view.items()
                if scores
            ]
    return sorted(rows, key=lambda row: row[0])


def write_key_metrics(results: Mapping[str, Results], benchmarks: list[Benchmark], folder: Path) -> None:
    """Write one small file for each encoder and for chance; those about labels into their own folder."""
    fresh_folder(folder)
    labeled = [benchmark.name for benchmark in benchmarks if benchmark.kind in LABEL_KINDS]
    garments = [benchmark.name for benchmark in benchmarks if benchmark.kind not in LABEL_KINDS]
    for names, place in ((garments, folder), (labeled, folder / LABELS)):
        for encoder, own in with_chance(results).items() if names else ():
            write_json(place / f"{encoder}.json", key_metrics(own, names))


def main(args: Namespace, params: SimpleNamespace) -> Report:
    """Score, write, and log the best encoder on each benchmark.

    Raises:
        StageError: an encoder is called like the row of chance.
    """
    if CHANCE in params.encoders:
        raise StageError(f"params.yaml: an encoder is called {CHANCE!r}, as is the row of chance. Rename it.")
    benchmarks = [Benchmark(name, args.benchmarks / name) for name in params.benchmarks]
    fresh_folder(args.report)
    about = {encoder: about_encoder(args.encoders / encoder) for encoder in params.encoders}
    results: dict[str, Results] = {encoder: {} for encoder in params.encoders}
    report = Report()
    curves: list[list[Any]] = []
    for benchmark, of_encoder in zip(
        benchmarks, in_processes(partial(score_all, args, params), benchmarks), strict=True
    ):
        name = benchmark.name
        for encoder, result in of_encoder.items():
            results[encoder][name] = result | about[encoder]
            if "ivf" in result:
                log.info(log_line(encoder, name, result.get(VIEW, {}), result["ivf"]))
            picture = picture_path(args, encoder, benchmark)
            report.pictures += [picture] if picture.is_file() else []
        of_all = {encoder: own[name].get(VIEW, {}) for encoder, own in with_chance(results).items()}
        curves += [[name, *row] for row in curve_rows(of_all)]
        for encoder, scores in of_all.items():
            report.metrics |= {f"{encoder}.{name}.{key}": scores[key] for key in SHORT if key in scores}
        led = {encoder: scores[LEADING.key] for encoder, scores in of_all.items() if LEADING.key in scores}
        if chance := led.pop(CHANCE, None):
            top = min(led.values(), key=LEADING.order)
            best = ", ".join(encoder for encoder, value in led.items() if value == top)
            log.info(f"{name}: {best} first of {len(led)} encoders, {LEADING.label} {top:.3f} (chance {chance:.3f})")
    for encoder, own in results.items():
        write_json(args.report / f"{encoder}.json", own)
    write_csv(args.report / "clean.csv", CLEAN_COLUMNS, clean_rows(results))
    write_csv(args.report / "softmax.csv", SOFTMAX_COLUMNS, softmax_rows(results))
    write_key_metrics(results, benchmarks, args.metrics)
    write_csv(fresh_folder(args.plots) / "hit_at_k.csv", ["benchmark", "encoder", "k", "hit"], curves)
    return report


STAGE = Stage(
    main,
    ["embeddings", "benchmarks", "encoders", "metrics", "plots", "report"],
    {
        "encoders": ("encoders", Names),
        "benchmarks": ("benchmarks", Names),
        "evaluate": ("evaluate", EvaluateParams),
    },
)
