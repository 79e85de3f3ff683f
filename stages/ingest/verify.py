"""Check every image once, and write those that pass into shards.

Shards are checked and written by processes, one shard's images in memory at a time in each; the result does not depend
on their number.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pyarrow as pa

from stages.contracts.images import TooManyPixels, decode, encode_jpeg, turned_by
from stages.contracts.tables import IMAGES, read_table, shard_name, shard_of, write_rows, write_table
from stages.core.parallel import in_processes
from stages.ingest.fingerprint import fingerprint, near_duplicates
from stages.ingest.reading import ImageFile, IngestParams
from stages.runner.progress import track


@dataclass(slots=True)
class Checked:
    """An image that passed: what duplicate search and the box repair need to know of it."""

    image_id: str
    width: int
    height: int
    sha256: str
    fingerprint: bytes
    orientation: int = 1  # EXIF's, by which it was turned


@dataclass
class Checks:
    """Results of checking images: rejected ones as (image_id, reason, detail), repairs as (image_id, kind, detail)."""

    checked: list[Checked] = field(default_factory=list)
    rejected: list[tuple[str, str, str]] = field(default_factory=list)
    repaired: list[tuple[str, str, str]] = field(default_factory=list)


def check_images(files: list[ImageFile], source: str, params: IngestParams, out: Path) -> Checks:
    """Decode every file and write the shards of ``out`` (columns of IMAGES, split and cluster still empty).

    The result is in the order of the ids.
    """
    shards: list[list[ImageFile]] = [[] for _ in range(params.shards)]
    for file in sorted(files, key=lambda file: file.image_id):
        shards[shard_of(file.image_id, params.shards)].append(file)
    job = partial(_check_shard, source=source, params=params, out=out)
    result = Checks()
    done = in_processes(job, list(enumerate(shards)))
    for shard in track(done, total=len(shards), desc=f"check {source} (shards)"):
        result.checked += shard.checked
        result.rejected += shard.rejected
        result.repaired += shard.repaired
    result.checked.sort(key=lambda image: image.image_id)
    result.rejected.sort()
    result.repaired.sort()
    return result


def _check_shard(numbered: tuple[int, list[ImageFile]], source: str, params: IngestParams, out: Path) -> Checks:
    number, files = numbered
    result = Checks()
    rows = []
    for file in files:
        try:
            data = file.path.read_bytes()
            image, repairs = decode(data, params.max_pixels)
        except TooManyPixels as error:
            result.rejected.append((file.image_id, "too_large", f"{file.path.name}: {error}"))
            continue
        except (OSError, ValueError, SyntaxError) as error:
            result.rejected.append((file.image_id, "corrupt_image", f"{file.path.name}: {error}"))
            continue
        width, height = image.size
        if min(width, height) < params.min_side:
            result.rejected.append((file.image_id, "too_small", f"{file.path.name}: {width}x{height}"))
            continue
        result.repaired += [(file.image_id, what, file.path.name) for what in repairs]
        sha, print_ = hashlib.sha256(data).hexdigest(), fingerprint(image)
        orientation = turned_by(data) if "exif_rotation" in repairs else 1
        result.checked.append(Checked(file.image_id, width, height, sha, print_, orientation))
        rows.append(
            {
                "image_id": file.image_id,
                "source": source,
                "split": None,
                "group_id": file.group or file.image_id,
                "cluster": None,
                "width": width,
                "height": height,
                "sha256": sha,
                "fingerprint": print_,
                "bytes": encode_jpeg(image) if repairs else data,
            }
        )
    write_rows(out / shard_name(number), IMAGES, rows)
    return result


def find_clusters(images: Sequence[Checked], hamming: int, color: float) -> dict[str, str]:
    """image_id -> the smallest image_id of its near-duplicate cluster; ``images`` in the order of their ids."""
    firsts = near_duplicates([image.fingerprint for image in images], hamming, color)
    return {image.image_id: images[first].image_id for image, first in zip(images, firsts, strict=True)}


def finish_shards(out: Path, shards: int, splits: dict[str, str], clusters: dict[str, str]) -> None:
    """Fill splits and clusters in, and take images without a split out."""
    columns: list[dict[str, tuple[str, str]]] = [{} for _ in range(shards)]
    for image_id, split in splits.items():
        columns[shard_of(image_id, shards)][image_id] = (split, clusters[image_id])
    job = partial(_finish_shard, out=out)
    for _ in track(in_processes(job, list(enumerate(columns)), "arrow"), total=shards, desc="finish shards"):
        pass


def _finish_shard(numbered: tuple[int, dict[str, tuple[str, str]]], out: Path) -> None:
    number, columns = numbered
    table = read_table(out / shard_name(number), IMAGES)
    ids = table["image_id"].to_pylist()
    if len(columns) < len(ids):
        table = table.filter(pa.array([image_id in columns for image_id in ids], pa.bool_()))
    values = [columns[image_id] for image_id in ids if image_id in columns]
    for name, column in zip(("split", "cluster"), zip(*values, strict=True) if values else ((), ()), strict=True):
        table = table.set_column(table.schema.get_field_index(name), name, pa.array(column, pa.string()))
    write_table(out / shard_name(number), table)
