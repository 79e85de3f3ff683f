"""Embed the queries and the gallery of every benchmark with one encoder.

Reads:  BENCHMARKS_DIR/<name>/queries.parquet and gallery.parquet for each name in the list ``benchmarks``; the
        encoder in MODEL_DIR.
Writes: OUT/<name>-queries.parquet and OUT/<name>-gallery.parquet: row_id, vector as the model gives it; the table's
        metadata names the metric. A query without an image (never detected) gets no row.
        With ``embed.flip`` these are the means of a picture's and its mirror image's vectors, and OUT/plain/ has the
        vectors of the pictures alone, so that both can be scored. OUT/regions/<k>/ has the vectors of region k, of the
        pictures alone, where the encoder attends to regions (regions.py).
Params: benchmarks (the list), embed, runtime (the memory layout).
"""

from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import PositiveInt

from stages.contracts.tables import read_table
from stages.core.determinism import seed_everything
from stages.core.errors import StageError, shown
from stages.core.files import fresh_folder
from stages.core.params import Names, Section
from stages.learning.acceleration import RuntimeParams
from stages.networks.backbones.features import mean_vectors, mirrored
from stages.retrieval.similarity import METRICS
from stages.retrieval.vectors import PARTS, PLAIN, REGIONS, vectors_path, write_vectors
from stages.runner.progress import say, track
from stages.runner.stage import Report, Stage

if TYPE_CHECKING:
    from stages.networks.backbones.features import Encoder


class EmbedParams(Section):
    """How images go through an encoder."""

    batch: PositiveInt
    flip: bool


def batches(path: Path, size: int) -> Iterator[pa.RecordBatch]:
    """Rows of a benchmark table that have an image, up to ``size`` at a time, in the order of the table."""
    columns = ["row_id", "detected_class", "bytes"]
    for batch in pq.ParquetFile(path).iter_batches(batch_size=size, columns=columns):
        batch = batch.filter(batch["bytes"].is_valid())
        if batch.num_rows:
            yield batch


def checked(vectors: np.ndarray, ids: list[str]) -> np.ndarray:
    """float32 [n, d], what an encoder returned for the rows ``ids``.

    Raises:
        StageError: when that is another shape, NaN or infinity.
    """
    if vectors.ndim != 2 or len(vectors) != len(ids):
        raise StageError(f"the encoder returned an array {list(vectors.shape)} for {len(ids)} images, expected [n, d].")
    if (bad := ~np.isfinite(vectors).all(axis=1)).any():
        raise StageError(
            f"the encoder returned NaN or infinity for: {shown(np.array(ids)[bad])}. Its training diverged: lower its "
            "learning rate and train it again."
        )
    return vectors.astype(np.float32, copy=False)


@dataclass
class Embedded:
    """One part of a benchmark: row ids [n], vectors [n, d] of the pictures and, with flip, of their mirror images.

    Attributes:
        regions: [n, K, d'] of encoders that attend to K regions.
    """

    ids: list[str]
    plain: np.ndarray
    mirrored: np.ndarray | None
    regions: np.ndarray | None = None


def embed_part(encoder: "Encoder", path: Path, params: EmbedParams, desc: str) -> Embedded | None:
    """Everything of one table that has an image; None when no row has one."""
    ids: list[str] = []
    plain: list[np.ndarray] = []
    flipped: list[np.ndarray] = []
    regions: list[np.ndarray] = []
    rows = read_table(path, columns=["row_id"]).num_rows
    for batch in track(batches(path, params.batch), -(-rows // params.batch), desc):
        own = batch["row_id"].to_pylist()
        classes = [name or "" for name in batch["detected_class"].to_pylist()]
        images = encoder.pixels.decode(batch["bytes"].to_pylist())
        if hasattr(encoder, "embed_regions"):
            vectors, attended = encoder.embed_regions(images)
            regions.append(attended)
        else:
            vectors = encoder.embed(images, classes)
        plain.append(checked(vectors, own))
        if params.flip:
            flipped.append(checked(encoder.embed(mirrored(images), classes), own))
        ids += own
    if not ids:
        return None
    optional = (np.concatenate(parts) if parts else None for parts in (flipped, regions))
    return Embedded(ids, np.concatenate(plain), *optional)


def embed_benchmark(encoder: "Encoder", name: str, folder: Path, out: Path, params: EmbedParams) -> dict[str, int]:
    """Write the vectors of one benchmark; returns how many of each part."""
    parts = {part: embed_part(encoder, folder / name / f"{part}.parquet", params, f"{name} {part}") for part in PARTS}
    gallery = parts["gallery"]
    if gallery is None:
        raise StageError(f"{folder / name / 'gallery.parquet'}: no row has an image. Run `dvc repro`.")
    width = gallery.plain.shape[1]
    nothing = np.empty((0, width), np.float32)
    no_regions = None if gallery.regions is None else np.empty((0, *gallery.regions.shape[1:]), np.float32)
    counts = {"dimensions": width}
    for part, rows in parts.items():
        rows = rows or Embedded([], nothing, nothing if params.flip else None, no_regions)
        counts[f"{name}.{part}"] = len(rows.ids)
        vectors = rows.plain
        if rows.mirrored is not None:
            write_vectors(vectors_path(out / PLAIN, name, part), rows.ids, rows.plain, encoder.metric)
            vectors = mean_vectors(rows.plain, rows.mirrored, encoder.metric)
        write_vectors(vectors_path(out, name, part), rows.ids, vectors, encoder.metric)
        for number, region in enumerate([] if rows.regions is None else rows.regions.swapaxes(0, 1), start=1):
            write_vectors(vectors_path(out / REGIONS / str(number), name, part), rows.ids, region, "euclidean")
    return counts


def main(args: Namespace, params: SimpleNamespace) -> Report:
    """Load the encoder once, embed every benchmark."""
    from stages.networks.load import load_encoder

    if not params.benchmarks:
        raise StageError("params.yaml: `benchmarks` is empty. List at least one name of section `benchmark`.")
    seed_everything(0)  # nothing is drawn here; this fixes torch's threads and its deterministic algorithms
    encoder = load_encoder(args.model, params.runtime)
    if encoder.metric not in METRICS:
        raise StageError(f"{args.model}: its metric is {encoder.metric!r}, expected one of: {shown(METRICS)}")
    out = fresh_folder(args.out)
    counts: dict[str, int] = {}
    for name in params.benchmarks:
        counts |= embed_benchmark(encoder, name, args.benchmarks, out, params.embed)
    say(f"{args.encoder}: " + ", ".join(f"{key} {count}" for key, count in counts.items()))
    return Report(metrics=counts)


STAGE = Stage(
    main,
    ["encoder", "benchmarks", "model", "out"],
    {"benchmarks": ("benchmarks", Names), "embed": ("embed", EmbedParams), "runtime": ("runtime", RuntimeParams)},
)
