"""Read one source from its upstream tree, once: verified shards, annotations, rejects, account.

Reads:  the upstream tree (unchanged), the annotations folder (our own boxes and splits), tables/.
Writes: shard-*.parquet (images), objects.parquet (boxes in pixels), items.parquet (catalogue rows as
        upstream wrote them), rejects.parquet, account.json.
Params: ingest.<source>.
"""

import argparse
from types import SimpleNamespace

import pyarrow as pa

from stages.core.accounts import Account
from stages.core.errors import StageError
from stages.core.files import fresh_folder
from stages.core.progress import say
from stages.core.stage import Report, run_stage
from stages.core.tables import OBJECTS, write_rows, write_table
from stages.ingest import catalogue, deepfashion2, deepfashion_mm, fashion_products, shoes, voc
from stages.ingest.boxes import repair
from stages.ingest.reading import IngestParams, Request, require_folder
from stages.ingest.verify import check_images, exact_duplicates, finish_shards, near_duplicates

READERS = {
    "catalogue": catalogue.read,
    "deepfashion2": deepfashion2.read,
    "deepfashion_mm": deepfashion_mm.read,
    "fashion_products": fashion_products.read,
    "shoes": shoes.read,
    "voc": voc.read,
}


def main(args: argparse.Namespace, params: SimpleNamespace) -> Report:
    """Run the reader, check its images, repair its boxes, write what passed."""
    options: IngestParams = params.ingest
    account = Account(args.source)
    require_folder(args.raw, args.source, "the unpacked download of this data set")
    out = fresh_folder(args.out)
    reading = READERS[options.reader](Request(args.source, args.raw, args.annotations, args.tables, options, account))
    if not reading.images:
        raise StageError(
            f"source {args.source}: no usable image in {args.raw} ({'; '.join(account.lines()) or 'nothing found'}). "
            f"Expected the tree that docs/datasets.md shows for reader {options.reader}."
        )
    checked, rejected, repaired = check_images(reading.images, args.source, options, out)
    images = account.ledger("images")
    images.repaired.update(repaired)
    for image_id, reason, detail in rejected:
        images.reject(image_id, reason, detail)
    repeated = exact_duplicates(checked) if options.duplicates == "drop" else {}
    for image_id, first in sorted(repeated.items()):
        images.reject(image_id, "duplicate_image", f"same bytes as {first}")
    clusters = near_duplicates(checked, options.near_hamming, options.near_color)
    passed = [image for image in checked if image.image_id not in repeated]
    if not passed:
        raise StageError(
            f"source {args.source}: none of {len(reading.images)} images in {args.raw} passed: "
            f"{'; '.join(account.lines())}; first: {account.ledger('images').rejects[0].detail}. "
            "Expected image files; were they downloaded whole (not git-LFS pointers)?"
        )
    finish_shards(out, options.shards, clusters, set(repeated))
    images.kept = len(passed)
    sizes = {image.image_id: (image.width, image.height) for image in passed}

    objects = account.ledger("objects")
    boxes = repair(reading.objects, sizes, objects)
    objects.kept = len(boxes)
    write_rows(out / "objects.parquet", OBJECTS, sorted(boxes, key=lambda row: row["object_id"]))

    items = account.ledger("items")
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
    account.note("near duplicates", {"images": len(passed), "clusters": len({clusters[i.image_id] for i in passed})})
    account.write(out)
    for line in account.lines():
        say(line)
    return Report(metrics={f"{name}_kept": ledger.kept for name, ledger in account.ledgers.items()})


if __name__ == "__main__":
    run_stage(main, ["source", "raw", "annotations", "tables", "out"], {"ingest": ("ingest.{source}", IngestParams)})
