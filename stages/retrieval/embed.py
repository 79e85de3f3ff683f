"""Embed the queries and the gallery of every benchmark with every encoder.

Reads:  BENCHMARKS_DIR/<name>/queries.parquet and gallery.parquet for each name in the list ``benchmarks``; the
        encoders in MODELS_DIR/<encoder> for each name in the list ``encoders``.
Writes: OUT/<encoder>/<name>-queries.parquet and -gallery.parquet: row_id, vector (not normalized); the
        table's metadata names the metric. A query without an image (never detected) gets no row.
        With ``embed.flip`` these are the means of a picture's and its mirror image's vectors, and <encoder>/plain/ has
        the vectors of the pictures alone, so that both can be scored. <encoder>/regions/<k>/ has the vectors of region
        k, of the pictures alone, where the encoder attends to regions (regions.py). <encoder>/softmax/ has the
        probabilities of the card's categories for the queries, where the encoder has a category path (category.py);
        with flip they are means too, and plain/softmax/ has those of the pictures alone.
        With ``search.index: ivf`` <name>-gallery.ivf is an index of a gallery that is large enough (index.py).
Params: encoders, benchmarks (the lists), embed, search, runtime (the memory layout).

Encoders with the same input size share the decoded pictures. Vectors are kept in .work/embed until their encoder,
benchmark, params or code change: for a new benchmark or a retrained encoder only its own vectors are computed, and a
killed run resumes.
"""

import logging
import shutil
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import PositiveInt

from stages.core.determinism import seed_everything
from stages.core.errors import StageError, shown
from stages.core.files import digest, file_digest, fresh_folder
from stages.core.parallel import in_processes
from stages.core.params import Names, Section
from stages.learning.acceleration import RuntimeParams
from stages.learning.checkpoints import WORK, training_key
from stages.networks.backbones.features import mean_vectors, mirrored
from stages.retrieval.index import SearchParams, build
from stages.retrieval.vectors import (
    METRICS,
    PARTS,
    PLAIN,
    REGIONS,
    SOFTMAX,
    index_path,
    open_vectors,
    vectors_path,
    write_vectors,
)
from stages.runner.progress import track
from stages.runner.stage import Report, Stage

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from torch import Tensor

    from stages.networks.backbones.features import Encoder

KEPT = WORK / "embed"  # <encoder>/<benchmark>/<key>: vectors in the layout of the out
_AREAS = ("core", "contracts", "learning", "networks", "retrieval")  # packages whose code counts in the key
CHUNK = 512  # rows of a table that a worker embeds at a time
VECTOR_BYTES = 2 << 30  # largest memory for the vectors of one table of a benchmark
VECTOR_BYTES_EACH = 3 * 4 * 2048  # a long vector: of the picture, of its mirror image, and their mean


class EmbedParams(Section):
    """Section ``embed``."""

    batch: PositiveInt
    flip: bool


class Chunk(NamedTuple):
    """Rows of a benchmark table that one worker embeds: whole batches, from row ``start`` to before row ``end``."""

    path: Path
    start: int
    end: int
    encoders: list[str]


def chunks(path: Path, batch: int, encoders: Sequence[str]) -> list[Chunk]:
    """A table in chunks of about ``CHUNK`` rows."""
    rows, size = pq.ParquetFile(path).metadata.num_rows, batch * max(1, CHUNK // batch)
    return [Chunk(path, start, min(start + size, rows), list(encoders)) for start in range(0, rows, size)]


def batches(chunk: Chunk, size: int) -> Iterator[pa.Table]:
    """The rows of a chunk that have an image, of ``size`` rows at a time, in the order of the table."""
    file = pq.ParquetFile(chunk.path)
    ends = np.cumsum([file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)])
    group, last = np.searchsorted(ends, (chunk.start, chunk.end - 1), side="right").tolist()
    table = file.read_row_groups(list(range(group, last + 1)), ["row_id", "detected_class", "bytes"])
    first = int(ends[group - 1]) if group else 0
    for start in range(chunk.start - first, chunk.end - first, size):
        batch = table.slice(start, min(size, chunk.end - first - start))
        batch = batch.filter(batch["bytes"].is_valid())
        if batch.num_rows:
            yield batch


def checked(vectors: np.ndarray, ids: list[str]) -> np.ndarray:
    """Check the vectors that an encoder returned for the rows ``ids``; float32 [n, d].

    Raises:
        StageError: they have another shape, or NaN or infinity.
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
    """Rows of a benchmark table: ids [n], vectors [n, d] of pictures and, with flip, of their mirror images.

    Attributes:
        metric: of the encoder.
        regions: [n, K, d'] of encoders that attend to K regions.
        chances, chances_mirrored: [n, c] probabilities of categories by encoders that predict them.
    """

    ids: list[str]
    metric: str
    plain: np.ndarray
    mirrored: np.ndarray | None
    regions: np.ndarray | None = None
    chances: np.ndarray | None = None
    chances_mirrored: np.ndarray | None = None

    @classmethod
    def joined(cls, pieces: Sequence["Embedded"]) -> "Embedded":
        """The rows of all pieces, in their order."""
        if len(pieces) == 1:
            return pieces[0]

        def all_of(name: str) -> np.ndarray | None:
            arrays = [getattr(piece, name) for piece in pieces]
            return None if arrays[0] is None else np.concatenate(arrays)

        ids = [row_id for piece in pieces for row_id in piece.ids]
        return cls(ids, pieces[0].metric, *map(all_of, ("plain", *OPTIONAL)))


OPTIONAL = ("mirrored", "regions", "chances", "chances_mirrored")


class Collected:
    """Collects the vectors of one encoder for a chunk, batch by batch."""

    def __init__(self, encoder: "Encoder", flip: bool) -> None:
        self.encoder, self.flip = encoder, flip
        self.plain: list[np.ndarray] = []
        self.mirrored: list[np.ndarray] = []
        self.regions: list[np.ndarray] = []
        self.chances: list[np.ndarray] = []
        self.chances_mirrored: list[np.ndarray] = []

    def add(self, images: "Tensor", flipped: "Tensor | None", classes: list[str], ids: list[str]) -> None:
        """Embed decoded pictures uint8 [n, 3, h, w], and with flip their mirror images."""
        if hasattr(self.encoder, "embed_regions"):
            vectors, attended = self.encoder.embed_regions(images)
            self.regions.append(attended)
        else:
            vectors = self._embedded(images, classes, self.chances)
        self.plain.append(checked(vectors, ids))
        if flipped is not None:
            self.mirrored.append(checked(self._embedded(flipped, classes, self.chances_mirrored), ids))

    def _embedded(self, images: "Tensor", classes: list[str], chances: list[np.ndarray]) -> np.ndarray:
        if not getattr(self.encoder, "has_categories", False):
            return self.encoder.embed(images, classes)
        vectors, of_categories = self.encoder.embed_categories(images)
        chances.append(of_categories)
        return vectors

    def embedded(self, ids: list[str]) -> Embedded | None:
        """All vectors; None when no row had an image."""
        if not ids:
            return None
        lists = (getattr(self, name) for name in OPTIONAL)
        optional = (np.concatenate(batches) if batches else None for batches in lists)
        return Embedded(ids, self.encoder.metric, np.concatenate(self.plain), *optional)


class Embedding:
    """Embeds chunks: the job of a worker, which loads the encoders at its first chunk."""

    def __init__(self, models: Path, names: Sequence[str], runtime: RuntimeParams | None, params: EmbedParams) -> None:
        """Embed by the encoders of these names in folder ``models``."""
        self._models, self._names, self._runtime, self._params = models, names, runtime, params

    @cached_property
    def _encoders(self) -> dict[str, "Encoder"]:
        return {name: checked_encoder(self._models / name, self._runtime) for name in self._names}

    def __call__(self, chunk: Chunk) -> dict[str, Embedded | None]:
        """Embed all rows with an image by each of the chunk's encoders; pictures are decoded once for each size."""
        ids: list[str] = []
        flip = self._params.flip
        collected = {name: Collected(self._encoders[name], flip) for name in chunk.encoders}
        of_size: dict[Any, list[Collected]] = {}
        for collector in collected.values():
            of_size.setdefault(collector.encoder.pixels, []).append(collector)
        for batch in batches(chunk, self._params.batch):
            own = batch["row_id"].to_pylist()
            classes = [name or "" for name in batch["detected_class"].to_pylist()]
            data = batch["bytes"].to_pylist()
            for pixels, sharing in of_size.items():
                images = pixels.decode(data)
                flipped = mirrored(images) if flip else None
                for collector in sharing:
                    collector.add(images, flipped, classes, own)
            ids += own
        return {name: collector.embedded(ids) for name, collector in collected.items()}


def joined_chunks(results: Iterable[dict[str, Embedded | None]], encoders: Iterable[str]) -> dict[str, Embedded | None]:
    """The vectors of a table by each encoder, of those of its chunks in order."""
    of_encoder: dict[str, list[Embedded]] = {name: [] for name in encoders}
    for result in results:
        for name, embedded in result.items():
            of_encoder[name] += [embedded] if embedded else []
    return {name: Embedded.joined(own) if own else None for name, own in of_encoder.items()}


def write_benchmark(
    embedded: Mapping[str, Mapping[str, Embedded | None]],
    name: str,
    folder: Path,
    outs: Mapping[str, Path],
    params: EmbedParams,
) -> None:
    """Write the vectors of one benchmark by each encoder into the encoder's folder.

    Args:
        embedded: table -> encoder -> vectors.

    Raises:
        StageError: no row of the gallery has an image.
    """
    for encoder, out in outs.items():
        gallery = embedded["gallery"][encoder]
        if gallery is None:
            raise StageError(f"{folder / name / 'gallery.parquet'}: no row has an image. Run `dvc repro`.")
        nothing = np.empty((0, gallery.plain.shape[1]), np.float32)
        no_regions = None if gallery.regions is None else np.empty((0, *gallery.regions.shape[1:]), np.float32)
        metric = gallery.metric
        for table in PARTS:
            no_mirrored = nothing if params.flip else None
            rows = embedded[table][encoder] or Embedded([], metric, nothing, no_mirrored, no_regions)
            vectors = rows.plain
            if rows.mirrored is not None:
                write_vectors(vectors_path(out / PLAIN, name, table), rows.ids, rows.plain, metric)
                vectors = mean_vectors(rows.plain, rows.mirrored, metric)
            write_vectors(vectors_path(out, name, table), rows.ids, vectors, metric)
            for number, region in enumerate([] if rows.regions is None else rows.regions.swapaxes(0, 1), start=1):
                write_vectors(vectors_path(out / REGIONS / str(number), name, table), rows.ids, region, "euclidean")
            if table == "queries" and rows.chances is not None:
                write_chances(rows, out, name)


def write_chances(rows: Embedded, out: Path, name: str) -> None:
    """Write the probabilities of categories for a benchmark's queries, with flip the mean over both images."""
    chances = rows.chances
    if rows.chances_mirrored is not None:
        write_vectors(vectors_path(out / PLAIN / SOFTMAX, name, "queries"), rows.ids, chances, "cosine")
        chances = (chances + rows.chances_mirrored) / 2
    write_vectors(vectors_path(out / SOFTMAX, name, "queries"), rows.ids, chances, "cosine")


def together(benchmarks: Path, names: Sequence[str]) -> int:
    """How many encoders may share a pass, as the vectors of one table are kept in memory until it is done."""
    sizes = (
        pq.ParquetFile(benchmarks / name / f"{table}.parquet").metadata.num_rows for name in names for table in PARTS
    )
    return max(1, VECTOR_BYTES // (max(sizes) * VECTOR_BYTES_EACH + 1))


def checked_encoder(folder: Path, runtime: RuntimeParams | None) -> "Encoder":
    """The encoder in a folder.

    Raises:
        StageError: as ``load_encoder``, and for an unknown metric.
    """
    from stages.networks.load import load_encoder

    encoder = load_encoder(folder, runtime)
    if encoder.metric not in METRICS:
        raise StageError(f"{folder}: its metric is {encoder.metric!r}, expected one of: {shown(METRICS)}")
    return encoder


def kept_folders(params: SimpleNamespace, models: Path, benchmarks: Path) -> dict[tuple[str, str], Path]:
    """Folders for the vectors of each (encoder, benchmark) in the work folder, named by all that they depend on."""
    same = training_key(params.embed, [], _AREAS)
    of_encoder = {name: file_digest(models / name) for name in params.encoders}
    of_benchmark = {
        name: file_digest(*(benchmarks / name / f"{table}.parquet" for table in PARTS)) for name in params.benchmarks
    }
    return {
        (encoder, name): KEPT / encoder / name / digest(same, of_encoder[encoder], of_benchmark[name])[:16]
        for encoder in params.encoders
        for name in params.benchmarks
    }


def index_galleries(params: SimpleNamespace, out: Path) -> int:
    """Write an index of every gallery that params ``search`` want one for; how many there are."""
    count = 0
    for encoder in params.encoders:
        for name in params.benchmarks:
            file = open_vectors(vectors_path(out / encoder, name, "gallery"))
            if params.search.indexes(len(file.ids)):
                log.info(f"{name}: an index of the {len(file.ids):,} vectors by {encoder}")
                index = build(file.batches, len(file.ids), file.metric or "cosine", params.search.recall)
                index.write(index_path(out / encoder, name))
                count += 1
    return count


def embed_group(
    args: Namespace, params: SimpleNamespace, encoders: Sequence[str], missing: Mapping[tuple[str, str], Path]
) -> None:
    """Embed the missing benchmarks of some encoders, which are all in memory, and put them into the work folder."""
    lacking = {name: [encoder for encoder in encoders if (encoder, name) in missing] for name in params.benchmarks}
    work = {
        (name, table): chunks(args.benchmarks / name / f"{table}.parquet", params.embed.batch, own)
        for name, own in lacking.items()
        for table in PARTS
        if own
    }
    job = Embedding(args.models, encoders, params.runtime, params.embed)
    done = in_processes(job, list(chain.from_iterable(work.values())), "networks")
    for name, own in lacking.items():
        if not own:
            continue
        embedded = {}
        for table in PARTS:
            count = len(work[name, table])
            results = track(islice(done, count), count, f"{name} {table} (chunks)")
            embedded[table] = joined_chunks(results, own)
        outs = {encoder: fresh_folder(missing[encoder, name].with_suffix(".part")) for encoder in own}
        write_benchmark(embedded, name, args.benchmarks, outs, params.embed)
        for encoder, unfinished in outs.items():
            unfinished.rename(missing[encoder, name])
    next(done, None)  # ends the workers


def main(args: Namespace, params: SimpleNamespace) -> Report:
    """Embed what is missing in the work folder, then copy everything to the out."""
    if not params.benchmarks:
        raise StageError("params.yaml: `benchmarks` is empty. List at least one name of section `benchmark`.")
    seed_everything(0)  # to fix torch's threads and deterministic algorithms; no random numbers are drawn
    kept = kept_folders(params, args.models, args.benchmarks)
    missing = {pair: folder for pair, folder in kept.items() if not folder.is_dir()}
    wanted = [encoder for encoder in params.encoders if any((encoder, name) in missing for name in params.benchmarks)]
    size = together(args.benchmarks, params.benchmarks)
    for start in range(0, len(wanted), size):
        embed_group(args, params, wanted[start : start + size], missing)
    out = fresh_folder(args.out)
    for (encoder, _), folder in kept.items():
        shutil.copytree(folder, out / encoder, dirs_exist_ok=True)
    indexes = index_galleries(params, out)
    for folder in set(KEPT.glob("*/*/*")) - set(kept.values()):  # of other keys, or of a killed run
        shutil.rmtree(folder)
    vectors = sum(pq.ParquetFile(path).metadata.num_rows for path in out.glob("*/*.parquet"))
    ready = len(kept) - len(missing)
    log.info(
        f"embed: {vectors} vectors by {len(params.encoders)} encoders; "
        f"the work folder had {ready} of {len(kept)} pairs of encoder and benchmark"
    )
    return Report(metrics={"vectors": vectors, "from_work_folder": ready, "indexes": indexes})


STAGE = Stage(
    main,
    ["benchmarks", "models", "out"],
    {
        "encoders": ("encoders", Names),
        "benchmarks": ("benchmarks", Names),
        "embed": ("embed", EmbedParams),
        "search": ("search", SearchParams),
        "runtime": ("runtime", RuntimeParams),
    },
)
