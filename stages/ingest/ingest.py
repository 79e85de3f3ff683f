"""Read one source from its upstream tree, once: verified shards, annotations, rejects, account.

Reads:  the upstream tree (unchanged), the annotations folder (our own boxes and splits), tables/.
Writes: shard-*.parquet (images), objects.parquet (boxes in pixels), items.parquet (catalogue rows as
        upstream wrote them), rejects.parquet, repairs.parquet, account.json; unboxed.parquet where the boxes of an
        image were all rejected.
Params: ingest.<source>.
"""

import argparse
import logging
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa

from stages.contracts.ledger import Account
from stages.contracts.tables import OBJECTS, UNBOXED, write_rows, write_table
from stages.core.errors import StageError
from stages.core.files import fresh_folder
from stages.ingest.box_repair import extent, repair, to_pixels, turn
from stages.ingest.readers import READERS
from stages.ingest.reading import IngestParams, Reading, Request, require_folder
from stages.ingest.splitting import decide_splits, exact_duplicates
from stages.ingest.verify import Checked, check_images, find_clusters, finish_shards
from stages.runner.stage import Report, Stage

log = logging.getLogger(__name__)

LARGE_CLUSTER, LARGE_SHARE = 20, 0.02  # images, and share of all images, above which a cluster is worth a warning


def main(args: argparse.Namespace, params: SimpleNamespace) -> Report:
    """Run the reader, check its images, repair its boxes, write what passed."""
    options: IngestParams = params.ingest
    account = Account(args.source)
    require_folder(args.raw, args.source, "the unpacked download of this data set")
    out = fresh_folder(args.out)
    request = Request(args.source, args.raw, args.annotations, args.tables, options, account)
    reading = READERS[options.reader](request)
    if ignored := request.files.rest():
        account.note("files that are not read", ignored)
    if not reading.images:
        raise StageError(
            f"source {args.source}: no usable image in {args.raw} ({'; '.join(account.lines()) or 'nothing found'}). "
            f"Expected the tree that docs/datasets.md shows for reader {options.reader}."
        )
    passed, clusters = _check(reading, args.source, options, out, account)
    if not passed:
        raise StageError(
            f"source {args.source}: none of {len(reading.images)} images in {args.raw} passed: "
            f"{'; '.join(account.lines())}; first: {account.ledger('images').rejects[0].detail}. "
            "Expected image files; were they downloaded whole (not git-LFS pointers)?"
        )
    sizes = {image.image_id: (image.width, image.height) for image in passed}

    objects = account.ledger("objects")
    if reach := extent(reading.objects, reading.units, sizes):
        account.note("boxes and images", reach)
    display = options.shoes.display if options.shoes else None
    in_pixels = to_pixels(reading.objects, reading.units, sizes, display, objects)
    orientations = {image.image_id: image.orientation for image in passed if image.orientation > 1}
    drawn, unsure = turn(in_pixels, sizes, orientations, reading.stated, objects)
    if unsure:
        account.note("turned by EXIF, boxes taken as drawn on the upright picture", {"images": unsure})
    boxes = repair(drawn, sizes, objects)
    objects.kept = len(boxes)
    write_rows(out / "objects.parquet", OBJECTS, sorted(boxes, key=lambda row: row["object_id"]))
    lost = reading.lost | {row["image_id"] for row in reading.objects}
    if unboxed := sorted((lost & sizes.keys()) - {row["image_id"] for row in boxes}):
        account.note("images whose boxes were all rejected, so no detector learns from them", {"images": len(unboxed)})
        write_rows(out / "unboxed.parquet", UNBOXED, [{"image_id": image_id} for image_id in unboxed])

    items = account.ledger("items")
    if options.items_from_boxes:
        reading.items = boxes_as_items(boxes)
        items.rows_in, items.rejects = len(boxes), []
    kept = [row for row in reading.items if row["image_id"] in sizes]
    for row in reading.items:
        if row["image_id"] not in sizes:
            items.reject(row["item_id"], "image_rejected", row["image_id"])
    items.kept = len(kept)
    names = list(reading.items[0]) if reading.items else ["item_id", "image_id"]
    schema = pa.schema([(name, pa.string()) for name in names])
    write_table(
        out / "items.parquet",
        pa.Table.from_pylist(sorted(kept, key=lambda row: row["item_id"]), schema=schema),
    )
    account.note("near duplicates", near_duplicate_counts(clusters))
    account.write(out)
    for line in account.lines():
        log.info(line)
    return Report(metrics={f"{name}_kept": ledger.kept for name, ledger in account.ledgers.items()})


def boxes_as_items(boxes: list[dict[str, Any]]) -> list[dict[str, str]]:
    """A labeled item for each box, under the box's own id; the box's class is its label."""
    return [
        {"item_id": row["object_id"], "image_id": row["image_id"], "label": row["class_name"]}
        for row in sorted(boxes, key=lambda row: row["object_id"])
    ]


def near_duplicate_counts(clusters: dict[str, str]) -> dict[str, int]:
    """Images, clusters, and how many images the largest cluster has; a warning where it looks like a mistake.

    Clusters are chained: at a threshold that is too loose, strangers tie strangers together until one cluster holds
    most of a large catalogue, and goes whole into one split.

    Args:
        clusters: image_id -> its cluster.
    """
    members = Counter(clusters.values())
    name, largest = max(members.items(), key=lambda entry: (entry[1], entry[0]))
    if largest > max(LARGE_CLUSTER, LARGE_SHARE * len(clusters)):
        log.warning(
            f"{largest} of {len(clusters)} images are near duplicates of {name}, directly or through others. "
            "If they are not, lower near_hamming and near_color of this source."
        )
    return {"images": len(clusters), "clusters": len(members), "largest cluster": largest}


def _check(
    reading: Reading, source: str, options: IngestParams, out: Path, account: Account
) -> tuple[list[Checked], dict[str, str]]:
    """Write the shards of the images that may stay: these images, and the near-duplicate cluster of each."""
    checks = check_images(reading.images, source, options, out)
    images = account.ledger("images")
    for image_id, what, detail in checks.repaired:
        images.repair(image_id, what, detail)
    for image_id, reason, detail in checks.rejected:
        images.reject(image_id, reason, detail)
    files = {file.image_id: file for file in reading.images}
    digests = {image.image_id: image.sha256 for image in checks.checked}
    keep = options.duplicates == "keep"
    repeated = {} if keep else exact_duplicates(digests, files)
    for image_id, kept in repeated.items():
        images.reject(image_id, "duplicate_image", f"same bytes as {kept}")
    unique = [image for image in checks.checked if image.image_id not in repeated]
    clusters = find_clusters(unique, options.near_hamming, options.near_color)
    splits, leaking = decide_splits([files[image.image_id] for image in unique], clusters, keep)
    for image_id, detail in sorted(leaking.items()):
        images.reject(image_id, "near_duplicate", detail)
    passed = [image for image in unique if image.image_id in splits]
    firsts: dict[str, str] = {}  # a cluster whose first image was rejected gets the name of the next
    names = {image.image_id: firsts.setdefault(clusters[image.image_id], image.image_id) for image in passed}
    finish_shards(out, options.shards, splits, names)
    images.kept = len(passed)
    return passed, names


STAGE = Stage(main, ["source", "raw", "annotations", "tables", "out"], {"ingest": ("ingest.{source}", IngestParams)})
