"""Match the labels of one source with detections and cut the crops, with an audit trail.

Reads:  labels/<source>, the ingested shards, the trained detectors.
Writes: shard-*.parquet (schema CROPS), outcomes.parquet (what happened to every item), rejects.parquet,
        account.json.
Params: crops, detectors, runtime.
"""

import argparse
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from PIL import Image

from stages.contracts.boxes import box_of
from stages.contracts.cutting import cut
from stages.contracts.images import encode_jpeg
from stages.contracts.ledger import Account, Ledger
from stages.contracts.tables import (
    CROPS,
    LABELS,
    OUTCOMES,
    read_table,
    write_rows,
    write_shards,
)
from stages.core.determinism import seed_everything
from stages.core.errors import StageError
from stages.core.files import fresh_folder
from stages.core.params import Names
from stages.crops.choice import Detection, Item, Match, choose, choose_among
from stages.crops.params import CropParams
from stages.networks.detector.model import Detector, load_detectors
from stages.networks.detector.shards import search_shards
from stages.runner.progress import say
from stages.runner.stage import Report, Stage

NO_DETECTOR = "none"  # detected class of a crop that is the whole image


def needed_detectors(detectors: dict[str, Detector], agrees: list[str], params: CropParams) -> list[str]:
    """Detectors that can find one of ``agrees``: the group routes (docs/methods.md). All, when labels play no part."""
    if params.agreement == "ignored":
        return list(detectors)
    return [name for name, detector in detectors.items() if set(detector.names) & set(agrees)]


def match_item(
    label: dict[str, Any], detections: list[Detection], mates: list[Item], size: tuple[int, int], params: CropParams
) -> Match:
    """The match of one item, looked at alone or beside the other items of its photo, as ``params.assignment`` says.

    Args:
        label: a row of LABELS.
        detections: of the item's image, by the detectors that can find the item.
        mates: all items of the photo, this one too. Each of their images is the same picture, so the shares come out
            the same for every one of them.
        size: width and height of the image.
        params: section ``crops``.
    """
    if params.assignment == "each_alone" or params.agreement == "ignored":
        return choose(detections, label["agrees"], size, params)
    return choose_among(detections, mates, size, params)[label["item_id"]]


def cut_match(image: Image.Image, detection: Detection | None, params: CropParams) -> Image.Image | None:
    """The crop of a detection, or the whole image; None when it is smaller than ``min_side``."""
    return cut(
        image,
        box_of(detection) if detection else None,
        padding=params.padding,
        max_side=params.max_side,
        min_side=params.min_side,
        square=params.shape == "square",
    )


def main(args: argparse.Namespace, params: SimpleNamespace) -> Report:
    """Detect over shards, choose, cut, write."""
    options: CropParams = params.crops
    seed_everything(0)
    account = Account(args.source)
    ledger = account.ledger("crops")
    labels = read_table(args.labels / "labels.parquet", LABELS).to_pylist()
    ledger.rows_in = len(labels)
    detectors = load_detectors(args.detectors, params.detectors)
    outcomes: list[dict[str, Any]] = []
    out = fresh_folder(args.out)
    rows = _crop_rows(args, labels, detectors, options, ledger, outcomes)
    ledger.kept = write_shards(out, CROPS, rows, "crop_id", options.shards)
    if not ledger.kept:
        raise StageError(
            f"source {args.source}: none of {len(labels)} items found its box ({'; '.join(account.lines())}). "
            "Lower crops.confidence, or look at metrics/<profile>/detector: the detectors may have learned nothing."
        )
    write_rows(out / "outcomes.parquet", OUTCOMES, sorted(outcomes, key=lambda row: row["item_id"]))
    account.note("outcomes by superclass", _table(outcomes, {label["item_id"]: label for label in labels}))
    account.write(out)
    for line in account.lines():
        say(line)
    return Report(metrics={"crops": ledger.kept, "matched_share": ledger.kept / len(labels)})


def _crop_rows(
    args: argparse.Namespace,
    labels: list[dict[str, Any]],
    detectors: dict[str, Detector],
    options: CropParams,
    ledger: Ledger,
    outcomes: list[dict[str, Any]],
) -> Iterator[dict[str, Any]]:
    """Rows of CROPS, one shard of images after the other.

    What happened to every item goes into ``outcomes``, what has no crop into ``ledger`` as well.
    """
    items: dict[str, list[dict[str, Any]]] = {}
    mates: dict[str, list[Item]] = {}
    for label in labels:
        items.setdefault(label["image_id"], []).append(label)
        mates.setdefault(label["photo"], []).append(Item(label["item_id"], label["agrees"], label["superclass"]))
    wanted = {
        image: {name for label in group for name in needed_detectors(detectors, label["agrees"], options)}
        for image, group in items.items()
    }
    pictures = search_shards(
        args.ingested,
        ["image_id", "bytes"],
        detectors,
        lambda row: wanted.get(row["image_id"]),
        batch=options.batch,
        confidence=options.confidence,
        iou=options.nms_iou,
        desc=f"match {args.source} (shards)",
    )
    for row, array, found in pictures:
        image = Image.fromarray(array)
        for label in items[row["image_id"]]:
            # The image may have been searched for another item of its own, with other detectors.
            own = needed_detectors(detectors, label["agrees"], options)
            detections = [detection for detection in found if detection["detector"] in own]
            match = match_item(label, detections, mates[label["photo"]], image.size, options)
            crop = _crop_row(label, image, match, options)
            if match.outcome in ("matched", "whole_image") and crop is None:
                match = Match("unusable_crop", match.candidates, match.agreeing, match.detection)
            outcomes.append(_outcome_row(label, match))
            if crop is None:
                ledger.reject(label["item_id"], match.outcome, _seen(detections, label["agrees"]))
            else:
                yield crop


def _crop_row(label: dict[str, Any], image: Image.Image, match: Match, params: CropParams) -> dict[str, Any] | None:
    if match.outcome not in ("matched", "whole_image"):
        return None
    crop = cut_match(image, match.detection, params)
    if crop is None:
        return None
    found = match.detection or {"detector": NO_DETECTOR, "superclass": NO_DETECTOR, "confidence": None}
    return {
        "crop_id": f"{label['source']}:{label['item_id']}",
        **label,
        "detector": found["detector"],
        "detected_class": found["superclass"],
        "confidence": found["confidence"],
        "width": crop.width,
        "height": crop.height,
        "bytes": encode_jpeg(crop, params.jpeg_quality),
    }


def _outcome_row(label: dict[str, Any], match: Match) -> dict[str, Any]:
    found = match.detection or {}
    return {
        "item_id": label["item_id"],
        "outcome": match.outcome,
        "candidates": match.candidates,
        "agreeing": match.agreeing,
        "detector": found.get("detector"),
        "detected_class": found.get("superclass"),
        **{key: found.get(key) for key in ("confidence", "x1", "y1", "x2", "y2")},
    }


def _seen(detections: list[Detection], agrees: list[str]) -> str:
    seen = ", ".join(f"{row['superclass']} {row['confidence']:.2f}" for row in detections) or "nothing"
    return f"expected {'|'.join(agrees)}, detected {seen}"


def _table(outcomes: list[dict[str, Any]], labels: dict[str, dict[str, Any]]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row in outcomes:
        key = f"{labels[row['item_id']]['superclass']} {row['outcome']}"
        counts[key] = counts.get(key, 0) + 1
    return counts


STAGE = Stage(
    main,
    ["source", "labels", "ingested", "detectors", "out"],
    {"crops": ("crops", CropParams), "detectors": ("detectors", Names)},
)
