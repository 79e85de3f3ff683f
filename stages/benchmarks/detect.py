"""Run a trained detector over the images that a plan's queries and gallery lie in."""

from pathlib import Path

from stages.benchmarks.params import DetectionOptions
from stages.benchmarks.plan import Plan
from stages.core.errors import StageError, shown
from stages.networks.detector.shards import Detection, Predictor, search_shards


def load(folder: Path) -> Predictor:
    """The detector.

    Raises:
        StageError: when it was not trained.
    """
    if not folder.is_dir():
        there = shown(path.name for path in folder.parent.iterdir()) if folder.parent.is_dir() else "nothing"
        raise StageError(f"{folder}: no such detector. Trained are: {there}. List it in `detectors`.")
    from stages.networks.detector.model import Detector  # after the check: importing it takes seconds

    return Detector(folder)


def detect(plan: Plan, source: Path, detector: Predictor, options: DetectionOptions) -> dict[str, list[Detection]]:
    """image_id -> detections, for the images of queries and gallery."""
    wanted = {pick.image_id for pick in (*plan.queries, *plan.gallery)}
    pictures = search_shards(
        source,
        ["image_id", "bytes"],
        {options.detector: detector},
        lambda row: [options.detector] if row["image_id"] in wanted else None,
        batch=options.batch,
        confidence=options.confidence,
        iou=options.nms_iou,
        desc=f"detect {source.name} (shards)",
    )
    return {picture.row["image_id"]: picture.detections for picture in pictures}
