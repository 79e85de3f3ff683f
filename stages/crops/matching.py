"""Choose the detection of a labeled item: alone, together with the other items of its photo, or upstream's own box."""

from dataclasses import dataclass
from typing import Any

from stages.contracts.boxes import box_array, box_of, iou
from stages.crops.params import CropParams
from stages.networks.detector.model import Detector

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
    """A labeled item: the superclasses that agree with its label, and the superclass of the label itself."""

    item_id: str
    agrees: list[str]
    own: str


def area(detection: Detection) -> float:
    """Area in square pixels."""
    return (detection["x2"] - detection["x1"]) * (detection["y2"] - detection["y1"])


def off_center(detection: Detection, size: tuple[int, int]) -> float:
    """Distance of a box's center from the image's, squared, in shares of the image's width and height."""
    x = (detection["x1"] + detection["x2"]) / 2 / size[0] - 0.5
    y = (detection["y1"] + detection["y2"]) / 2 / size[1] - 0.5
    return x * x + y * y


def place(detection: Detection) -> tuple[float, float, str]:
    """Key for breaking ties: corners, then class."""
    return detection["x1"], detection["y1"], detection["superclass"]


def choose(detections: list[Detection], agrees: list[str], size: tuple[int, int], params: CropParams) -> Match:
    """Choose the detection of an item without regard to other items of its photo.

    Args:
        detections: of one image, in its pixels.
        agrees: superclasses that agree with the item's label.
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
    # Ties are broken by confidence, area and place, so that the order of detections does not matter.
    first = {
        "highest_confidence": lambda row: -row["confidence"],
        "largest": lambda row: -area(row),
        "most_central": lambda row: off_center(row, size),
        "drop": lambda row: 0,  # there is only one
    }[params.several]
    best = min(fitting, key=lambda row: (first(row), -row["confidence"], -area(row), *place(row)))
    return Match("matched", *counts, best)


def elsewhere(detections: list[Detection], taken: Detection, same: float) -> list[Detection]:
    """The detections of other garments: without ``taken`` and those that overlap it by an IoU above ``same``."""
    overlaps = iou(box_array(map(box_of, detections)), box_array([box_of(taken)]))[:, 0]
    return [row for row, share in zip(detections, overlaps, strict=True) if row is not taken and share <= same]


def choose_among(
    detections: list[Detection], items: list[Item], size: tuple[int, int], params: CropParams, same: float
) -> dict[str, Match]:
    """item_id -> its match, for all items of a photo; each detected garment is matched with one item at most.

    First each item is matched with a box of its label's own class. Then items without a match get a box that agrees
    with their label and is still free: a shirt under a coat gets no box instead of the coat's. In both rounds the most
    confident box is matched first, and the boxes that overlap it are removed, because a detector often detects one
    garment as two classes: a coat that is also detected as a top, with less confidence, is not the shirt below it. If
    all boxes of an item were taken by others, its outcome is ``taken``.

    Args:
        detections: of the photo, in its pixels.
        items: every labeled item of the photo; for equally confident boxes the smaller item_id comes first.
        size: width and height of the photo.
        params: as for ``choose``; ``no_detection: whole_image`` also applies to ``taken``.
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
            choice = choose(free, wanted, size, params)
            matches[item_id] = Match(choice.outcome, len(detections), agreeing[item_id], choice.detection)
            if choice.detection is not None:
                free = elsewhere(free, choice.detection, same)
    for item in (item for item in items if item.item_id not in matches):
        count = agreeing[item.item_id]
        alone = choose([] if count else detections, item.agrees, size, params)
        outcome = "taken" if count and alone.outcome != "whole_image" else alone.outcome
        matches[item.item_id] = Match(outcome, len(detections), count)
    return matches


NO_DETECTOR = "none"  # detected class of a crop that is the whole image
ANNOTATED = "annotated"  # detector of a crop by upstream's own box
SALIENT_BOX = "salient"  # detector of a crop by the salient network's box, which has no class


def own_boxes(objects: list[dict[str, Any]], labels: list[dict[str, Any]]) -> dict[str, Detection]:
    """item_id -> upstream's box of the item: the box with its id, or the only box of its image.

    Args:
        objects: rows of OBJECTS.
        labels: rows of LABELS.
    """
    by_id = {row["object_id"]: row for row in objects}
    of_image: dict[str, list[dict[str, Any]]] = {}
    for row in objects:
        of_image.setdefault(row["image_id"], []).append(row)
    boxes = {}
    for label in labels:
        alone = of_image.get(label["image_id"], [])
        row = by_id.get(label["item_id"]) or (alone[0] if len(alone) == 1 else None)
        if row is not None:
            corners = {corner: row[corner] for corner in ("x1", "y1", "x2", "y2")}
            boxes[label["item_id"]] = {
                "detector": ANNOTATED, "superclass": label["superclass"], "confidence": None, **corners
            }  # fmt: skip
    return boxes


def salient_boxes(rows: list[dict[str, Any]]) -> dict[str, list[Detection]]:
    """image_id -> the salient network's box, whose confidence is its sureness, where the network saw something.

    Args:
        rows: of SALIENT.
    """
    return {
        row["image_id"]: [
            {"detector": SALIENT_BOX, "superclass": NO_DETECTOR, "confidence": row["sureness"]}
            | {corner: row[corner] for corner in ("x1", "y1", "x2", "y2")}
        ]
        for row in rows
        if row["x1"] is not None and row["reason"] != "nothing_salient"
    }


def stand_in(match: Match, box: Detection | None) -> Match:
    """The match of an item without a detection: its own box, or the whole image if it has none."""
    if match.outcome == "matched":
        return match
    if box is None:
        return Match("whole_image", match.candidates, match.agreeing)
    return Match("matched", match.candidates, match.agreeing, box)


def needed_detectors(detectors: dict[str, Detector], agrees: list[str], params: CropParams) -> list[str]:
    """Detectors with a class in ``agrees``, the group routes of docs/methods.md; all when ``agreement`` is ignored."""
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
    """The match of one item, alone or together with the other items of its photo, depending on ``params.assignment``.

    Args:
        label: a row of LABELS.
        detections: of the item's image, by the detectors that can find the item.
        mates: all items of the photo, with this one. Their images show the same picture, so each of them gets the same
            matches.
        size: width and height of the image.
        params: section ``crops``.
        same: as for ``choose_among``.
    """
    if params.assignment == "each_alone" or params.agreement == "ignored":
        return choose(detections, label["agrees"], size, params)
    return choose_among(detections, mates, size, params, same)[label["item_id"]]
