"""Files of the wardrobe's store: each is replaced as a whole, so that readers see the old content or the new one."""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from stages.core.errors import StageError


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that readers see the old content or the new one, and a crash leaves one of them."""
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    with new.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    new.replace(path)


def damaged(path: Path, error: object) -> StageError:
    """The error of a file that cannot be read, with what to do."""
    return StageError(f"{path}: damaged ({error}). Delete the folder {path.parent}; it is made again from the photos.")


def read_whole_table(path: Path, schema: pa.Schema) -> pa.Table:
    """A table of the store; empty when there is none yet.

    Raises:
        StageError: the file is damaged, or has other columns.
    """
    try:
        table = pq.ParquetFile(path).read()  # read_table would import pyarrow's data sets
    except FileNotFoundError:
        return schema.empty_table()
    except (pa.ArrowInvalid, OSError) as error:
        raise damaged(path, str(error)[:100]) from None
    if not table.schema.equals(schema):
        raise damaged(path, "not the expected columns")
    return table


def write_whole_table(path: Path, table: pa.Table) -> None:
    """Write a table as a whole, by ``write_whole``."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    write_whole(path, sink.getvalue().to_pybytes())


def stat_of(path: Path) -> tuple[int, int, int]:
    """Size, time of modification in ns and inode of a file, which tell whether it was replaced; zeros for no file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return (0, 0, 0)
    return status.st_size, status.st_mtime_ns, status.st_ino
