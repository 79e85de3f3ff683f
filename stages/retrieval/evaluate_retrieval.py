"""Score every encoder on every benchmark, by the one evaluator (metrics.py).

Reads:  EMBEDDINGS/<encoder>/<benchmark>-queries.parquet and -gallery.parquet; where embed ran with flip, plain/ below
        it, and where the encoder attends to regions, regions/<k>/ (regions.py); BENCHMARKS/<benchmark>/; an encoder's
        card and the header of its weights in ENCODERS/<encoder>/.
Writes: METRICS/<encoder>.json: hit@1 on each benchmark that asks for the same garment; METRICS/labels/<encoder>.json:
        on each that asks for a garment with the same label. ``chance`` is one of the encoders.
        PLOTS/hit_at_k.csv: benchmark, encoder, k, hit; chance too.
        REPORT/<encoder>.json: every figure of every benchmark (metrics.py), with flip on and off, by region, of
        category prediction, and about the encoder; REPORT/<encoder>/<benchmark>.jpg: what queries, evenly
        chosen by id, found.
Params: encoders, benchmarks (the lists), evaluate.

Vectors that someone else computed are scored by the same evaluator (external.py):
    python -m stages.run score_vectors --embeddings FILE --benchmark NAME
"""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from math import prod
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from PIL import Image
from safetensors import SafetensorError, safe_open

from stages.contracts.images import resized
from stages.core.errors import StageError, shown
from stages.core.files import fresh_folder, read_json, write_csv, write_json
from stages.core.parallel import in_processes
from stages.core.params import Names
from stages.retrieval.category import KINDS
from stages.retrieval.metrics import EvaluateParams, as_rows, curve_rows, evaluate, read_table_rows
from stages.retrieval.regions import Pair, by_region
from stages.retrieval.similarity import Rows, nearest
from stages.retrieval.vectors import on_and_off, open_vectors, vectors_path
from stages.runner.progress import say
from stages.runner.stage import Report, Stage

# BatchNorm's statistics: in the weights file, but nothing that is learned by a gradient.
BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


def parameter_count(weights: Path) -> int:
    """Numbers in a safetensors file less BatchNorm's statistics, from its header alone.

    Raises:
        StageError: when the file is no safetensors file.
    """
    try:
        with safe_open(weights, framework="numpy") as file:
            shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (OSError, SafetensorError) as error:
        raise StageError(f"{weights}: not a safetensors file: {error}. Run `dvc repro`.") from None
    return sum(prod(shape) for name, shape in shapes.items() if name.rsplit(".", 1)[-1] not in BUFFERS)


def encoder_parameters(folder: Path) -> int | None:
    """Parameters of all weights of an encoder; None when it has no weights of its own."""
    files = sorted(folder.glob("*.safetensors"))
    return sum(parameter_count(path) for path in files) if files else None


ON_VALIDATION = {"val_hit_at_1": "hit@1", "val_knn": "k-NN accuracy"}  # what an encoder is held to its start by


def on_validation(folder: Path) -> dict[str, Any] | None:
    """``figure``, ``before`` training and ``kept``: hit@1 on validation, or k-NN accuracy where it knows no items.

    None for what was not trained from a start that was scored.
    """
    scores = read_json(folder / "scores.json") if (folder / "scores.json").is_file() else {}
    for key, figure in ON_VALIDATION.items():
        if {key, f"{key}_before"} <= set(scores):
            return {"figure": figure, "before": scores[f"{key}_before"], "kept": scores[key]}
    return None


def about_encoder(folder: Path) -> dict[str, Any]:
    """What is known of a trained encoder.

    Returns:
        parameters; image_size: pixels of the pictures' (longer) side; kept_epoch: 0 = the weights it started from;
        on_validation: see there.
    """
    card = read_json(folder / "encoder.json") if (folder / "encoder.json").is_file() else {}
    found = {
        "parameters": encoder_parameters(folder),
        "image_size": card.get("image_size"),
        "kept_epoch": card.get("epoch"),
        "on_validation": on_validation(folder),
    }
    return {name: value for name, value in found.items() if value is not None}


THUMBNAIL = 72  # pixels, frame included: a row of six fits a narrow report column
FRAME = 4
GAP = 4
# Okabe and Ito's colours, told apart by colour-blind readers as well.
QUERY, RIGHT, WRONG = (120, 120, 120), (0, 158, 115), (213, 94, 0)


@dataclass(frozen=True)
class Shown:
    """One row of the picture: encoded query, encoded results with whether each is correct, best first."""

    query: bytes
    results: list[tuple[bytes, bool]]


def evenly(count: int, wanted: int) -> list[int]:
    """Up to ``wanted`` positions spread evenly over ``count``, first and last included: neither best nor worst."""
    if count <= wanted:
        return list(range(count))
    if wanted == 1:
        return [0]
    return [place * (count - 1) // (wanted - 1) for place in range(wanted)]


def framed(data: bytes, color: tuple[int, int, int]) -> Image.Image:
    """A thumbnail of an encoded image with a frame."""
    tile = Image.new("RGB", (THUMBNAIL, THUMBNAIL), color)
    inside = THUMBNAIL - 2 * FRAME
    tile.paste(resized(data, inside, inside), (FRAME, FRAME))
    return tile


def retrieval_sheet(rows: Sequence[Shown]) -> Image.Image:
    """One line for each query: the query (grey frame), then its results (green = right, vermilion = wrong)."""
    step = THUMBNAIL + GAP
    columns = 1 + max(len(row.results) for row in rows)
    # A wider gap after the query sets it apart from its results.
    sheet = Image.new("RGB", (columns * step + 2 * GAP, len(rows) * step + GAP), "white")
    for line, row in enumerate(rows):
        top = GAP + line * step
        sheet.paste(framed(row.query, QUERY), (GAP, top))
        for place, (data, correct) in enumerate(row.results, start=1):
            sheet.paste(framed(data, RIGHT if correct else WRONG), (2 * GAP + place * step, top))
    return sheet


SHOWN_QUERIES, SHOWN_RESULTS = 6, 5
CHANCE, HEADLINE, VIEW = "chance", "hit_at_1", "whole_gallery"
SHORT = "hit@1"  # its name in the metrics: five benchmarks side by side shall fit into a terminal of 160 columns
LABEL_KINDS = (*KINDS, "multilabel")  # of benchmarks: what they ask for is a label, not a garment
LABELS = "labels"  # folder of the headlines on these
Results = dict[str, dict[str, Any]]  # benchmark -> what the evaluator gave


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
        """Part -> its rows and bool [n] which of them have an image."""
        return {part: read_table_rows(self.folder / f"{part}.parquet") for part in ("queries", "gallery")}

    def with_vectors(self, embeddings: Path) -> Pair:
        """Queries, gallery and the metric, with the vectors of one encoder.

        Raises:
            StageError: when the vectors are not those of the tables' images, or the parts do not fit each other.
        """
        (queries, metric), (gallery, other) = (self._part(embeddings, part) for part in ("queries", "gallery"))
        if metric != other or queries.vectors.shape[1] != gallery.vectors.shape[1] or not gallery.detected.all():
            raise StageError(
                f"{embeddings}: queries of {self.name} have {queries.vectors.shape[1]} dimensions and metric {metric}, "
                f"the gallery {gallery.vectors.shape[1]} and {other}, {int((~gallery.detected).sum())} gallery rows "
                "have no image. Run `dvc repro` to embed them again."
            )
        return queries, gallery, metric

    def _part(self, embeddings: Path, part: str) -> tuple[Rows, str]:
        path = vectors_path(embeddings, self.name, part)
        (table, detected), file = self.tables[part], open_vectors(path)
        with_image = set(table["row_id"].filter(detected).to_pylist())
        if differing := with_image ^ set(file.ids.to_pylist()):
            raise StageError(
                f"{path}: {len(file.ids)} vectors are not those of the {len(with_image)} images in "
                f"{self.folder / part}.parquet (differing: {shown(differing)}). Run `dvc repro` to embed them again."
            )
        vectors = file.aligned(table["row_id"].combine_chunks(), detected)
        return as_rows(table, detected, vectors), file.metric or "cosine"


def images(path: Path, ids: set[str]) -> dict[str, bytes]:
    """Encoded images of a benchmark table by row id."""
    table = pq.read_table(path, columns=["row_id", "bytes"], filters=[("row_id", "in", sorted(ids))])
    return dict(zip(table["row_id"].to_pylist(), table["bytes"].to_pylist(), strict=True))


def picture_rows(pair: Pair, folder: Path) -> list[Shown]:
    """A few detected queries that have a match, evenly spread by id, with what they found in the whole gallery."""
    queries, gallery, metric = pair
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


def score(benchmark: Benchmark, embeddings: Path, params: EvaluateParams, picture: Path) -> dict[str, Any]:
    """Every figure of one encoder on one benchmark; what a few queries found is drawn into ``picture``."""
    whole = benchmark.with_vectors(embeddings)
    votes = benchmark.kind in KINDS

    def brief(pair: Pair, votes: bool = False) -> dict[str, Any]:
        return evaluate(*pair, params, f"ranking {benchmark.name} otherwise", votes, brief=True)

    result = evaluate(*whole, params, f"ranking {benchmark.name}", votes)
    if rows := picture_rows(whole, benchmark.folder):
        picture.parent.mkdir(parents=True, exist_ok=True)
        retrieval_sheet(rows).save(picture)
    if flip := on_and_off(result, embeddings, lambda plain: brief(benchmark.with_vectors(plain), votes)):
        result["flip"] = flip
    return result | by_region(embeddings, benchmark.with_vectors, brief, whole)


def score_all(args: Namespace, params: SimpleNamespace, benchmark: Benchmark) -> dict[str, dict[str, Any]]:
    """Encoder -> its figures on one benchmark."""
    return {
        encoder: score(benchmark, args.embeddings / encoder, params.evaluate, picture_path(args, encoder, benchmark))
        for encoder in params.encoders
    }


def picture_path(args: Namespace, encoder: str, benchmark: Benchmark) -> Path:
    """Where the picture of an encoder on a benchmark goes."""
    return args.report / encoder / f"{benchmark.name}.jpg"


def with_chance(results: Mapping[str, Results]) -> dict[str, Results]:
    """Encoder -> results, the level of chance as one more encoder: it is the same for all of them."""
    first = next(iter(results.values()), {})
    return {**results, CHANCE: {name: result["chance"] for name, result in first.items()}}


def headlines(results: Results, names: list[str]) -> dict[str, dict[str, float]]:
    """Benchmark -> hit@1, for those of ``names`` in which a query has a match."""
    return {name: {SHORT: results[name][VIEW][HEADLINE]} for name in names if HEADLINE in results[name].get(VIEW, {})}


def write_headlines(results: Mapping[str, Results], benchmarks: list[Benchmark], folder: Path) -> None:
    """One small file for each encoder, and one for chance; those about labels in a folder of their own."""
    fresh_folder(folder)
    labelled = [one.name for one in benchmarks if one.kind in LABEL_KINDS]
    garments = [one.name for one in benchmarks if one.kind not in LABEL_KINDS]
    for names, place in ((garments, folder), (labelled, folder / LABELS)):
        for encoder, own in with_chance(results).items() if names else ():
            write_json(place / f"{encoder}.json", headlines(own, names))


def main(args: Namespace, params: SimpleNamespace) -> Report:
    """Score, write, and say who leads each benchmark.

    Raises:
        StageError: for an encoder with the name of the row of chance.
    """
    if CHANCE in params.encoders:
        raise StageError(f"params.yaml: an encoder is called {CHANCE!r}, as is the level of chance beside it. Rename.")
    benchmarks = [Benchmark(name, args.benchmarks / name) for name in params.benchmarks]
    fresh_folder(args.report)
    about = {encoder: about_encoder(args.encoders / encoder) for encoder in params.encoders}
    results: dict[str, Results] = {encoder: {} for encoder in params.encoders}
    report = Report()
    curves: list[list[Any]] = []
    for benchmark, found in zip(benchmarks, in_processes(partial(score_all, args, params), benchmarks), strict=True):
        name = benchmark.name
        for encoder, result in found.items():
            results[encoder][name] = result | about[encoder]
            picture = picture_path(args, encoder, benchmark)
            report.pictures += [picture] if picture.is_file() else []
        of_all = {encoder: own[name].get(VIEW, {}) for encoder, own in with_chance(results).items()}
        curves += [[name, *row] for row in curve_rows(of_all)]
        hits = {encoder: scores[HEADLINE] for encoder, scores in of_all.items() if HEADLINE in scores}
        report.metrics |= {f"{encoder}.{name}.{HEADLINE}": value for encoder, value in hits.items()}
        if chance := hits.pop(CHANCE, None):
            best = max(hits, key=lambda encoder: hits[encoder])
            say(f"{name}: {best} leads {len(hits)} encoders, hit@1 {hits[best]:.3f} (chance {chance:.3f})")
    for encoder, own in results.items():
        write_json(args.report / f"{encoder}.json", own)
    write_headlines(results, benchmarks, args.metrics)
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
