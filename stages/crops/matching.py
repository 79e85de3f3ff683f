"""Which detection is the labeled item: alone, beside the other items of its photo, or upstream's own box."""

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
    """What matching needs of a labeled item: the superclasses that count as it, and its label's own one."""

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
        "most_central": lambda row: off_center(row, size),
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
        items: every labeled item of the photo; equally sure ones are served in the order of their ids.
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
