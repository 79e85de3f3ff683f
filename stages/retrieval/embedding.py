"""Embed the pictures of a benchmark's tables, chunk by chunk: what a worker of stage ``embed`` does.

Encoders with the same input size share the decoded pictures. Chunks are whole batches, so the vectors do not depend on
how many workers there are.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import PositiveInt

from stages.core.errors import StageError, shown
from stages.core.params import Section
from stages.learning.acceleration import RuntimeParams
from stages.networks.backbones.features import mirrored
from stages.retrieval.vectors import METRICS

if TYPE_CHECKING:
    from torch import Tensor

    from stages.networks.backbones.features import Encoder

CHUNK = 512  # rows of a table that a worker embeds at a time


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
        plain = np.concatenate([piece.plain for piece in pieces])
        return cls(ids, pieces[0].metric, plain, *map(all_of, OPTIONAL))


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
