"""Arrow schemas of every table that passes between stages, and the only functions that write them.

Parquet files hold no time, no path and no index, so the same rows give the same bytes. Splits and shards follow from a
hash of the group or id: they depend neither on the order of the rows nor on other rows.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack
from math import isqrt
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stages.core.errors import StageError
from stages.core.files import digest
from stages.core.heads import HEADS

SPLITS = ("train", "val", "test")
SHARES = (0.70, 0.15, 0.15)  # of groups in train, val and test, where upstream has no split


def unit_hash(key: str) -> float:
    """A number in [0, 1) that depends on ``key`` alone."""
    return int(digest(key)[:13], 16) / 16**13


def hash_split(group: str, shares: tuple[float, float, float] = SHARES) -> str:
    """train, val or test for a group, with the given shares of groups."""
    position = unit_hash(group)
    if position < shares[0]:
        return "train"
    return "val" if position < shares[0] + shares[1] else "test"


def shard_of(key: str, shards: int) -> int:
    """Shard number of an id: depends on the id alone (docs/architecture.md)."""
    return int(digest(key)[:13], 16) % shards


WAITING = 128  # rows of a shard in memory before they go to disk: a few MB of crops

IMAGES = pa.schema(
    [
        ("image_id", pa.string()),  # unique in its source; the path below the image folder, without suffix
        ("source", pa.string()),
        ("split", pa.string()),  # upstream's: train, val, test
        ("group_id", pa.string()),  # who or what must not cross splits
        ("cluster", pa.string()),  # smallest image_id among its near duplicates
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("sha256", pa.string()),  # of the upstream file
        ("fingerprint", pa.binary()),  # what near duplicates are found by (stages/ingest/fingerprint.py)
        ("bytes", pa.binary()),  # JPEG, RGB, upright
    ]
)
OBJECTS = pa.schema(
    [
        ("object_id", pa.string()),
        ("image_id", pa.string()),
        ("class_name", pa.string()),  # upstream's
        ("x1", pa.float64()),  # pixels, origin top left, x2 and y2 exclusive
        ("y1", pa.float64()),
        ("x2", pa.float64()),
        ("y2", pa.float64()),
        ("pair_id", pa.string()),  # DeepFashion2; null elsewhere
        ("style", pa.int32()),
    ]
)
# Images whose boxes were all rejected. They may show garments, so detectors must not learn them as background.
UNBOXED = pa.schema([("image_id", pa.string())])
BOXES = pa.schema(
    [
        ("object_id", pa.string()),
        ("image_id", pa.string()),
        ("split", pa.string()),
        ("superclass", pa.string()),
        ("class_id", pa.int32()),  # joint superclass id of tables/superclasses.csv
        ("cx", pa.float64()),  # center and size as shares of the image's width and height
        ("cy", pa.float64()),
        ("w", pa.float64()),
        ("h", pa.float64()),
    ]
)
# What the salient network saw of a photo of a source (stages/salient): every photo has a row.
SALIENT = pa.schema(
    [
        ("image_id", pa.string()),
        ("split", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("mask", pa.binary()),  # 320 x 320 bytes, row by row, over the whole photo, 255 = garment; null: not looked at
        ("x1", pa.float64()),  # of the box around the mask, whatever the label; null: none
        ("y1", pa.float64()),
        ("x2", pa.float64()),
        ("y2", pa.float64()),
        ("sureness", pa.float64()),  # in [0, 1]
        ("reason", pa.string()),  # why the box is not sure enough to learn from; null: it is
    ]
)
FROM_MASK = ":salient"  # ends the object_id of a box that the network drew
_LABEL_FIELDS = [
    ("item_id", pa.string()),
    ("image_id", pa.string()),
    ("photo", pa.string()),  # the shot: upstream may store it under several image ids, one for each item
    ("source", pa.string()),
    ("split", pa.string()),
    ("group_id", pa.string()),
    ("cluster", pa.string()),
    ("fingerprint", pa.binary()),
    ("instance", pa.string()),  # the physical item, the same in every photo of it; null = not known
    ("colorway", pa.string()),
    ("view", pa.string()),
    ("superclass", pa.string()),
    ("agrees", pa.list_(pa.string())),  # superclasses a detection may have to count as this item
    *[(head, pa.string()) for head in HEADS],  # null = unknown
]
LABELS = pa.schema(_LABEL_FIELDS)
OUTCOMES = pa.schema(
    [
        ("item_id", pa.string()),
        ("outcome", pa.string()),  # matched, whole_image, or a reject reason
        ("candidates", pa.int32()),  # detections above the threshold
        ("agreeing", pa.int32()),  # of these, detections whose class agrees
        ("detector", pa.string()),
        ("detected_class", pa.string()),
        ("confidence", pa.float64()),
        ("x1", pa.float64()),
        ("y1", pa.float64()),
        ("x2", pa.float64()),
        ("y2", pa.float64()),
    ]
)
_BOX = [
    ("superclass", pa.string()),
    ("confidence", pa.float64()),
    *((corner, pa.float64()) for corner in ("x1", "y1", "x2", "y2")),
]
# What the detectors found in each image that has a labeled item; what outcomes were chosen from.
DETECTIONS = pa.schema([("image_id", pa.string()), ("detector", pa.string()), *_BOX])
# A box of a detector's test split beside what was found there; one of the two is null where it has no partner.
SCORED_BOXES = pa.schema(
    [
        ("detector", pa.string()),
        ("image_id", pa.string()),
        ("actual", pa.string()),  # background: a false alarm
        *((f"actual_{corner}", pa.float64()) for corner in ("x1", "y1", "x2", "y2")),
        *_BOX,  # what was found; superclass background: a missed box
    ]
)
CROPS = pa.schema(
    [
        ("crop_id", pa.string()),
        *_LABEL_FIELDS,
        ("detector", pa.string()),
        ("detected_class", pa.string()),
        ("confidence", pa.float64()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("bytes", pa.binary()),
    ]
)
BENCHMARK = pa.schema(
    [
        ("row_id", pa.string()),
        ("item", pa.string()),  # rows of query and gallery with the same item are correct matches
        ("category", pa.string()),
        ("detected_class", pa.string()),
        ("bytes", pa.binary()),  # null: the item was never detected, which counts as a miss
        (
            "repeats",
            pa.string(),
        ),  # a near duplicate on the other side, training rows or queries; null: none
    ]
)
BENCHMARK_TRAIN = pa.schema(
    [
        ("row_id", pa.string()),
        ("split", pa.string()),  # train or val, by item group: no item is in both, or among the queries
        ("item", pa.string()),  # null where the benchmark knows no physical items
        ("category", pa.string()),
        ("labels", pa.list_(pa.string())),  # of a benchmark with several labels to an image; empty elsewhere
        ("bytes", pa.binary()),
    ]
)
RELABEL = ("source", "item_id", "column", "value", "reason")  # of data/relabel.csv, and of what is suggested for it
REJECTS = pa.schema([(name, pa.string()) for name in ("source", "table", "key", "reason", "detail")])


def write_table(path: Path, table: pa.Table, floats: Sequence[str] = ()) -> None:
    """One Parquet file, byte-identical for identical rows.

    Args:
        floats: Parquet paths of columns whose values rarely repeat, such as ``vector.list.element``: they get the
            byte-stream-split encoding (the demo's vectors take 40 % less space than with a dictionary).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    planes = list(floats) or False
    pq.write_table(
        table, path, compression="zstd", row_group_size=1024, use_byte_stream_split=planes, use_dictionary=not planes
    )


def write_rows(path: Path, schema: pa.Schema, rows: list[dict[str, Any]]) -> None:
    """Write rows, given as dicts, into one Parquet file with exactly ``schema``."""
    write_table(path, pa.Table.from_pylist(rows, schema=schema))


def read_table(path: Path, schema: pa.Schema | None = None, columns: list[str] | None = None) -> pa.Table:
    """Read a Parquet file of the pipeline.

    Raises:
        StageError: the file is missing, or its columns are not those of ``schema``.
    """
    if not path.is_file():
        raise StageError(f"{path}: no such file. It is made by an earlier stage: run `dvc repro`.")
    table = pq.read_table(path, columns=columns)
    if schema is not None and columns is None and not table.schema.equals(schema):
        differing = {str(field) for field in table.schema} ^ {str(field) for field in schema}
        raise StageError(f"{path}: not the expected columns (differing: {sorted(differing)}). Run `dvc repro`.")
    return table


def read_unboxed(ingested: Path) -> set[str]:
    """Ids of a source's images whose boxes were all rejected; a source without such images has no such file."""
    path = ingested / "unboxed.parquet"
    return set(read_table(path, UNBOXED)["image_id"].to_pylist()) if path.is_file() else set()


def write_shards(folder: Path, schema: pa.Schema, rows: Iterable[dict[str, Any]], key: str, shards: int) -> int:
    """Write rows into ``shards`` files by a hash of ``key``, sorted by ``key`` within a file; the number of rows.

    Rows are read one by one and kept on disk, so that memory is bounded by the largest shard.
    """
    folder.mkdir(parents=True, exist_ok=True)
    waiting: list[list[dict[str, Any]]] = [[] for _ in range(shards)]
    count = 0
    with TemporaryDirectory(dir=folder) as scratch, ExitStack() as stack:
        files = [f"{scratch}/{number}" for number in range(shards)]
        writers = [stack.enter_context(pa.ipc.new_file(file, schema)) for file in files]
        for row in rows:
            number, count = shard_of(row[key], shards), count + 1
            waiting[number].append(row)
            if len(waiting[number]) == WAITING:
                writers[number].write(pa.Table.from_pylist(waiting[number], schema=schema))
                waiting[number] = []
        for number, (file, writer) in enumerate(zip(files, writers, strict=True)):
            writer.write(pa.Table.from_pylist(waiting[number], schema=schema))
            writer.close()
            with pa.OSFile(file) as source:
                table = pa.ipc.open_file(source).read_all()
            write_table(folder / shard_name(number), table.sort_by(key).combine_chunks())
    return count


def mask_array(content: bytes) -> np.ndarray:
    """uint8 [side, side]: a mask of SALIENT."""
    side = isqrt(len(content))
    return np.frombuffer(content, np.uint8).reshape(side, side)


def read_masks(shards: Iterable[Path], wanted: Collection[str]) -> dict[str, np.ndarray]:
    """image_id -> mask uint8 [h, w] of the wanted photos that have one."""
    return {
        row["image_id"]: mask_array(row["mask"])
        for path in shards
        for row in read_table(path, columns=["image_id", "mask"]).to_pylist()
        if row["image_id"] in wanted and row["mask"] is not None
    }


def shard_name(number: int) -> str:
    """File name of a shard."""
    return f"shard-{number:04d}.parquet"


def shard_paths(folder: Path) -> list[Path]:
    """The shard files of a folder in order.

    Raises:
        StageError: there is none.
    """
    paths = sorted(folder.glob("shard-*.parquet"))
    if not paths:
        raise StageError(f"{folder}: no shard-*.parquet. It is made by an earlier stage: run `dvc repro`.")
    return paths


def read_shards(folder: Path, columns: list[str] | None = None) -> pa.Table:
    """All shards of a folder as one table."""
    return pa.concat_tables([pq.read_table(path, columns=columns) for path in shard_paths(folder)])


def iter_shards(folder: Path, columns: list[str] | None = None) -> Iterator[pa.Table]:
    """The shards of a folder one at a time, so that memory is bounded by the largest."""
    for path in shard_paths(folder):
        yield pq.read_table(path, columns=columns)
