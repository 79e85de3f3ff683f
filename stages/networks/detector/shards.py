"""Run detectors over the pictures of an ingested source, shard by shard; each picture is decoded once.

``portions`` divides a source for the workers of a cluster. Batches go on from one shard to the next, and a network may
round differently in another batch: so a portion ends with a batch, not with a shard.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stages.contracts.images import pixels
from stages.contracts.tables import iter_shards, read_table, shard_paths
from stages.networks.detector.params import NmsParams
from stages.runner.progress import track

Detection = dict[str, Any]  # detector, superclass, confidence, x1, y1, x2, y2 (pixels)
Row = dict[str, Any]


class Predictor(Protocol):
    """A detector, such as ``stages.networks.detector.model.Detector``."""

    def predict(self, images: Sequence[np.ndarray], confidence: float, nms: NmsParams) -> list[list[Detection]]:
        """Detections of each image."""
        ...


class Searched(NamedTuple):
    """A picture: its row, its pixels [height, width, 3] and its detections."""

    row: Row
    image: np.ndarray
    detections: list[Detection]


def search_shards(
    folder: Path,
    columns: Sequence[str],
    detectors: Mapping[str, Predictor],
    wanted: Callable[[Row], Collection[str] | None],
    *,
    batch: int,
    confidence: float,
    nms: NmsParams,
    desc: str,
) -> Iterator[Searched]:
    """The wanted pictures of a source in the order of its shards.

    Args:
        folder: ingested source.
        columns: columns of IMAGES to read, with ``bytes``.
        detectors: name -> detector; detections of a picture come in this order.
        wanted: row -> names of the detectors to run on its picture; None: the row is left out.
        batch: pictures in a forward pass, and most pictures of a detector in memory at once.
        confidence: smallest confidence of a detection.
        nms: params of non-maximum suppression.
        desc: of the line of progress.
    """
    shards = track(iter_shards(folder, list(columns)), total=len(shard_paths(folder)), desc=desc)
    return _search_tables(shards, detectors, wanted, batch, confidence, nms)


class Portion(NamedTuple):
    """Whole batches of a source's pictures.

    Attributes:
        rows: (shard, first row, end) of the rows, in order.
        wanted: image_id -> names of the detectors to run on its picture; other rows are left out.
    """

    rows: list[tuple[Path, int, int]]
    wanted: dict[str, Collection[str]]


def portions(folder: Path, wanted: Mapping[str, Collection[str]], batch: int, detectors: int) -> list[Portion]:
    """One portion for each shard in which a batch begins, in order; together they have all wanted pictures.

    Args:
        folder: ingested source.
        wanted: image_id -> names of the detectors to run on its picture.
        batch: as of ``search_shards``.
        detectors: number of detectors.
    """
    result: list[Portion] = []
    waiting = 0  # pictures since the last batch
    for path in shard_paths(folder):
        ids = read_table(path, columns=["image_id"])["image_id"].to_pylist()
        begun = False  # whether a batch began in this shard
        for start in range(0, len(ids), batch):
            if not waiting and not begun:
                result.append(Portion([], {}))
                begun = True
            own = {image_id: wanted[image_id] for image_id in ids[start : start + batch] if image_id in wanted}
            _extend(result[-1], path, start, min(start + batch, len(ids)), own)
            waiting += len(own)
            if waiting >= _at_once(batch, detectors):
                waiting = 0
    return [portion for portion in result if portion.wanted]


def _extend(portion: Portion, path: Path, start: int, end: int, wanted: Mapping[str, Collection[str]]) -> None:
    if portion.rows and portion.rows[-1][0] == path:
        start = portion.rows.pop()[1]
    portion.rows.append((path, start, end))
    portion.wanted.update(wanted)


def search_portion(
    portion: Portion, detectors: Mapping[str, Predictor], *, batch: int, confidence: float, nms: NmsParams
) -> Iterator[Searched]:
    """The wanted pictures of a portion, with columns ``image_id`` and ``bytes``; arguments as of ``search_shards``."""
    tables = (
        pq.read_table(path, columns=["image_id", "bytes"]).slice(start, end - start)
        for path, start, end in portion.rows
    )
    return _search_tables(tables, detectors, lambda row: portion.wanted.get(row["image_id"]), batch, confidence, nms)


def _at_once(batch: int, detectors: int) -> int:
    """How many pictures wait until they are searched."""
    return batch * max(1, detectors)


def _search_tables(
    tables: Iterable[pa.Table],
    detectors: Mapping[str, Predictor],
    wanted: Callable[[Row], Collection[str] | None],
    batch: int,
    confidence: float,
    nms: NmsParams,
) -> Iterator[Searched]:
    waiting: list[tuple[Row, Collection[str]]] = []
    for table in tables:
        for start in range(0, table.num_rows, batch):
            rows = table.slice(start, batch).to_pylist()
            waiting += [(row, names) for row in rows if (names := wanted(row)) is not None]
            if len(waiting) >= _at_once(batch, len(detectors)):
                yield from _search(waiting, detectors, batch, confidence, nms)
                waiting = []
    yield from _search(waiting, detectors, batch, confidence, nms)


def _search(
    rows: list[tuple[Row, Collection[str]]],
    detectors: Mapping[str, Predictor],
    batch: int,
    confidence: float,
    nms: NmsParams,
) -> list[Searched]:
    decoded = [Searched(row, pixels(row["bytes"]), []) for row, _ in rows]
    for name, detector in detectors.items():
        own = [searched for searched, (_, names) in zip(decoded, rows, strict=True) if name in names]
        for start in range(0, len(own), batch):
            rows_at_once = own[start : start + batch]
            results = detector.predict([searched.image for searched in rows_at_once], confidence, nms)
            for searched, detections in zip(rows_at_once, results, strict=True):
                searched.detections.extend({"detector": name, **detection} for detection in detections)
    return decoded
