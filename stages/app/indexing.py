"""The index of a wardrobe's vectors, in the same folder as they (params ``search``; docs/gallery.md).

    STORE/KEY/index.json       name of the index, and which rows of which file of vectors it covers
    STORE/KEY/index-HASH.ivf   the index; HASH: of these vectors and of the params

An index is built anew when the rows added and removed since are more than the share ``CHANGED`` of its rows. Until
then a search compares new rows exactly and leaves removed ones out.
"""

import hashlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from stages.app.store import ModelResults
from stages.app.store_files import write_whole
from stages.retrieval.index import AT_ONCE, Index, SearchParams, build, read_index

log = logging.getLogger(__name__)

CHANGED = 0.1
CHECKED = 64  # rows, spread evenly, whose hash shows a reader that an index was built from these vectors
METRIC = "cosine"


def _sum(rows: np.ndarray) -> str:
    """Hash of a few of the rows [n, d]."""
    places = np.unique(np.linspace(0, len(rows) - 1, CHECKED).astype(np.int64))
    return hashlib.sha256(np.ascontiguousarray(rows[places]).tobytes()).hexdigest()


def _note(results: ModelResults) -> dict[str, Any]:
    """The content of index.json; empty if there is none that can be read."""
    try:
        content = json.loads((results.folder / "index.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def keep_index(results: ModelResults, width: int, search: SearchParams) -> None:
    """Build the index of the vectors if params want one and none is new enough. The caller holds the write lock.

    Args:
        width: of a vector, which is the first part of a row.

    Raises:
        StageError: faiss is not installed.
    """
    table, rows = results.read()
    used = table["row"].drop_null().to_numpy()
    if not search.indexes(len(used)):
        return
    file, note = results.vectors_file(), _note(results)
    same_input = (note.get("vectors"), note.get("recall")) == (file, search.recall)
    if same_input and (results.folder / note["index"]).is_file():
        covered = note["rows"]
        added, removed = int((used >= covered).sum()), covered - int((used < covered).sum())
        if added + removed - note["unused"] <= CHANGED * covered and note["sum"] == _sum(rows[:covered, :width]):
            return

    def batches() -> Iterator[np.ndarray]:
        for start in range(0, len(rows), AT_ONCE):
            yield np.ascontiguousarray(rows[start : start + AT_ONCE, :width])

    log.info(f"an index of {len(rows):,} garments is built, for faster searches")
    digest = hashlib.sha256(repr((search.recall, width)).encode())
    for batch in batches():
        digest.update(batch.tobytes())
    path = results.folder / f"index-{digest.hexdigest()[:16]}.ivf"
    unfinished = path.with_name(f"{path.name}.new")
    build(batches, len(rows), METRIC, search.recall).write(unfinished)
    unfinished.replace(path)
    note = {"index": path.name, "vectors": file, "rows": len(rows), "unused": len(rows) - len(used),
            "recall": search.recall, "sum": _sum(rows[:, :width])}  # fmt: skip
    write_whole(results.folder / "index.json", json.dumps(note).encode("ascii"))
    for old in results.folder.glob("index-*.ivf*"):
        if old != path:
            old.unlink(missing_ok=True)


def open_index(results: ModelResults, rows: np.ndarray, width: int, search: SearchParams) -> Index | None:
    """The index of the first rows of the vectors; None if no index of them is there, or params do not want one.

    Args:
        rows: [n, ...] as ``ModelResults.read`` gives them.
    """
    note = _note(results)
    if not note or not search.indexes(len(rows)) or note["vectors"] != results.vectors_file():
        return None
    path: Path = results.folder / note["index"]
    if not path.is_file() or note["rows"] > len(rows) or note["sum"] != _sum(rows[: note["rows"], :width]):
        return None
    return read_index(path)
