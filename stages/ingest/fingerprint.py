"""Fingerprints of pictures, and near duplicates.

A fingerprint is a 256-bit difference hash (32 bytes) and an 8 x 8 RGB thumbnail (192 bytes). By shape alone
two colorways of a shirt would be the same picture, by color alone two shirts of the same color.

The hash has a dead zone: a bit is set if the next pixel is brighter by more than two gray levels. Otherwise sensor
noise would set the bits of a plain background: only a quarter of re-encoded catalogue photos were found, not all.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from stages.contracts.disjoint import DisjointSet
from stages.core.errors import StageError

HASH_SIDE = 16  # 256 bits; with 64, two shirts on white are not distinguished
DEAD_ZONE = 2  # gray levels; 1 misses 1 in 30 copies of JPEG quality 50, 3 matches more different pictures
THUMBNAIL_SIDE = 8
HASH_BYTES = HASH_SIDE * HASH_SIDE // 8
FINGERPRINT_BYTES = HASH_BYTES + 3 * THUMBNAIL_SIDE * THUMBNAIL_SIDE

_ROWS_AT_ONCE = 8192  # thumbnails compared at once, 5 MB


def fingerprint(image: Image.Image) -> bytes:
    """The fingerprint of an RGB image, 224 bytes."""
    small = image.convert("L").resize((HASH_SIDE + 1, HASH_SIDE), Image.Resampling.LANCZOS)
    steps = np.diff(np.asarray(small, dtype=np.int16), axis=1)
    bits = np.packbits(steps > DEAD_ZONE)
    thumbnail = np.asarray(image.resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE)), dtype=np.uint8)
    return bits.tobytes() + thumbnail.tobytes()


def near_duplicates(fingerprints: Sequence[bytes], hamming: int, color: float) -> list[int]:
    """For each fingerprint the smallest index in its cluster.

    Two pictures are near duplicates when their hashes differ in at most ``hamming`` of 256 bits and their
    thumbnails by at most ``color`` gray levels on average; clusters are connected components.

    The result is that of comparing all pairs, but most pairs are excluded without a comparison: the means of two
    thumbnails differ by no more than the thumbnails, so each picture is compared with a window of pictures with similar
    means. In the window a quarter of the hash excludes nearly all pairs. Memory is that of the fingerprints and a few
    numbers for each.

    Raises:
        StageError: a fingerprint does not have 224 bytes.
    """
    wrong = next((index for index, data in enumerate(fingerprints) if len(data) != FINGERPRINT_BYTES), None)
    if wrong is not None:
        raise StageError(
            f"fingerprint {wrong} has {len(fingerprints[wrong])} bytes, expected {FINGERPRINT_BYTES}. "
            "Run ingest again: the shards are of another version."
        )
    # Equal fingerprints are compared once, as a source may have a placeholder a thousand times.
    firsts: dict[bytes, int] = {}
    same = [firsts.setdefault(data, index) for index, data in enumerate(fingerprints)]
    if not firsts:
        return []
    clusters = DisjointSet(len(firsts))
    _connect(np.frombuffer(b"".join(firsts), np.uint8).reshape(len(firsts), -1), hamming, color, clusters)
    # In the order of the first indices, so that the smallest row of a cluster is that of its smallest index.
    indices = list(firsts.values())
    smallest = {index: indices[row] for index, row in zip(indices, clusters.smallest().tolist(), strict=True)}
    return [smallest[first] for first in same]


def alike(left: bytes, right: bytes, hamming: int, color: float) -> bool:
    """Whether two fingerprints are near duplicates, not only connected by others."""
    first, second = (np.frombuffer(each, np.uint8) for each in (left, right))
    bits = int(np.bitwise_count(first[:HASH_BYTES] ^ second[:HASH_BYTES]).sum())
    apart = np.abs(first[HASH_BYTES:].astype(np.int16) - second[HASH_BYTES:]).mean()
    return bits <= hamming and bool(apart <= color)


def _connect(data: np.ndarray, hamming: int, color: float, clusters: DisjointSet) -> None:
    """Join near rows of ``data``, uint8 [rows, 224]."""
    thumbnails = data[:, HASH_BYTES:]
    totals = thumbnails.sum(axis=1, dtype=np.int64)
    order = np.argsort(totals, kind="stable")
    totals, thumbnails = totals[order], thumbnails[order]
    # A word is made of every fourth byte, so that it covers the whole height: the top of a catalogue photo is blank.
    hashes = data[order, :HASH_BYTES].reshape(-1, HASH_BYTES // 4, 4).transpose(2, 0, 1)
    first, *words = np.ascontiguousarray(hashes).view(np.uint64)[..., 0]
    # One more than the limit, so that rounding of color x 192 excludes no pair.
    ends = np.searchsorted(totals, totals + int(color * thumbnails.shape[1]) + 1, side="right")
    for row in range(len(order) - 1):
        start, end = row + 1, int(ends[row])
        distance = np.bitwise_count(first[start:end] ^ first[row])
        near = np.flatnonzero(distance <= hamming)
        if not len(near):
            continue
        total = distance[near].astype(np.int64)
        near += start
        for word in words:
            total += np.bitwise_count(word[near] ^ word[row])
        near = near[total <= hamming]
        for begin in range(0, len(near), _ROWS_AT_ONCE):
            _join_alike(row, near[begin : begin + _ROWS_AT_ONCE], thumbnails, color, order, clusters)


def _join_alike(
    row: int, near: np.ndarray, thumbnails: np.ndarray, color: float, order: np.ndarray, clusters: DisjointSet
) -> None:
    """Join ``row`` with rows of ``near`` with similar thumbnails, except rows of its cluster."""
    near = near[clusters.label[order[near]] != clusters.label[order[row]]]
    apart = np.abs(thumbnails[near].astype(np.int16) - thumbnails[row]).mean(axis=1)
    for position in near[apart <= color]:
        clusters.join(int(order[row]), int(order[position]))
