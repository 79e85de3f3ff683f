"""Match the labels of one source with detections and cut the crops, with an audit trail.

Reads:  labels/<source>, the ingested shards, the trained detectors or salient/<source>.
Writes: shard-*.parquet (schema CROPS), outcomes.parquet (the outcome of every item), detections.parquet (all
        detections), rejects.parquet, account.json; pictures of a few items by outcome, with every box: matched.jpg
        (the thick box was taken), mismatch.jpg, taken.jpg, several.jpg (several boxes agree with the label, whether
        one was taken or none).
Params: crops, detectors, nms, runtime.
"""

import argparse
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from PIL import Image

from stages.contracts.boxes import box_of, crop_box
from stages.contracts.images import encode_jpeg
from stages.contracts.ledger import Account
from stages.contracts.tables import (
    CROPS,
    DETECTIONS,
    LABELS,
    OBJECTS,
    OUTCOMES,
    SALIENT,
    read_masks,
    read_shards,
    read_table,
    write_rows,
    write_shards,
)
from stages.core.determinism import seed_everything
from stages.core.errors import StageError
from stages.core.files import fresh_folder
from stages.core.parallel import in_processes
from stages.core.params import Names
from stages.crops.matching import (
    NO_DETECTOR,
    SALIENT_BOX,
    Detection,
    Item,
    Match,
    match_item,
    needed_detectors,
    own_boxes,
    salient_boxes,
    stand_in,
)
from stages.crops.params import CropParams
from stages.networks.detector.detection_sheets import Drawn, Outline, Sheets, color_of, drawn
from stages.networks.detector.model import Detector, load_detectors
from stages.networks.detector.params import NmsParams
from stages.networks.detector.shards import Portion, portions, search_portion
from stages.runner.progress import track
from stages.runner.stage import Report, Stage

log = logging.getLogger(__name__)


def cut_match(
    image: Image.Image, detection: Detection | None, params: CropParams, mask: np.ndarray | None = None
) -> Image.Image | None:
    """The crop of a detection, or the whole image; None when it is smaller than ``min_side``.

    Args:
        mask: as of ``crop_box``, where ``crops.background`` is plain; a whole image keeps its background.
    """
    return crop_box(
        image,
        box_of(detection) if detection else None,
        padding=params.padding,
        max_side=params.max_side,
        min_side=params.min_side,
        square=params.shape == "square",
        mask=mask if detection else None,
    )


SHEETS = ("matched", "mismatch", "taken", "several")  # outcomes with a sheet of some items


def _sheets_of(match: Match) -> set[str]:
    """The sheet of its outcome, and the sheet `several` if one of several detections was taken."""
    return {match.outcome, *(["several"] if match.outcome == "matched" and match.agreeing > 1 else [])} & set(SHEETS)


def _drawn_match(label: dict[str, Any], match: Match, image: np.ndarray, detections: Sequence[Detection]) -> Drawn:
    boxes = [
        Outline(
            box_of(row),
            color_of(row["superclass"]),
            f"{row['superclass']} {row['confidence']:.2f}",
            width=4 if row is match.detection else 1,
        )
        for row in sorted(detections, key=lambda row: row is match.detection)
    ]
    named = f"label: {label['superclass']}" + (f", {label['type']}" if label["type"] else "")
    return drawn(image, boxes, [label["item_id"], named, match.outcome.replace("_", " ")])


def main(args: argparse.Namespace, params: SimpleNamespace) -> Report:
    """Detect over shards, choose, cut, write."""
    options: CropParams = params.crops
    seed_everything(0)
    account = Account(args.source)
    ledger = account.ledger("crops")
    labels = read_table(args.labels / "labels.parquet", LABELS).to_pylist()
    ledger.rows_in = len(labels)
    detectors: dict[str, Detector] = {}
    salient: dict[str, list[Detection]] = {}
    masks: Path | None = None
    if options.boxes == "salient":
        columns = [name for name in SALIENT.names if name != "mask"]
        salient = salient_boxes(read_shards(args.boxes / args.source, columns).to_pylist())
        masks = args.boxes / args.source if options.background == "plain" else None
    else:
        detectors = load_detectors(args.boxes, params.detectors)
    whole, out = Cut(), fresh_folder(args.out)
    work = divide(args.ingested, labels, detectors, salient, options)
    job = partial(cut_portion, detectors=detectors, params=options, nms=params.nms, masks=masks)
    shown = track(in_processes(job, work, "networks"), total=len(work), desc=f"match {args.source} (shards)")
    ledger.kept = write_shards(out, CROPS, _collected(shown, whole), "crop_id", options.shards)
    for reject in whole.rejects:
        ledger.reject(*reject)
    outcomes, boxes = whole.outcomes, whole.boxes
    if not ledger.kept:
        raise StageError(
            f"source {args.source}: none of {len(labels)} items got a box ({'; '.join(account.lines())}). "
            "Lower crops.confidence, or look at metrics/<profile>/detector: the detectors may have learned nothing."
        )
    write_rows(out / "outcomes.parquet", OUTCOMES, sorted(outcomes, key=lambda row: row["item_id"]))
    write_rows(out / "detections.parquet", DETECTIONS, sorted(boxes, key=lambda row: row["image_id"]))
    account.note("outcomes by superclass", _table(outcomes, {label["item_id"]: label for label in labels}))
    account.write(out)
    for line in account.lines():
        log.info(line)
    metrics = {"crops": ledger.kept, "matched_share": ledger.kept / len(labels)}
    return Report(metrics=metrics, pictures=whole.sheets.write(out))


@dataclass
class Labeled:
    """A portion of a source's pictures with the labels of their items.

    Attributes:
        portion: the pictures that have an item.
        items: image_id -> rows of LABELS.
        mates: photo -> all items that show it, in this portion or another.
        own: item_id -> upstream's box of it, where it may stand in for a detection.
        salient: image_id -> the salient network's box, where ``crops.boxes`` asks for it.
    """

    portion: Portion
    items: dict[str, list[dict[str, Any]]]
    mates: dict[str, list[Item]]
    own: dict[str, Detection]
    salient: dict[str, list[Detection]]


@dataclass
class Cut:
    """Results for the items of a portion: crops and outcomes (rows of CROPS and OUTCOMES), every detection (rows of
    DETECTIONS), (item_id, reason, detail) of items without a crop, and pictures of a few items.
    """

    crops: list[dict[str, Any]] = field(default_factory=list)
    outcomes: list[dict[str, Any]] = field(default_factory=list)
    boxes: list[dict[str, Any]] = field(default_factory=list)
    rejects: list[tuple[str, str, str]] = field(default_factory=list)
    sheets: Sheets = field(default_factory=lambda: Sheets(SHEETS))


def divide(
    ingested: Path,
    labels: list[dict[str, Any]],
    detectors: dict[str, Detector],
    salient: dict[str, list[Detection]],
    params: CropParams,
) -> list[Labeled]:
    """The labels of a source by the portion of its pictures that they belong to."""
    items: dict[str, list[dict[str, Any]]] = {}
    mates: dict[str, list[Item]] = {}
    for label in labels:
        items.setdefault(label["image_id"], []).append(label)
        mates.setdefault(label["photo"], []).append(Item(label["item_id"], label["agrees"], label["superclass"]))
    wanted = {
        image: {name for label in group for name in needed_detectors(detectors, label["agrees"], params)}
        for image, group in items.items()
    }
    objects = read_table(ingested / "objects.parquet", OBJECTS).to_pylist() if params.no_detection == "own_box" else []
    own = own_boxes(objects, labels) if objects else {}
    result = []
    for portion in portions(ingested, wanted, params.batch, len(detectors)):
        group = {image: items[image] for image in portion.wanted}
        rows = [label for labels in group.values() for label in labels]
        result.append(
            Labeled(
                portion,
                group,
                {label["photo"]: mates[label["photo"]] for label in rows},
                {label["item_id"]: own[label["item_id"]] for label in rows if label["item_id"] in own},
                {image: salient[image] for image in group if image in salient},
            )
        )
    return result


def cut_portion(
    work: Labeled, detectors: dict[str, Detector], params: CropParams, nms: NmsParams, masks: Path | None = None
) -> Cut:
    """Detect, choose and cut: the job of a worker.

    Args:
        masks: salient/<source>, whose shards have the same photos as the ingested ones; None: backgrounds stay.
    """
    result = Cut()
    mask_of = read_masks([masks / path.name for path, _, _ in work.portion.rows], work.items) if masks else {}
    pictures = search_portion(work.portion, detectors, batch=params.batch, confidence=params.confidence, nms=nms)
    for row, array, detected in pictures:
        image = Image.fromarray(array)
        detected += work.salient.get(row["image_id"], [])
        result.boxes += [{"image_id": row["image_id"], **detection} for detection in detected]
        for label in work.items[row["image_id"]]:
            # Other items of the image may need other detectors, which have searched it as well.
            own = [SALIENT_BOX, *needed_detectors(detectors, label["agrees"], params)]
            detections = [detection for detection in detected if detection["detector"] in own]
            match = match_item(label, detections, work.mates[label["photo"]], image.size, params, nms.iou)
            if params.no_detection == "own_box":
                match = stand_in(match, work.own.get(label["item_id"]))
            crop = _crop_row(label, image, match, params, mask_of.get(row["image_id"]))
            if match.outcome in ("matched", "whole_image") and crop is None:
                match = Match("unusable_crop", match.candidates, match.agreeing, match.detection)
            result.outcomes.append(_outcome_row(label, match))
            draw = partial(_drawn_match, label, match, array, detections)
            result.sheets.add(_sheets_of(match), label["item_id"], draw)
            if crop is None:
                result.rejects.append((label["item_id"], match.outcome, _mismatch_detail(detections, label["agrees"])))
            else:
                result.crops.append(crop)
    return result


def _collected(portions_cut: Iterable[Cut], whole: Cut) -> Iterator[dict[str, Any]]:
    """The crops of all portions; everything else of them is added to ``whole``."""
    for portion in portions_cut:
        whole.outcomes += portion.outcomes
        whole.boxes += portion.boxes
        whole.rejects += portion.rejects
        whole.sheets.merge(portion.sheets)
        yield from portion.crops


def _crop_row(
    label: dict[str, Any], image: Image.Image, match: Match, params: CropParams, mask: np.ndarray | None
) -> dict[str, Any] | None:
    if match.outcome not in ("matched", "whole_image"):
        return None
    crop = cut_match(image, match.detection, params, mask)
    if crop is None:
        return None
    detection = match.detection or {"detector": NO_DETECTOR, "superclass": NO_DETECTOR, "confidence": None}
    return {
        "crop_id": f"{label['source']}:{label['item_id']}",
        **label,
        "detector": detection["detector"],
        "detected_class": detection["superclass"],
        "confidence": detection["confidence"],
        "width": crop.width,
        "height": crop.height,
        "bytes": encode_jpeg(crop, params.jpeg_quality),
    }


def _outcome_row(label: dict[str, Any], match: Match) -> dict[str, Any]:
    detection = match.detection or {}
    return {
        "item_id": label["item_id"],
        "outcome": match.outcome,
        "candidates": match.candidates,
        "agreeing": match.agreeing,
        "detector": detection.get("detector"),
        "detected_class": detection.get("superclass"),
        **{key: detection.get(key) for key in ("confidence", "x1", "y1", "x2", "y2")},
    }


def _mismatch_detail(detections: list[Detection], agrees: list[str]) -> str:
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
    ["source", "labels", "ingested", "boxes", "out"],
    {"crops": ("crops", CropParams), "detectors": ("detectors", Names), "nms": ("nms", NmsParams)},
)
