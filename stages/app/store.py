"""The wardrobe on disk: its photo files, and the garments that the models found in each.

    STORE/wardrobe.json         folders and photos that were added, and those that were taken out again
    STORE/files.parquet         each photo file: size, time, inode, hash of its bytes
    STORE/models.json           size, time, inode and hash of each file of the models
    STORE/KEY/garments.parquet  each garment of each photo, as the models with that KEY found it; or why there is none
    STORE/KEY/vectors-N.f32     a row for each garment: its vector, then the probabilities of all heads
    STORE/KEY/index.json        of a large wardrobe: the index of its vectors, index-HASH.ivf (indexing.py)

KEY is the hash of the models and their params (``Models.key``). Tables are replaced as a whole, by renaming a new file;
rows of vectors are appended before the table names them. So a reader always sees one consistent state, without a lock,
and a crash loses what came after the last commit. ``Store.writing`` lets one process or thread write at a time.
"""

import fcntl
import json
import logging
import os
import shutil
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stages.app.garments import Box
from stages.app.store_files import damaged, read_whole_table, stat_of, write_whole, write_whole_table
from stages.core.errors import StageError

log = logging.getLogger(__name__)

FILES = pa.schema(
    [
        ("path", pa.binary()),  # absolute; a name may be no text
        ("size", pa.int64()),
        ("mtime_ns", pa.int64()),
        ("inode", pa.int64()),
        ("sha256", pa.string()),  # of the bytes; null: the file cannot be opened
        ("reason", pa.string()),  # why it cannot be opened
        ("present", pa.bool_()),  # false: the folder that was added is missing, for example on an unplugged disk
    ]
)
GARMENTS = pa.schema(
    [
        ("sha256", pa.string()),  # of the photo
        ("width", pa.int32()),  # of the upright photo in pixels; 0: it cannot be read
        ("height", pa.int32()),
        ("reason", pa.string()),  # why the photo cannot be read; null: it was read, and the row is a garment
        ("number", pa.int32()),  # of the garment in its photo, most confident first
        ("superclass", pa.string()),
        ("confidence", pa.float64()),
        *((corner, pa.int32()) for corner in ("x1", "y1", "x2", "y2")),  # null: the whole photo
        ("row", pa.int64()),  # of the vectors' file
    ]
)
KEY_LETTERS = 16  # of the models' key, as a folder's name
KEPT_KEYS = 4  # folders of other models that stay: of other profiles, or of another --confidence
COMPACT_FROM = 256  # the file of vectors is rewritten if more of its rows than this belong to no garment any more
BUSY_MESSAGE = "another process is adding photos"


class Busy(Exception):
    """Another process or thread writes, and the caller does not want to wait."""


@dataclass
class Roots:
    """What was added: absolute paths of folders and photos, and of what below them was taken out again."""

    added: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class File:
    """A file of the wardrobe: its bytes' hash, or the reason why it cannot be opened; ``stamp``: see models.stamp."""

    path: str
    stamp: tuple[int, int, int]
    sha256: str | None
    reason: str | None = None
    present: bool = True


@dataclass(frozen=True)
class PhotoGarments:
    """What the models found in a photo.

    Attributes:
        sha256: of the photo's bytes.
        size: width and height of the upright photo in pixels; 0, 0 if it cannot be read.
        garments: superclass, confidence and box of each.
        rows: float32 [garments, width]: vector and probabilities of each; None if there are none.
        reason: why the photo cannot be read; None if it was read.
    """

    sha256: str
    size: tuple[int, int]
    garments: Sequence[tuple[str, float | None, Box | None]]
    rows: np.ndarray | None
    reason: str | None = None


def below(path: str, folder: str) -> bool:
    """Whether a path is ``folder`` or lies below it."""
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


class Store:
    """The files of one wardrobe."""

    def __init__(self, folder: Path) -> None:
        """Open the store in a folder, or create it.

        Raises:
            StageError: the folder has other content, or cannot be created.
        """
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StageError(f"{folder}: no wardrobe can be made there ({error.strerror}).") from None
        if any(folder.iterdir()) and not (folder / "lock").exists():
            raise StageError(f"{folder}: holds other files. Name a new folder for the wardrobe, or an empty one.")
        (folder / "lock").touch()
        self._files: tuple[tuple[int, int, int], dict[str, File]] = (0, 0, 0), {}  # as of the last read

    @contextmanager
    def writing(self, wait: bool = True) -> Iterator[None]:
        """Hold the write lock, which one process or thread has at a time; it ends with the process at the latest.

        Raises:
            Busy: another process or thread holds it, and ``wait`` is false.
        """
        with (self.folder / "lock").open("rb") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not wait:
                    raise Busy from None
                log.info(f"{self.folder}: {BUSY_MESSAGE}; this one waits for it")
                fcntl.flock(stream, fcntl.LOCK_EX)
            for left in (*self.folder.glob("*.new"), *self.folder.glob("*/*.parquet.*.new")):  # of a killed process
                left.unlink(missing_ok=True)
            yield

    def roots(self) -> Roots:
        """The folders and photos that were added."""
        path = self.folder / "wardrobe.json"
        try:
            return Roots(**json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return Roots()
        except (ValueError, TypeError) as error:
            raise damaged(path, error) from None

    def write_roots(self, roots: Roots) -> None:
        """Replace the folders and photos that were added."""
        # In ASCII, as a path may hold bytes that are no text.
        write_whole(self.folder / "wardrobe.json", json.dumps(asdict(roots), indent=1).encode("ascii"))

    def files(self) -> dict[str, File]:
        """Path -> file."""
        state = stat_of(self.folder / "files.parquet")
        if state != self._files[0]:
            table = read_whole_table(self.folder / "files.parquet", FILES).to_pydict()
            files = {
                (path := os.fsdecode(row[0])): File(path, row[1:4], row[4], row[5], row[6])
                for row in zip(*table.values(), strict=True)
            }
            self._files = state, files
        return dict(self._files[1])

    def write_files(self, files: Collection[File]) -> None:
        """Replace the table of files."""
        rows = [[os.fsencode(file.path), *file.stamp, file.sha256, file.reason, file.present] for file in files]
        columns = [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in FILES]
        write_whole_table(self.folder / "files.parquet", pa.table(columns, schema=FILES))

    def known_models(self) -> dict[str, Any]:
        """Path of a model's file -> [size, time, inode, sha256] when it was last hashed."""
        try:
            content = json.loads((self.folder / "models.json").read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def write_known_models(self, known: Mapping[str, Any]) -> None:
        """Remember hashes of the models' files."""
        write_whole(self.folder / "models.json", json.dumps(known, indent=1).encode("ascii"))

    def state(self, key: str) -> tuple[Any, ...]:
        """A value that changes with every commit that concerns the garments of ``key``."""
        return stat_of(self.folder / "files.parquet"), stat_of(self.results(key).table)

    def results(self, key: str) -> "ModelResults":
        """The results of the models of ``key``."""
        return ModelResults(self.folder / key[:KEY_LETTERS])

    def delete_other_results(self, key: str) -> None:
        """Delete the results of other models, except for the ``KEPT_KEYS`` that were used last."""
        indexes = list(self.folder.glob("*/garments.parquet"))
        indexes = [path for path in indexes if path.parent.name != key[:KEY_LETTERS]]
        indexes.sort(key=lambda path: path.stat().st_mtime_ns, reverse=True)
        for path in indexes[KEPT_KEYS:]:
            shutil.rmtree(path.parent, ignore_errors=True)

    def keep_only(self, hashes: Collection[str]) -> None:
        """Delete the results of all models for photos with other hashes."""
        for path in self.folder.glob("*/garments.parquet"):
            ModelResults(path.parent).keep_only(hashes)


class ModelResults:
    """Results of one set of models: a table of the garments found, and a file with a row of numbers for each."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.table = folder, folder / "garments.parquet"

    def read(self) -> tuple[pa.Table, np.ndarray]:
        """Garments, and float32 [rows, width] mapped from the file: vectors and probabilities.

        Raises:
            StageError: the files do not fit each other.
        """
        for _ in range(20):
            table, card = self._table()
            try:
                return table, self._map(card)
            except FileNotFoundError:  # a writer has replaced it since
                time.sleep(0.01)
        raise damaged(self.table, "its vectors are missing")

    def _table(self, columns: list[str] | None = None) -> tuple[pa.Table, dict[str, Any]]:
        """The table or some of its columns, and its metadata about the vectors: name of the file, rows, width."""
        try:
            table = pq.ParquetFile(self.table).read(columns)
        except FileNotFoundError:
            return GARMENTS.empty_table(), {"file": "", "rows": 0, "width": 0}
        except (pa.ArrowInvalid, OSError) as error:
            raise damaged(self.table, str(error)[:100]) from None
        if columns is None and not table.schema.equals(GARMENTS):
            raise damaged(self.table, "not the expected columns")
        return table.replace_schema_metadata(), json.loads(table.schema.metadata[b"vectors"])

    def _map(self, card: Mapping[str, Any]) -> np.ndarray:
        if not card["rows"]:
            return np.zeros((0, card["width"]), np.float32)
        path = self.folder / card["file"]
        if path.stat().st_size < 4 * card["rows"] * card["width"]:
            raise damaged(path, "shorter than its table says")
        return np.memmap(path, np.float32, "r", shape=(card["rows"], card["width"]))

    def vectors_file(self) -> str:
        """Name of the file of the vectors; empty when there is none yet."""
        return str(self._table(["sha256"])[1]["file"])

    def known(self) -> set[str]:
        """Hashes of the photos that the models have seen."""
        return set(self._table(["sha256"])[0]["sha256"].to_pylist())

    def append(self, photos: Sequence[PhotoGarments]) -> None:
        """Commit the results for more photos."""
        if not photos:
            return
        self.folder.mkdir(exist_ok=True)
        table, card = self._table()
        arrays = [photo.rows for photo in photos if photo.rows is not None and len(photo.rows)]
        if arrays:
            data = np.concatenate(arrays).astype("<f4")
            card["width"] = card["width"] or data.shape[1]
            card["file"] = card["file"] or "vectors-0.f32"
            with (self.folder / card["file"]).open("r+b" if card["rows"] else "wb") as stream:
                stream.truncate(4 * card["rows"] * card["width"])  # rows of a process that was killed
                stream.seek(0, os.SEEK_END)
                stream.write(data.tobytes())
                stream.flush()
                os.fsync(stream.fileno())
        rows: list[dict[str, Any]] = []
        for photo in photos:
            about = {"sha256": photo.sha256, "width": photo.size[0], "height": photo.size[1], "reason": photo.reason}
            if photo.reason is not None:
                rows.append(about)
            for number, (superclass, confidence, box) in enumerate(photo.garments):
                corners = dict(zip(("x1", "y1", "x2", "y2"), box or (None,) * 4, strict=True))
                rows.append({**about, "number": number, "superclass": superclass, "confidence": confidence, **corners,
                             "row": card["rows"]})  # fmt: skip
                card["rows"] += 1
        self._commit(pa.concat_tables([table, pa.Table.from_pylist(rows, schema=GARMENTS)]), card)

    def _commit(self, table: pa.Table, card: Mapping[str, Any]) -> None:
        write_whole_table(self.table, table.replace_schema_metadata({"vectors": json.dumps(card)}))

    def keep_only(self, hashes: Collection[str]) -> None:
        """Delete the results for photos with other hashes; rewrite the vectors if many rows are unused."""
        table, card = self._table()
        kept = table.filter(pa.array([sha in hashes for sha in table["sha256"].to_pylist()], pa.bool_()))
        used = kept["row"].drop_null().to_numpy()
        dead = card["rows"] - len(used)
        if len(kept) == len(table) and dead <= COMPACT_FROM:
            return
        if dead <= max(COMPACT_FROM, len(used)):
            self._commit(kept, card)
            return
        old, number = card["file"], int(card["file"].removeprefix("vectors-").removesuffix(".f32"))
        rows = self._map(card)[used]
        card |= {"file": f"vectors-{number + 1}.f32", "rows": len(rows)}
        write_whole(self.folder / card["file"], rows.tobytes())
        numbers = iter(range(len(rows)))
        renumbered = [None if row is None else next(numbers) for row in kept["row"].to_pylist()]
        place = GARMENTS.get_field_index("row")
        self._commit(kept.set_column(place, GARMENTS.field("row"), pa.array(renumbered, pa.int64())), card)
        (self.folder / old).unlink(missing_ok=True)
