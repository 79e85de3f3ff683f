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
from collections.abc import Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq

from stages.core.determinism import seed_everything
from stages.core.errors import StageError
from stages.core.files import digest, file_digest, fresh_folder
from stages.core.parallel import in_processes
from stages.core.params import Names
from stages.learning.acceleration import RuntimeParams
from stages.learning.checkpoints import WORK, training_key
from stages.networks.backbones.features import mean_vectors
from stages.retrieval.embedding import Embedded, Embedding, EmbedParams, chunks, joined_chunks
from stages.retrieval.index import SearchParams, build
from stages.retrieval.vectors import (
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

KEPT = WORK / "embed"  # <encoder>/<benchmark>/<key>: vectors in the layout of the out
_AREAS = ("core", "contracts", "learning", "networks", "retrieval")  # packages whose code counts in the key
VECTOR_BYTES = 2 << 30  # largest memory for the vectors of one table of a benchmark
VECTOR_BYTES_EACH = 3 * 4 * 2048  # a long vector: of the picture, of its mirror image, and their mean


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
                write_chances(rows.ids, rows.chances, rows.chances_mirrored, out, name)


def write_chances(ids: list[str], plain: np.ndarray, mirrored: np.ndarray | None, out: Path, name: str) -> None:
    """Write the probabilities [n, c] of categories for a benchmark's queries, with flip the mean over both images."""
    chances = plain
    if mirrored is not None:
        write_vectors(vectors_path(out / PLAIN / SOFTMAX, name, "queries"), ids, plain, "cosine")
        chances = (plain + mirrored) / 2
    write_vectors(vectors_path(out / SOFTMAX, name, "queries"), ids, chances, "cosine")


def together(benchmarks: Path, names: Sequence[str]) -> int:
    """How many encoders may share a pass, as the vectors of one table are kept in memory until it is done."""
    sizes = (
        pq.ParquetFile(benchmarks / name / f"{table}.parquet").metadata.num_rows for name in names for table in PARTS
    )
    return max(1, VECTOR_BYTES // (max(sizes) * VECTOR_BYTES_EACH + 1))


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
