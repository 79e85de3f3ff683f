"""The files between embed and evaluate: vectors of a benchmark's queries and gallery, and the benchmarks' names."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stages.core.errors import StageError
from stages.core.params import load_params, lookup
from stages.core.tables import read_table, write_table

PARTS = ("queries", "gallery")


def benchmark_names() -> list[str]:
    """The list ``benchmarks`` of params.yaml.

    Raises:
        StageError: when it is missing, empty or not a list of names.
    """
    names = lookup(load_params(), "benchmarks")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise StageError(
            f"params.yaml: `benchmarks` is {names!r}, expected a list of at least one name of section `benchmark`."
        )
    return names


def vectors_path(folder: Path, benchmark: str, part: str) -> Path:
    """Where the vectors of one part of a benchmark lie in an encoder's folder."""
    return folder / f"{benchmark}-{part}.parquet"


def write_vectors(path: Path, ids: list[str], vectors: np.ndarray, metric: str) -> None:
    """Row ids [n] and float32 vectors [n, d]; the table's metadata names the metric."""
    schema = pa.schema(
        [("row_id", pa.string()), ("vector", pa.list_(pa.float32(), vectors.shape[1]))], metadata={"metric": metric}
    )
    flat = pa.array(np.ascontiguousarray(vectors, dtype=np.float32).reshape(-1))
    column = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    write_table(path, pa.Table.from_arrays([pa.array(ids, pa.string()), column], schema=schema))


def read_vectors(path: Path) -> tuple[list[str], np.ndarray, str]:
    """Row ids [n], float32 vectors [n, d] and the metric."""
    table = read_table(path)
    kind = table.schema.field("vector").type
    parts = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in table["vector"].chunks]
    flat = np.concatenate([np.empty(0, np.float32), *parts])
    return table["row_id"].to_pylist(), flat.reshape(-1, kind.list_size), table.schema.metadata[b"metric"].decode()


def null_bytes(path: Path) -> np.ndarray:
    """bool [n]: which rows of a benchmark table have no image, read without holding all images."""
    batches = pq.ParquetFile(path).iter_batches(batch_size=1024, columns=["bytes"])
    return np.concatenate([np.empty(0, bool), *(batch["bytes"].is_null().to_numpy(False) for batch in batches)])
