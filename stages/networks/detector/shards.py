"""Run detectors over the pictures of an ingested source, shard by shard; each picture is decoded once."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from stages.contracts.images import pixels
from stages.contracts.tables import iter_shards, shard_paths
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
    waiting: list[tuple[Row, Collection[str]]] = []
    for shard in track(iter_shards(folder, list(columns)), total=len(shard_paths(folder)), desc=desc):
        for rows in shard.to_batches(max_chunksize=batch):
            waiting += [(row, names) for row in rows.to_pylist() if (names := wanted(row)) is not None]
            if len(waiting) >= batch * max(1, len(detectors)):
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
