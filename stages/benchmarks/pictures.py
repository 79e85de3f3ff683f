"""Take or cut the pictures of a plan, and write the tables of the benchmark."""

from collections import defaultdict
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stages.benchmarks.params import CropOptions
from stages.benchmarks.plan import Pick, Plan
from stages.contracts.boxes import Box
from stages.contracts.cutting import cut
from stages.contracts.images import encode_jpeg, open_rgb
from stages.contracts.tables import BENCHMARK, BENCHMARK_TRAIN, iter_shards, shard_paths
from stages.runner.progress import track

ROW_GROUP = 1024  # rows, as stages.contracts.tables writes them


def picture_of(data: bytes, size: tuple[int, int], box: Box | None, options: CropOptions) -> bytes | None:
    """JPEG bytes of a whole image, or of a box in it; None when the crop is smaller than ``min_side``.

    Args:
        data: the stored image.
        size: its width and height.
        box: in pixels; None: the whole image, however small, which keeps its bytes unless it is longer than
            ``max_side``.
        options: how it is cut.
    """
    if box is None and max(size) <= options.max_side:
        return data
    least = options.min_side if box is not None else 0
    image = cut(open_rgb(data), box, padding=options.padding, max_side=options.max_side, min_side=least)
    return encode_jpeg(image, options.jpeg_quality) if image is not None else None


def pictures_of(
    plan: Plan, folder: Path, options: CropOptions | None, desc: str
) -> dict[tuple[str, Box | None], bytes | None]:
    """(image_id, box) -> JPEG bytes of every picture that the plan names; a picture in two tables is cut once.

    Args:
        folder: an ingested source, or with ``options`` None the data set, whose crops are taken as they are.
    """
    wanted: dict[str, set[Box | None]] = defaultdict(set)
    for pick in (*plan.queries, *plan.gallery, *plan.train):
        if pick.image_id is not None:
            wanted[pick.image_id].add(pick.box)
    pictures: dict[tuple[str, Box | None], bytes | None] = {}
    key = "crop_id" if options is None else "image_id"
    for shard in track(
        iter_shards(folder, [key, "width", "height", "bytes"]), total=len(shard_paths(folder)), desc=desc
    ):
        for batch in shard.to_batches(max_chunksize=ROW_GROUP):
            for row in batch.to_pylist():
                for box in wanted.get(row[key], ()):
                    size, data = (row["width"], row["height"]), row["bytes"]
                    pictures[row[key], box] = data if options is None else picture_of(data, size, box, options)
    return pictures


def write_plan(
    plan: Plan, pictures: dict[tuple[str, Box | None], bytes | None], parts: Collection[str], out: Path
) -> Plan:
    """Write ``parts`` of queries, gallery and train as Parquet files, sorted by row_id.

    Args:
        pictures: of every pick that has an image; None: too small to be a picture.

    Returns:
        the plan as written: a query without a usable picture is a miss (``unusable_crop``), other rows are left out.
    """

    def picture(pick: Pick) -> bytes | None:
        return pictures[pick.image_id, pick.box] if pick.image_id is not None else None

    written = Plan(left_out=plan.left_out.copy(), about=plan.about)
    for pick in plan.queries:
        small = pick.image_id is not None and picture(pick) is None
        written.queries.append(_missed(pick, "unusable_crop") if small else pick)
    for name in ("gallery", "train"):
        picks = getattr(plan, name)
        kept = [pick for pick in picks if picture(pick) is not None]
        if len(kept) < len(picks):
            written.left_out[f"{name}: unusable_crop"] += len(picks) - len(kept)
        setattr(written, name, kept)
    for name in parts:
        schema = BENCHMARK_TRAIN if name == "train" else BENCHMARK
        picks = sorted(getattr(written, name), key=lambda pick: pick.row_id)
        with pq.ParquetWriter(out / f"{name}.parquet", schema, compression="zstd") as writer:
            for start in range(0, max(1, len(picks)), ROW_GROUP):
                rows = [_row(pick, picture(pick), schema) for pick in picks[start : start + ROW_GROUP]]
                writer.write_table(pa.Table.from_pylist(rows, schema=schema), row_group_size=ROW_GROUP)
    return written


def _missed(pick: Pick, why: str) -> Pick:
    return Pick(pick.row_id, pick.item, pick.category, None, missed=why)


def _row(pick: Pick, data: bytes | None, schema: pa.Schema) -> dict[str, Any]:
    row = {name: getattr(pick, name) for name in schema.names if name != "bytes"}
    return row | {"bytes": data} | ({"labels": list(pick.labels)} if "labels" in row else {})
