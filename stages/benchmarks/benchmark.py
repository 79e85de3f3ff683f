"""Build the query and gallery tables of one retrieval benchmark, and its training table if it has one.

Reads:  IMAGES: for kinds wardrobe and category the data set (its crops, and items.parquet with the split and outcome of
        every labeled item), for the others an ingested source. MODEL: with ``boxes: detected`` a trained detector; for
        annotated pairs the box table of their source's detector, which has the class of each box; otherwise not read.
        Params ``benchmark_reads`` name both folders of each benchmark.
Writes: OUT/queries.parquet and OUT/gallery.parquet (sorted by row_id), OUT/benchmark.json (a description);
        for kinds over an upstream tree also OUT/train.parquet (BENCHMARK_TRAIN).
Params: benchmark.<name>, nms, runtime.

Kinds over the data set:
    wardrobe: worn photos of an item find its flat photo among those of other items; both from test groups. An item
        that was not detected in its worn photo is a query without an image, and a miss for every encoder.
    category: test crops find training crops with the same label.
Kinds over an upstream tree, with upstream's own split (from_upstream.py; docs/datasets.md):
    inshop: queries find gallery photos of the same item.
    consumer_to_shop: consumers' photos find shops' photos of the same item.
    pairs: garments in users' photos find the same garment in shops' photos, by annotated or detected boxes.
    image_category: test images find training images of the same category.
    multilabel: test images find training images with the same set of labels.

Upstream's queries and galleries are kept complete. If upstream's split separates near duplicates, ``repeats`` of a
query or gallery row names a training picture that it nearly repeats; if the gallery row is a training row, it names a
query.
"""

import logging
from argparse import Namespace
from collections import Counter, defaultdict
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stages.benchmarks.from_dataset import select_crops
from stages.benchmarks.from_upstream import (
    CONSUMER_TO_SHOP,
    IMAGE_CATEGORY,
    INSHOP,
    MULTILABEL,
    PAIRS,
    select_consumer_to_shop,
    select_image_category,
    select_inshop,
    select_multilabel,
    select_pairs,
    with_classes,
    with_detections,
)
from stages.benchmarks.params import UPSTREAM, BenchmarkParams, CropOptions, DetectionOptions
from stages.benchmarks.plan import Pick, Plan, Source, read_source
from stages.contracts.boxes import Box, crop_box
from stages.contracts.images import encode_jpeg, open_rgb
from stages.contracts.tables import BENCHMARK, BENCHMARK_TRAIN, BOXES, iter_shards, read_table, shard_paths
from stages.core.determinism import seed_everything
from stages.core.errors import StageError, shown
from stages.core.files import fresh_folder, write_json
from stages.core.parallel import in_processes
from stages.networks.detector.params import NmsParams
from stages.networks.detector.shards import Detection, Portion, Predictor, portions, search_portion
from stages.runner.progress import track
from stages.runner.stage import Report, Stage

log = logging.getLogger(__name__)


def load(folder: Path) -> Predictor:
    """Load the detector.

    Raises:
        StageError: it was not trained.
    """
    if not folder.is_dir():
        present = shown(path.name for path in folder.parent.iterdir()) if folder.parent.is_dir() else "nothing"
        raise StageError(f"{folder}: no such detector. Trained are: {present}. List it in `detectors`.")
    from stages.networks.detector.model import Detector  # late, because the import takes seconds

    return Detector(folder)


def detect(
    plan: Plan, source: Path, detector: Predictor, options: DetectionOptions, nms: NmsParams
) -> dict[str, list[Detection]]:
    """image_id -> detections, for the images of queries and gallery."""
    wanted = {pick.image_id: [options.detector] for pick in (*plan.queries, *plan.gallery)}
    work = portions(source, wanted, options.batch, detectors=1)
    results = in_processes(partial(_detect, detector=detector, options=options, nms=nms), work, "networks")
    detections: dict[str, list[Detection]] = {}
    for own in track(results, total=len(work), desc=f"detect {source.name} (shards)"):
        detections |= own
    return detections


def _detect(
    portion: Portion, detector: Predictor, options: DetectionOptions, nms: NmsParams
) -> dict[str, list[Detection]]:
    pictures = search_portion(
        portion, {options.detector: detector}, batch=options.batch, confidence=options.confidence, nms=nms
    )
    return {picture.row["image_id"]: picture.detections for picture in pictures}


ROW_GROUP = 1024  # rows, as stages.contracts.tables writes them


def picture_of(data: bytes, size: tuple[int, int], box: Box | None, options: CropOptions) -> bytes | None:
    """JPEG bytes of a whole image, or of a box in it; None when the crop is smaller than ``min_side``.

    Args:
        data: the stored image.
        size: its width and height.
        box: in pixels; None: the whole image, of any size, which keeps its bytes unless it is longer than
            ``max_side``.
        options: padding, sizes and quality of the crop.
    """
    if box is None and max(size) <= options.max_side:
        return data
    least = options.min_side if box is not None else 0
    image = crop_box(open_rgb(data), box, padding=options.padding, max_side=options.max_side, min_side=least)
    return encode_jpeg(image, options.jpeg_quality) if image is not None else None


def pictures_of(
    plan: Plan, folder: Path, options: CropOptions | None, desc: str
) -> dict[tuple[str, Box | None], bytes | None]:
    """(image_id, box) -> JPEG bytes of every picture that the plan names; a picture in two tables is cropped once.

    Args:
        folder: an ingested source, or with ``options`` None the data set, whose crops are kept unchanged.
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
    plan: Plan, pictures: dict[tuple[str, Box | None], bytes | None], tables: Collection[str], out: Path
) -> Plan:
    """Write ``tables`` (of queries, gallery and train) as Parquet files, sorted by row_id.

    Args:
        pictures: of every pick that has an image; None: the crop was too small.

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
    for name in tables:
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


# kind -> the item columns that it needs, and the function that selects its rows
SELECT: dict[str, tuple[tuple[str, ...], Callable[[Source, BenchmarkParams], Plan]]] = {
    "inshop": (INSHOP, select_inshop),
    "consumer_to_shop": (CONSUMER_TO_SHOP, select_consumer_to_shop),
    "image_category": (IMAGE_CATEGORY, select_image_category),
    "multilabel": (MULTILABEL, select_multilabel),
    "pairs": (PAIRS, select_pairs),
}


def description(params: BenchmarkParams, plan: Plan) -> dict[str, Any]:
    """Content of benchmark.json; entries about training rows and boxes only exist over an upstream tree."""
    tables = {"queries": plan.queries, "gallery": plan.gallery}
    upstream: dict[str, Any] = {}
    if params.kind in UPSTREAM:
        tables["train"] = plan.train
        upstream = {
            "boxes": params.boxes,
            "queries_repeating": sum(pick.repeats is not None for pick in plan.queries),
            "gallery_repeating": sum(pick.repeats is not None for pick in plan.gallery),
            "train": sum(pick.split == "train" for pick in plan.train),
            "val": sum(pick.split == "val" for pick in plan.train),
            "whole_pictures": sum(
                pick.box is None and pick.image_id is not None for picks in tables.values() for pick in picks
            ),
        }
    return {
        "kind": params.kind,
        "source": params.source,
        "queries": len(plan.queries),
        "queries_missed": sum(plan.missed.values()),
        "queries_missed_by_outcome": plan.missed,
        "queries_without_match": plan.without_match,
        "gallery": len(plan.gallery),
        "items_in_gallery": len({pick.item for pick in plan.gallery}),
        "left_out": dict(sorted(plan.left_out.items())),
        "categories": {
            table: dict(sorted(Counter(str(pick.category) for pick in picks).items()))
            for table, picks in tables.items()
        },
        **upstream,
        **plan.about,
    }


def select_upstream(args: Namespace, params: BenchmarkParams, nms: NmsParams) -> Plan:
    """The plan of a benchmark over an ingested source, by annotated or detected boxes."""
    columns, choose = SELECT[params.kind]
    source = read_source(_named(args.images, params.source, args.benchmark), columns)
    plan = choose(source, params)
    plan.mark_repeats(source.clusters)  # before detection, as an undetected query loses its image
    if params.boxes == "detected":
        seed_everything(0)  # to fix torch's threads and deterministic algorithms; no random numbers are drawn
        detector = load(_named(args.model, params.detection.detector, args.benchmark))
        detections = detect(plan, args.images, detector, params.detection, nms)
        plan = with_detections(plan, detections, params.detection.overlap)
    elif params.kind == "pairs" and args.model != args.images:
        boxes = read_table(_named(args.model, params.source, args.benchmark) / "boxes.parquet", BOXES)
        ids, names = (boxes[column].to_pylist() for column in ("object_id", "superclass"))
        plan = with_classes(plan, dict(zip(ids, names, strict=True)))
    plan.inventory = source.inventory
    plan.separate()
    plan.mark_repeats(source.clusters)
    return plan


def _named(folder: Path, name: str, benchmark: str) -> Path:
    """The folder, checked against the benchmark's section.

    Raises:
        StageError: ``benchmark_reads`` in params.yaml names another folder.
    """
    if folder.name != name:
        raise StageError(
            f"params.yaml: `benchmark_reads.{benchmark}` names {folder}, but `benchmark.{benchmark}` reads {name}. "
            "Make the two agree (stages/benchmarks/params.py derives the first from the second)."
        )
    return folder


def main(args: Namespace, params: SimpleNamespace) -> Report:
    """Read, select, check, write."""
    options: BenchmarkParams = params.benchmark
    upstream = options.kind in UPSTREAM
    out = fresh_folder(args.out)
    plan = select_upstream(args, options, params.nms) if upstream else select_crops(args.images, options)
    plan.check(args.benchmark)
    pictures = pictures_of(plan, args.images, options.crop if upstream else None, f"cut {args.benchmark} (shards)")
    written = write_plan(plan, pictures, ("queries", "gallery", "train") if upstream else ("queries", "gallery"), out)
    content = description(options, written)
    write_json(out / "benchmark.json", content)
    numbers = {name: value for name, value in content.items() if isinstance(value, int)}
    log.info(f"{args.benchmark}: " + ", ".join(f"{value} {name}" for name, value in numbers.items()))
    return Report(metrics=numbers)


STAGE = Stage(
    main,
    ["benchmark", "images", "model", "out"],
    {"benchmark": ("benchmark.{benchmark}", BenchmarkParams), "nms": ("nms", NmsParams)},
)
