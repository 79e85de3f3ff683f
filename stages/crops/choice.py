"""Which detection is the labelled item: pure functions over the detections of one image."""

from dataclasses import dataclass
from typing import Any

from stages.crops.params import CropParams

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


def choose_among(
    detections: list[Detection], items: list[Item], size: tuple[int, int], params: CropParams
) -> dict[str, Match]:
    """item_id -> its match, for all items of one photo: a box belongs to one item only.

    First every item takes a box of its label's own class, then those without one take a box that merely agrees and
    that nobody has taken: under a coat a shirt gets no box, rather than the coat's. Where all its boxes are another
    item's the outcome is ``taken``.

    Args:
        detections: of the photo, in its pixels.
        items: every labelled item of the photo; served in the order of their ids.
        size: width and height of the photo.
        params: as for ``choose``; ``no_detection: whole_image`` stands in for ``taken`` as well.
    """
    free = list(detections)
    matches: dict[str, Match] = {}
    for own_class_only in (True, False):
        for item in sorted(items, key=lambda item: item.item_id):
            if item.item_id in matches:
                continue
            wanted = [item.own] if own_class_only else item.agrees
            agreeing = sum(detection["superclass"] in item.agrees for detection in detections)
            if not any(detection["superclass"] in wanted for detection in free):
                if not own_class_only:
                    alone = choose([] if agreeing else detections, item.agrees, size, params)
                    outcome = "taken" if agreeing and alone.outcome != "whole_image" else alone.outcome
                    matches[item.item_id] = Match(outcome, len(detections), agreeing)
                continue
            found = choose(free, wanted, size, params)
            free = [detection for detection in free if detection is not found.detection]
            matches[item.item_id] = Match(found.outcome, len(detections), agreeing, found.detection)
    return matches
