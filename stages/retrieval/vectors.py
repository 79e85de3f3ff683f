"""Files of vectors: those that embed writes, and those that someone else computed.

Parquet: columns ``row_id`` and ``vector`` (a list of numbers of equal length; the table's metadata may name the
``metric``). NumPy: ``x.npy``, [n, d] of floats, with its row ids in ``x.txt`` (one a line) or ``x.csv`` (a column
``row_id``) next to it. Vectors are compared as float32. Reading needs memory for the result and a small batch only.

With flip test-time augmentation (``embed.flip``), embed writes the mean vectors into its folder, and those of the plain
pictures into ``PLAIN`` below it, with the same file names. Both are scored, so that the gain of flip is known.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stages.contracts.tables import write_table
from stages.core.errors import StageError, shown

METRICS = ("cosine", "euclidean")
PLAIN = "plain"
PARTS = ("queries", "gallery")
REGIONS = "regions"  # folder below an encoder's vectors, of those of its attended regions (regions.py)
SOFTMAX = "softmax"  # folder below them, of the probabilities of an encoder's own categories (category.py)
BATCH = 2048  # rows read at a time


def vectors_path(folder: Path, benchmark: str, role: str) -> Path:
    """Path of the vectors of one table of a benchmark in an encoder's folder."""
    return folder / f"{benchmark}-{role}.parquet"


def index_path(folder: Path, benchmark: str) -> Path:
    """Path of the index of a benchmark's gallery, where it is large enough for one (params ``search``)."""
    return folder / f"{benchmark}-gallery.ivf"


def write_vectors(path: Path, ids: list[str], vectors: np.ndarray, metric: str) -> None:
    """Write row ids [n] and float32 vectors [n, d]; the table's metadata names the metric."""
    schema = pa.schema(
        [("row_id", pa.string()), ("vector", pa.list_(pa.float32(), vectors.shape[1]))], metadata={"metric": metric}
    )
    flat = pa.array(np.ascontiguousarray(vectors, dtype=np.float32).reshape(-1))
    column = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    table = pa.Table.from_arrays([pa.array(ids, pa.string()), column], schema=schema)
    write_table(path, table, floats=["vector.list.element"])


@dataclass(frozen=True)
class VectorFile:
    """An open file of vectors.

    Attributes:
        ids: string [n], unique.
        width: d.
        metric: in the file's metadata, or None.
        mapped: [n, d] of a NumPy file, memory-mapped; None for Parquet.
    """

    path: Path
    ids: pa.Array
    width: int
    metric: str | None
    mapped: np.ndarray | None = None

    def __post_init__(self) -> None:
        counts = pc.value_counts(self.ids)
        if len(counts) != len(self.ids):
            twice = counts.filter(pc.greater(counts.field("counts"), 1)).field("values").to_pylist()
            raise StageError(f"{self.path}: {len(twice)} row ids occur more than once: {shown(twice)}. Keep one.")

    def batches(self) -> Iterator[np.ndarray]:
        """float32 [m, d], in the order of the file."""
        if self.mapped is not None:
            for start in range(0, len(self.mapped), BATCH):
                yield np.asarray(self.mapped[start : start + BATCH], np.float32)
            return
        try:
            for batch in pq.ParquetFile(self.path).iter_batches(batch_size=BATCH, columns=["vector"]):
                yield _dense(batch["vector"], self.width, self.path)
        except pa.ArrowException as error:  # a missing vector in a list of fixed size, or a damaged file
            raise StageError(f"{self.path}: its vectors cannot be read: {str(error)[:200]}") from None

    def aligned(self, ids: pa.Array, wanted: np.ndarray) -> np.ndarray:
        """float32 [n, d] in the order of ``ids``, zeros where ``wanted`` [n] is False.

        Raises:
            StageError: a wanted row has no vector in the file.
        """
        positions = pc.index_in(ids, value_set=self.ids).fill_null(-1).to_numpy(zero_copy_only=False)
        if (lacking := wanted & (positions < 0)).any():
            raise StageError(
                f"{self.path}: no vector for {int(lacking.sum())} of {int(wanted.sum())} rows: "
                f"{shown(ids.filter(pa.array(lacking)).to_pylist())}."
            )
        mapped = self.mapped
        if mapped is not None and mapped.dtype == np.float32 and wanted.all() and (np.diff(positions) == 1).all():
            return mapped[positions[0] : positions[0] + len(positions)] if len(positions) else mapped[:0]
        place = np.full(len(self.ids), -1)
        place[positions[wanted]] = np.flatnonzero(wanted)
        result = np.zeros((len(ids), self.width), np.float32)
        start = 0
        for batch in self.batches():
            to = place[start : start + len(batch)]
            result[to[to >= 0]] = batch[to >= 0]
            start += len(batch)
        return result


def _dense(column: pa.Array, width: int, path: Path) -> np.ndarray:
    lengths = pc.list_value_length(column).fill_null(-1).to_numpy(zero_copy_only=False)
    if (wrong := lengths != width).any():
        raise StageError(f"{path}: a vector has {int(lengths[wrong][0])} dimensions (-1: none), the first has {width}.")
    return column.flatten().to_numpy(zero_copy_only=False).astype(np.float32, copy=False).reshape(-1, width)


def open_vectors(path: Path) -> VectorFile:
    """Open a Parquet or NumPy file of vectors (formats: top of this module).

    Raises:
        StageError: the file is missing, of another kind, or does not have the format.
    """
    if not path.is_file():
        raise StageError(f"{path}: no such file. Vectors of the pipeline's encoders are made by `dvc repro`.")
    if path.suffix == ".npy":
        return _open_numpy(path)
    if path.suffix != ".parquet":
        raise StageError(f"{path}: expected a .parquet or a .npy file, found {path.suffix or 'no suffix'}.")
    return _open_parquet(path)


def _open_parquet(path: Path) -> VectorFile:
    try:
        file = pq.ParquetFile(path)
        schema = file.schema_arrow
        if not {"row_id", "vector"} <= set(schema.names):
            raise StageError(f"{path}: columns {shown(schema.names)}, expected row_id and vector.")
        kind, ids = schema.field("vector").type, file.read(columns=["row_id"])["row_id"].combine_chunks()
    except pa.ArrowException as error:
        raise StageError(f"{path}: not a Parquet file: {str(error)[:200]}") from None
    lists = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    if not lists or not (pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)):
        raise StageError(f"{path}: column vector holds {kind}, expected lists of numbers.")
    if not (pa.types.is_string(ids.type) or pa.types.is_large_string(ids.type) or pa.types.is_integer(ids.type)):
        raise StageError(f"{path}: column row_id holds {ids.type}, expected strings or integers.")
    if ids.null_count:
        raise StageError(f"{path}: {ids.null_count} of {len(ids)} row ids are missing.")
    metric = (schema.metadata or {}).get(b"metric")
    return VectorFile(path, ids.cast(pa.string()), _width(file, kind), metric.decode() if metric else None)


def _width(file: pq.ParquetFile, kind: pa.DataType) -> int:
    if pa.types.is_fixed_size_list(kind):
        return kind.list_size
    first = next(file.iter_batches(batch_size=1, columns=["vector"]), None)
    return pc.list_value_length(first["vector"])[0].as_py() or 0 if first is not None else 0


def _open_numpy(path: Path) -> VectorFile:
    try:
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise StageError(f"{path}: not a NumPy array: {str(error)[:200]}") from None
    if not isinstance(mapped, np.ndarray):  # np.load also opens zip archives
        raise StageError(f"{path}: not a NumPy array but an archive of several (.npz). Save the array with `np.save`.")
    if mapped.ndim != 2 or mapped.dtype.kind != "f":
        raise StageError(f"{path}: {list(mapped.shape)} of {mapped.dtype}, expected floats [rows, dimensions].")
    ids_file, ids = _ids_of(path)
    if len(ids) != len(mapped):
        raise StageError(f"{ids_file}: {len(ids)} row ids for the {len(mapped)} vectors of {path}.")
    return VectorFile(path, pa.array(ids, pa.string()), mapped.shape[1], None, mapped)


def _ids_of(path: Path) -> tuple[Path, list[str]]:
    text, table = path.with_suffix(".txt"), path.with_suffix(".csv")
    ids_file = text if text.is_file() else table
    if not ids_file.is_file():
        raise StageError(
            f"{path}: no row ids. Put {text.name} (one id a line) or {table.name} (a column row_id) next to it."
        )
    try:
        content = ids_file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise StageError(
            f"{ids_file}: not UTF-8 text ({error.reason} at byte {error.start}). Save it as UTF-8."
        ) from None
    if ids_file == text:
        return text, content.splitlines()
    reader = csv.DictReader(io.StringIO(content))
    if "row_id" not in (reader.fieldnames or ()):
        raise StageError(f"{table}: columns {shown(reader.fieldnames or ())}, expected row_id.")
    return table, [row["row_id"] for row in reader]


def read_vectors(path: Path) -> tuple[list[str], np.ndarray, str | None]:
    """Row ids [n], float32 vectors [n, d] and the metric, in the order of the file."""
    file = open_vectors(path)
    return file.ids.to_pylist(), file.aligned(file.ids, np.ones(len(file.ids), bool)), file.metric


def null_bytes(path: Path) -> np.ndarray:
    """bool [n]: which rows of a benchmark table have no image, without loading all images."""
    batches = pq.ParquetFile(path).iter_batches(batch_size=1024, columns=["bytes"])
    return np.concatenate([np.empty(0, bool), *(batch["bytes"].is_null().to_numpy(False) for batch in batches)])
