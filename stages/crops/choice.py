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


def area(detection: Detection) -> float:
    """Area in square pixels."""
    return (detection["x2"] - detection["x1"]) * (detection["y2"] - detection["y1"])


def place(detection: Detection) -> tuple[float, float, str]:
    """What breaks the last ties: corner, then class."""
    return detection["x1"], detection["y1"], detection["superclass"]


def choose(detections: list[Detection], agrees: list[str], params: CropParams) -> Match:
    """The detection that belongs to an item whose label allows the superclasses ``agrees``.

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
    # Ties by place, so that the choice never depends on the order of detections.
    if params.several == "largest":
        best = min(fitting, key=lambda row: (-area(row), -row["confidence"], *place(row)))
    else:
        best = min(fitting, key=lambda row: (-row["confidence"], -area(row), *place(row)))
    return Match("matched", *counts, best)


def padded(detection: Detection, padding: float, width: int, height: int) -> tuple[int, int, int, int]:
    """Whole-pixel corners of a box grown by ``padding`` of its side on each side, inside the image."""
    grow_x = (detection["x2"] - detection["x1"]) * padding
    grow_y = (detection["y2"] - detection["y1"]) * padding
    left = max(0, int(detection["x1"] - grow_x))
    top = max(0, int(detection["y1"] - grow_y))
    right = min(width, int(detection["x2"] + grow_x + 0.999999))
    bottom = min(height, int(detection["y2"] + grow_y + 0.999999))
    return left, top, right, bottom
