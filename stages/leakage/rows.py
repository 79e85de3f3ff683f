"""The rows of training and held-out tables as vectors: each picture is embedded once, the vectors lie on disk."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq

from stages.core.files import digest

BATCH = 256  # rows of a table at a time
BLOCK = 2048  # vectors at a time
SMALLEST = 1e-6  # deviation; a feature that deviates less is constant and counts as 0
Picture = tuple[str, str]  # source, image_id
Embed = Callable[[list[bytes]], np.ndarray]  # encoded pictures -> float32 [n, d]


@dataclass(frozen=True)
class RowTable:
    """A Parquet file whose rows show a garment each.

    Attributes:
        path, key, split: see ``read_rows``.
        pictures: name of a row -> the picture that it was cut from.
    """

    path: Path
    key: str
    pictures: Mapping[str, Picture]
    split: str | None = None


class Row(NamedTuple):
    """A row that has a picture."""

    name: str
    split: str
    data: bytes


def read_rows(path: Path, key: str, split: str | None = None) -> Iterator[list[Row]]:
    """The rows of a table that have bytes, some at a time.

    Args:
        key: column of the row's name.
        split: of all rows; None: the file has a column ``split``.
    """
    columns = [key, "bytes", *([] if split else ["split"])]
    for batch in pq.ParquetFile(path).iter_batches(batch_size=BATCH, columns=columns):
        names, data = batch[key].to_pylist(), batch["bytes"].to_pylist()
        splits = [split] * len(names) if split else batch["split"].to_pylist()
        yield [Row(*row) for row in zip(names, splits, data, strict=True) if row[2] is not None]


class Vectors:
    """Vectors of pictures in a scratch file, so that memory does not grow with their number.

    Pictures with equal bytes have one vector, as benchmarks over one source repeat its training rows.
    """

    def __init__(self, folder: Path, embed: Embed) -> None:
        """Keep the vectors that ``embed`` makes in ``folder``."""
        self.path, self.embed = folder / "vectors.bin", embed
        self.places: dict[str, int] = {}
        self.width = 0
        self.path.touch()

    def add(self, pictures: Sequence[bytes]) -> list[int]:
        """The place of each picture's vector; those of unknown pictures are computed."""
        names = [digest(data) for data in pictures]
        new = {name: data for name, data in zip(names, pictures, strict=True) if name not in self.places}
        if new:
            vectors = self.embed(list(new.values())).astype(np.float32, copy=False)
            self.width = vectors.shape[1]
            with self.path.open("ab") as stream:
                stream.write(vectors.tobytes())
            for name in new:
                self.places[name] = len(self.places)
        return [self.places[name] for name in names]

    def read(self) -> np.ndarray:
        """float32 [n, d] of all pictures, standardized over them and of unit length or zero, mapped from a file.

        Some features of a network are large in every picture. Standardized, each feature says how far a picture is from
        the others.
        """
        if not self.places:
            return np.empty((0, 1), np.float32)
        shape = len(self.places), self.width
        raw = np.memmap(self.path, np.float32, "r", shape=shape)
        blocks = [slice(start, start + BLOCK) for start in range(0, len(raw), BLOCK)]
        mean = sum(raw[block].sum(axis=0, dtype=np.float64) for block in blocks) / len(raw)
        variance = sum(((raw[block] - mean) ** 2).sum(axis=0) for block in blocks) / len(raw)
        factor = np.where(variance > SMALLEST**2, 1 / np.sqrt(np.maximum(variance, SMALLEST**2)), 0)
        result = np.memmap(self.path.with_suffix(".unit"), np.float32, "w+", shape=shape)
        for block in blocks:
            result[block] = unit((raw[block] - mean) * factor)
        return result


def unit(vectors: np.ndarray) -> np.ndarray:
    """float64 [n, d]: the vectors at length 1; a zero vector stays zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


@dataclass
class Side:
    """Training or held-out rows of a set, in the order of their tables.

    Attributes:
        names, pictures: of each row.
        places: of each row's vector in ``Vectors``.
    """

    names: list[str] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    places: list[int] = field(default_factory=list)


@dataclass
class Sides:
    """Both sides of a set."""

    training: Side = field(default_factory=Side)
    held_out: Side = field(default_factory=Side)

    def of(self, split: str) -> Side | None:
        """The side of a split; None where it is on none."""
        return {"train": self.training, "val": self.training, "test": self.held_out}.get(split)


def embed_rows(tables: Sequence[RowTable], vectors: Vectors) -> Sides:
    """Embed the rows of a set's tables that are on one of its sides."""
    sides = Sides()
    for table in tables:
        for rows in read_rows(table.path, table.key, table.split):
            kept = [(row, side) for row in rows if (side := sides.of(row.split)) is not None]
            for (row, side), place in zip(kept, vectors.add([row.data for row, _ in kept]), strict=True):
                side.names.append(row.name)
                side.pictures.append(table.pictures[row.name])
                side.places.append(place)
    return sides
