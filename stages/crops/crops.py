"""Match the labels of one source with detections and cut the crops, with an audit trail.

Reads:  labels/<source>, the ingested shards, the trained detectors.
Writes: shard-*.parquet (schema CROPS), outcomes.parquet (what happened to every item), rejects.parquet,
        account.json; pictures of a few items by outcome, with every box: matched.jpg (the thick box was taken),
        mismatch.jpg, taken.jpg, several.jpg (several boxes agree with the label, whether one was taken or none).
Params: crops, detectors, nms, runtime.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
from PIL import Image

from stages.contracts.boxes import box_array, box_of, cut, iou
from stages.contracts.images import encode_jpeg
from stages.contracts.ledger import Account, Ledger
from stages.contracts.tables import (
    CROPS,
    LABELS,
    OBJECTS,
    OUTCOMES,
    read_table,
    write_rows,
    write_shards,
)
from stages.core.determinism import seed_everything
from stages.core.errors import StageError
from stages.core.files import fresh_folder
from stages.core.params import Names
from stages.crops.params import CropParams
from stages.networks.detector.model import Detector, load_detectors
from stages.networks.detector.params import NmsParams
from stages.networks.detector.shards import search_shards
from stages.networks.detector.sheets import Drawn, Outline, Sheets, color_of, drawn
from stages.runner.progress import say
from stages.runner.stage import Report, Stage

Detection = dict[str, Any]  # detector, superclass, confidence, x1, y1, x2, y2


@dataclass(frozen=True)
class Match:
    """The decision for one item: ``outcome`` is matched, whole_image, or a reject reason."""

    outcome: str
    candidates: int
    agreeing: int
    detection: Detection | None = None


@dataclass(frozen=True)
class Item:
    """What matching needs of a labelled item: the superclasses that count as it, and its label's own one."""

    item_id: str
    agrees: list[str]
    own: str


def area(detection: Detection) -> float:
    """Area in square pixels."""
    return (detection["x2"] - detection["x1"]) * (detection["y2"] - detection["y1"])


def off_centre(detection: Detection, size: tuple[int, int]) -> float:
    """Distance of a box's centre from the image's, squared, in shares of the image's width and height."""
    x = (detection["x1"] + detection["x2"]) / 2 / size[0] - 0.5
    y = (detection["y1"] + detection["y2"]) / 2 / size[1] - 0.5
    return x * x + y * y


def place(detection: Detection) -> tuple[float, float, str]:
    """What breaks the last ties: corner, then class."""
    return detection["x1"], detection["y1"], detection["superclass"]


def choose(detections: list[Detection], agrees: list[str], size: tuple[int, int], params: CropParams) -> Match:
    """The detection that belongs to an item whose label allows the superclasses ``agrees``, looked at alone.

    Args:
        detections: of one image, in its pixels.
        agrees: superclasses that count as the item.
        size: width and height of the image.
        params: ``agreement``, ``several`` and ``no_detection`` decide.

    No detection at all is ``no_detection``; detections of other classes only are a ``mismatch``. Where
    ``params.agreement`` is ignored every detection counts, so that the choice does not depend on the label.
    """
    fitting = detections
    if params.agreement == "required":
        fitting = [detection for detection in detections if detection["superclass"] in agrees]
    counts = (len(detections), len(fitting))
    if not fitting:
        if params.no_detection == "whole_image":
            return Match("whole_image", *counts)
        return Match("mismatch" if detections else "no_detection", *counts)
    if len(fitting) > 1 and params.several == "drop":
        return Match("several", *counts)
    # Ties by confidence, area and place, so that the choice never depends on the order of detections.
    first = {
        "highest_confidence": lambda row: -row["confidence"],
        "largest": lambda row: -area(row),
        "most_central": lambda row: off_centre(row, size),
        "drop": lambda row: 0,  # there is only one
    }[params.several]
    best = min(fitting, key=lambda row: (first(row), -row["confidence"], -area(row), *place(row)))
    return Match("matched", *counts, best)


def elsewhere(detections: list[Detection], taken: Detection, same: float) -> list[Detection]:
    """Those of other garments than ``taken``: all but itself and what overlaps it by an IoU above ``same``."""
    overlaps = iou(box_array(map(box_of, detections)), box_array([box_of(taken)]))[:, 0]
    return [row for row, share in zip(detections, overlaps, strict=True) if row is not taken and share <= same]


def choose_among(
    detections: list[Detection], items: list[Item], size: tuple[int, int], params: CropParams, same: float
) -> dict[str, Match]:
    """item_id -> its match, for all items of one photo: a garment that was detected belongs to one item only.

    First every item takes a box of its label's own class, then those without one take a box that merely agrees and
    that nobody has taken: under a coat a shirt gets no box, rather than the coat's. Each time the surest box is served
    first, and takes along what overlaps it: a detector often sees one garment as two classes, and the coat that is
    also a top, less surely, is not the shirt below it. Where all its boxes are another item's the outcome is ``taken``.

    Args:
        detections: of the photo, in its pixels.
        items: every labelled item of the photo; equally sure ones are served in the order of their ids.
        size: width and height of the photo.
        params: as for ``choose``; ``no_detection: whole_image`` stands in for ``taken`` as well.
        same: intersection over union above which two boxes are of one garment.
    """
    free = list(detections)
    matches: dict[str, Match] = {}
    agreeing = {item.item_id: sum(row["superclass"] in item.agrees for row in detections) for item in items}
    for own_class_only in (True, False):
        while True:
            waiting = []
            for item in (item for item in items if item.item_id not in matches):
                wanted = [item.own] if own_class_only else item.agrees
                if sure := [row["confidence"] for row in free if row["superclass"] in wanted]:
                    waiting.append((-max(sure), item.item_id, wanted))
            if not waiting:
                break
            _, item_id, wanted = min(waiting)
            found = choose(free, wanted, size, params)
            matches[item_id] = Match(found.outcome, len(detections), agreeing[item_id], found.detection)
            if found.detection is not None:
                free = elsewhere(free, found.detection, same)
    for item in (item for item in items if item.item_id not in matches):
        count = agreeing[item.item_id]
        alone = choose([] if count else detections, item.agrees, size, params)
        outcome = "taken" if count and alone.outcome != "whole_image" else alone.outcome
        matches[item.item_id] = Match(outcome, len(detections), count)
    return matches


NO_DETECTOR = "none"  # detected class of a crop that is the whole image
ANNOTATED = "annotated"  # detector of a crop that is cut by upstream's own box


def own_boxes(objects: list[dict[str, Any]], labels: list[dict[str, Any]]) -> dict[str, Detection]:
    """item_id -> upstream's own box of it: the one that the item is, or the only one of its image.

    Args:
        objects: rows of OBJECTS.
        labels: rows of LABELS.
    """
    by_id = {row["object_id"]: row for row in objects}
    of_image: dict[str, list[dict[str, Any]]] = {}
    for row in objects:
        of_image.setdefault(row["image_id"], []).append(row)
    found = {}
    for label in labels:
        alone = of_image.get(label["image_id"], [])
        row = by_id.get(label["item_id"]) or (alone[0] if len(alone) == 1 else None)
        if row is not None:
            corners = {corner: row[corner] for corner in ("x1", "y1", "x2", "y2")}
            found[label["item_id"]] = {
                "detector": ANNOTATED, "superclass": label["superclass"], "confidence": None, **corners
            }  # fmt: skip
    return found


def stand_in(match: Match, box: Detection | None) -> Match:
    """The match of an item for which no detection was found: its own box, the whole image where it has none."""
    if match.outcome == "matched":
        return match
    if box is None:
        return Match("whole_image", match.candidates, match.agreeing)
    return Match("matched", match.candidates, match.agreeing, box)


def needed_detectors(detectors: dict[str, Detector], agrees: list[str], params: CropParams) -> list[str]:
    """Detectors that can find one of ``agrees``: the group routes (docs/methods.md). All, when labels play no part."""
    if params.agreement == "ignored":
        return list(detectors)
    return [name for name, detector in detectors.items() if set(detector.names) & set(agrees)]


def match_item(
    label: dict[str, Any],
    detections: list[Detection],
    mates: list[Item],
    size: tuple[int, int],
    params: CropParams,
    same: float,
) -> Match:
    """The match of one item, looked at alone or beside the other items of its photo, as ``params.assignment`` says.

    Args:
        label: a row of LABELS.
        detections: of the item's image, by the detectors that can find the item.
        mates: all items of the photo, this one too. Each of their images is the same picture, so the shares come out
            the same for every one of them.
        size: width and height of the image.
        params: section ``crops``.
        same: as for ``choose_among``.
    """
    if params.assignment == "each_alone" or params.agreement == "ignored":
        return choose(detections, label["agrees"], size, params)
    return choose_among(detections, mates, size, params, same)[label["item_id"]]


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


SHEETS = ("matched", "mismatch", "taken", "several")  # outcomes of which some items are drawn


def _sheets_of(match: Match) -> set[str]:
    """That of its outcome; that of several detections too where one of several was taken."""
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
    detectors = load_detectors(args.detectors, params.detectors)
    outcomes: list[dict[str, Any]] = []
    sheets, out = Sheets(SHEETS), fresh_folder(args.out)
    rows = _crop_rows(args, labels, detectors, params, ledger, outcomes, sheets)
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
    metrics = {"crops": ledger.kept, "matched_share": ledger.kept / len(labels)}
    return Report(metrics=metrics, pictures=sheets.write(out))


def _crop_rows(
    args: argparse.Namespace,
    labels: list[dict[str, Any]],
    detectors: dict[str, Detector],
    params: SimpleNamespace,
    ledger: Ledger,
    outcomes: list[dict[str, Any]],
    sheets: Sheets,
) -> Iterator[dict[str, Any]]:
    """Rows of CROPS, one shard of images after the other.

    What happened to every item goes into ``outcomes`` and ``sheets``, what has no crop into ``ledger`` as well.
    """
    options: CropParams = params.crops
    items: dict[str, list[dict[str, Any]]] = {}
    mates: dict[str, list[Item]] = {}
    for label in labels:
        items.setdefault(label["image_id"], []).append(label)
        mates.setdefault(label["photo"], []).append(Item(label["item_id"], label["agrees"], label["superclass"]))
    wanted = {
        image: {name for label in group for name in needed_detectors(detectors, label["agrees"], options)}
        for image, group in items.items()
    }
    own_box = options.no_detection == "own_box"
    boxes = own_boxes(read_table(args.ingested / "objects.parquet", OBJECTS).to_pylist(), labels) if own_box else {}
    pictures = search_shards(
        args.ingested,
        ["image_id", "bytes"],
        detectors,
        lambda row: wanted.get(row["image_id"]),
        batch=options.batch,
        confidence=options.confidence,
        nms=params.nms,
        desc=f"match {args.source} (shards)",
    )
    for row, array, found in pictures:
        image = Image.fromarray(array)
        for label in items[row["image_id"]]:
            # The image may have been searched for another item of its own, with other detectors.
            own = needed_detectors(detectors, label["agrees"], options)
            detections = [detection for detection in found if detection["detector"] in own]
            match = match_item(label, detections, mates[label["photo"]], image.size, options, params.nms.iou)
            if own_box:
                match = stand_in(match, boxes.get(label["item_id"]))
            crop = _crop_row(label, image, match, options)
            if match.outcome in ("matched", "whole_image") and crop is None:
                match = Match("unusable_crop", match.candidates, match.agreeing, match.detection)
            outcomes.append(_outcome_row(label, match))
            sheets.add(_sheets_of(match), label["item_id"], partial(_drawn_match, label, match, array, detections))
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
    {"crops": ("crops", CropParams), "detectors": ("detectors", Names), "nms": ("nms", NmsParams)},
)
