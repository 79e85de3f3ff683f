"""Run a trained detector over the images that a plan's queries and gallery lie in."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.benchmarks.params import DetectionOptions
from stages.benchmarks.plan import Plan
from stages.contracts.images import pixels
from stages.contracts.tables import iter_shards, shard_paths
from stages.core.errors import StageError, shown
from stages.runner.progress import track

if TYPE_CHECKING:
    from stages.networks.detector.model import Detector

Detection = dict[str, Any]


def load(folder: Path, options: DetectionOptions) -> "Detector":
    """The detector.

    Raises:
        StageError: when it was not trained.
    """
    if not (folder / options.detector).is_dir():
        there = shown(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else "nothing"
        raise StageError(
            f"{folder / options.detector}: no such detector. Trained are: {there}. List it in `detectors`."
        )
    from stages.networks.detector.model import load_detectors  # after the check: importing it takes seconds

    return load_detectors(folder, [options.detector])[options.detector]


def detect(plan: Plan, source: Path, detector: "Detector", options: DetectionOptions) -> dict[str, list[Detection]]:
    """image_id -> detections, for the images of queries and gallery."""
    wanted = {pick.image_id for pick in (*plan.queries, *plan.gallery)}
    found: dict[str, list[Detection]] = {}
    shards = iter_shards(source, ["image_id", "bytes"])
    for shard in track(shards, total=len(shard_paths(source)), desc=f"detect {source.name} (shards)"):
        for batch in shard.to_batches(max_chunksize=options.batch):
            rows = [row for row in batch.to_pylist() if row["image_id"] in wanted]
            if rows:
                images = [pixels(row["bytes"]) for row in rows]
                results = detector.predict(images, options.confidence, options.nms_iou)
                found |= {row["image_id"]: result for row, result in zip(rows, results, strict=True)}
    return found
