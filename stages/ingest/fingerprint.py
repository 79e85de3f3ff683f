"""Fingerprints of pictures, and the near duplicates among them.

A fingerprint is a 256-bit difference hash (32 bytes) and an 8 x 8 RGB thumbnail (192 bytes). Shapes alone would
make two colorways of a shirt the same picture, colors alone two shirts of one color.

The hash has a dead zone: a bit says that the next place is brighter by more than two gray levels. Without it sensor
noise decides the bits of a plain background, and of re-encoded catalogue photos a quarter were found instead of all.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from stages.contracts.disjoint import DisjointSet
from stages.core.errors import StageError

HASH_SIDE = 16  # 256 bits: 64 are too few to tell two shirts on white apart
DEAD_ZONE = 2  # gray levels; 1 loses 1 in 30 copies of JPEG quality 50, 3 makes more strangers alike
THUMBNAIL_SIDE = 8
HASH_BYTES = HASH_SIDE * HASH_SIDE // 8
FINGERPRINT_BYTES = HASH_BYTES + 3 * THUMBNAIL_SIDE * THUMBNAIL_SIDE

_ROWS_AT_ONCE = 8192  # thumbnails compared at once: 5 MB, whatever the number of pictures


def fingerprint(image: Image.Image) -> bytes:
    """The 224 bytes that near duplicates of an RGB image are found by."""
    small = image.convert("L").resize((HASH_SIDE + 1, HASH_SIDE), Image.Resampling.LANCZOS)
    steps = np.diff(np.asarray(small, dtype=np.int16), axis=1)
    bits = np.packbits(steps > DEAD_ZONE)
    thumbnail = np.asarray(image.resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE)), dtype=np.uint8)
    return bits.tobytes() + thumbnail.tobytes()


def near_duplicates(fingerprints: Sequence[bytes], hamming: int, color: float) -> list[int]:
    """For each fingerprint the smallest index in its cluster.

    Two pictures are near duplicates when their hashes differ in at most ``hamming`` of 256 bits and their
    thumbnails by at most ``color`` gray levels on average; clusters are the connected parts.

    Every pair that could be near is compared, so the result is that of comparing all pairs. Most pairs are ruled out
    unseen: the means of two thumbnails differ by no more than the thumbnails do, so in the order of the means only a
    window of neighbors is left of each picture. There a quarter of the hash rules out nearly all. Memory is that of
    the fingerprints and a few numbers for each.

    Raises:
        StageError: when a fingerprint does not have 224 bytes.
    """
    wrong = next((index for index, one in enumerate(fingerprints) if len(one) != FINGERPRINT_BYTES), None)
    if wrong is not None:
        raise StageError(
            f"fingerprint {wrong} has {len(fingerprints[wrong])} bytes, expected {FINGERPRINT_BYTES}. "
            "Run ingest again: the shards are of another version."
        )
    # Equal fingerprints are one picture: a placeholder that stands there a thousand times is compared once.
    firsts: dict[bytes, int] = {}
    same = [firsts.setdefault(one, index) for index, one in enumerate(fingerprints)]
    if not firsts:
        return []
    clusters = DisjointSet(len(firsts))
    _connect(np.frombuffer(b"".join(firsts), np.uint8).reshape(len(firsts), -1), hamming, color, clusters)
    # In the order of the first indices, so that the smallest row of a cluster is that of its smallest index.
    indices = list(firsts.values())
    smallest = {index: indices[row] for index, row in zip(indices, clusters.smallest().tolist(), strict=True)}
    return [smallest[first] for first in same]


def alike(one: bytes, other: bytes, hamming: int, color: float) -> bool:
    """Whether two fingerprints are near duplicates themselves, and not only over others between them."""
    first, second = (np.frombuffer(each, np.uint8) for each in (one, other))
    bits = int(np.bitwise_count(first[:HASH_BYTES] ^ second[:HASH_BYTES]).sum())
    apart = np.abs(first[HASH_BYTES:].astype(np.int16) - second[HASH_BYTES:]).mean()
    return bits <= hamming and bool(apart <= color)


def _connect(data: np.ndarray, hamming: int, color: float, clusters: DisjointSet) -> None:
    """Join near rows of ``data``, uint8 [rows, 224]."""
    thumbnails = data[:, HASH_BYTES:]
    totals = thumbnails.sum(axis=1, dtype=np.int64)
    order = np.argsort(totals, kind="stable")
    totals, thumbnails = totals[order], thumbnails[order]
    # Every fourth byte makes a word, so that each word sees the whole height: the top of a catalogue photo is blank.
    hashes = data[order, :HASH_BYTES].reshape(-1, HASH_BYTES // 4, 4).transpose(2, 0, 1)
    first, *others = np.ascontiguousarray(hashes).view(np.uint64)[..., 0]
    # One more than the limit, so that no rounding of color x 192 loses a pair.
    ends = np.searchsorted(totals, totals + int(color * thumbnails.shape[1]) + 1, side="right")
    for row in range(len(order) - 1):
        start, end = row + 1, int(ends[row])
        distance = np.bitwise_count(first[start:end] ^ first[row])
        near = np.flatnonzero(distance <= hamming)
        if not len(near):
            continue
        total = distance[near].astype(np.int64)
        near += start
        for word in others:
            total += np.bitwise_count(word[near] ^ word[row])
        near = near[total <= hamming]
        for part in range(0, len(near), _ROWS_AT_ONCE):
            _join_alike(row, near[part : part + _ROWS_AT_ONCE], thumbnails, color, order, clusters)


def _join_alike(
    row: int, near: np.ndarray, thumbnails: np.ndarray, color: float, order: np.ndarray, clusters: DisjointSet
) -> None:
    """Join ``row`` with those of ``near`` whose thumbnails are alike; what is joined already is not compared."""
    near = near[clusters.label[order[near]] != clusters.label[order[row]]]
    apart = np.abs(thumbnails[near].astype(np.int16) - thumbnails[row]).mean(axis=1)
    for other in near[apart <= color]:
        clusters.join(int(order[row]), int(order[other]))
