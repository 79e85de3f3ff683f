"""Check every image once, and find exact and near duplicates.

Shards are checked and written by processes; the result does not depend on their number.
"""

import hashlib
import multiprocessing
import os
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from stages.core.images import decode, encode_jpeg
from stages.core.progress import track
from stages.core.splits import hash_split, shard_of
from stages.core.tables import IMAGES, read_table, shard_name, write_rows, write_table
from stages.ingest.reading import ImageFile, IngestParams

HASH_SIDE = 16  # 256 bits: 64 are too few to tell two shirts on white apart
THUMBNAIL_SIDE = 8


@dataclass
class Checked:
    """An image that passed: what duplicate search and the box repair need to know of it."""

    image_id: str
    shard: int
    width: int
    height: int
    sha256: str
    bits: np.ndarray  # uint8 [32], difference hash
    thumbnail: np.ndarray  # int16 [8 * 8 * 3]


@dataclass
class ShardResult:
    """What a process reports about its shard."""

    checked: list[Checked]
    rejected: list[tuple[str, str, str]]  # image_id, reason, detail
    repaired: Counter


def workers() -> int:
    """Processes for data stages: ``SEAMLINE_WORKERS``, else one for each core."""
    return int(os.environ.get("SEAMLINE_WORKERS") or os.cpu_count() or 1)


def check_images(
    files: list[ImageFile], source: str, params: IngestParams, out: Path
) -> tuple[list[Checked], list[tuple[str, str, str]], Counter]:
    """Decode every file and write the shards of ``out`` (columns of IMAGES, clusters still empty)."""
    shards: list[list[ImageFile]] = [[] for _ in range(params.shards)]
    for file in files:
        shards[shard_of(file.image_id, params.shards)].append(file)
    job = partial(_check_shard, source=source, min_side=params.min_side, out=out)
    numbered = list(enumerate(sorted(shard, key=lambda file: file.image_id) for shard in shards))
    checked: list[Checked] = []
    rejected: list[tuple[str, str, str]] = []
    repaired: Counter = Counter()
    for result in track(_map(job, numbered), total=len(numbered), desc=f"check {source} (shards)"):
        checked += result.checked
        rejected += result.rejected
        repaired += result.repaired
    return sorted(checked, key=lambda image: image.image_id), sorted(rejected), repaired


def _map(job: Any, numbered: list[Any]) -> Any:
    if min(workers(), len(numbered)) == 1:
        yield from map(job, numbered)
        return
    # Spawned, not forked: Arrow's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers(), len(numbered)), mp_context=context) as pool:
        yield from pool.map(job, numbered)


def _check_shard(numbered: tuple[int, list[ImageFile]], source: str, min_side: int, out: Path) -> ShardResult:
    import imagehash

    number, files = numbered
    result = ShardResult([], [], Counter())
    rows = []
    for file in files:
        try:
            data = file.path.read_bytes()
            image, repairs = decode(data)
        except (OSError, ValueError, SyntaxError) as error:
            result.rejected.append((file.image_id, "corrupt_image", f"{file.path.name}: {error}"))
            continue
        if min(image.size) < min_side:
            result.rejected.append((file.image_id, "too_small", f"{file.path.name}: {image.size[0]}x{image.size[1]}"))
            continue
        result.repaired.update(repairs)
        sha = hashlib.sha256(data).hexdigest()
        thumbnail = np.asarray(image.resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE)), dtype=np.int16).reshape(-1)
        bits = np.packbits(imagehash.dhash(image, HASH_SIDE).hash)
        result.checked.append(Checked(file.image_id, number, *image.size, sha, bits, thumbnail))
        group = file.group or file.image_id
        rows.append(
            {
                "image_id": file.image_id,
                "source": source,
                "split": file.split or hash_split(group),
                "group_id": group,
                "cluster": None,
                "width": image.size[0],
                "height": image.size[1],
                "sha256": sha,
                "bytes": encode_jpeg(image) if repairs else data,
            }
        )
    write_rows(out / shard_name(number), IMAGES, rows)
    return result


def near_duplicates(images: list[Checked], hamming: int, color: float) -> dict[str, str]:
    """image_id -> the smallest image_id of its cluster.

    Two images are near duplicates when their difference hashes differ in at most ``hamming`` of 256 bits
    and their 8 x 8 thumbnails by at most ``color`` grey levels on average; clusters are the connected parts.
    """
    parent = list(range(len(images)))

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    if images:
        bits = np.stack([image.bits for image in images]).view(np.uint64)
        thumbnails = np.stack([image.thumbnail for image in images])
        for row in range(len(images) - 1):
            distance = np.bitwise_count(bits[row + 1 :] ^ bits[row]).sum(axis=1)
            near = np.flatnonzero(distance <= hamming) + row + 1
            if len(near):
                apart = np.abs(thumbnails[near] - thumbnails[row]).mean(axis=1)
                for other in near[apart <= color]:
                    low, high = sorted((root(row), root(int(other))))
                    parent[high] = low
    return {image.image_id: images[root(index)].image_id for index, image in enumerate(images)}


def exact_duplicates(images: list[Checked]) -> dict[str, str]:
    """image_id of every repeated file -> image_id of the first file with the same bytes."""
    first: dict[str, str] = {}
    repeated = {}
    for image in images:
        if image.sha256 in first:
            repeated[image.image_id] = first[image.sha256]
        else:
            first[image.sha256] = image.image_id
    return repeated


def finish_shards(out: Path, shards: int, clusters: dict[str, str], dropped: set[str]) -> None:
    """Fill the clusters in and take dropped images out."""
    for number in range(shards):
        table = read_table(out / shard_name(number), IMAGES)
        if dropped:
            table = table.filter(
                pa.array([image not in dropped for image in table["image_id"].to_pylist()], pa.bool_())
            )
        column = pa.array([clusters[image] for image in table["image_id"].to_pylist()], pa.string())
        table = table.set_column(table.schema.get_field_index("cluster"), "cluster", column)
        write_table(out / shard_name(number), table)
