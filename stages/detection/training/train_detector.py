"""Train one detector with Ultralytics.

Reads:  boxes/<detector>/boxes.parquet and the ingested shards.
Writes: weights.safetensors (float32, the averaged weights of the epoch with the best fitness on val), detector.json
        (architecture, classes, size), history.csv (losses and validation scores by epoch), params.json (the
        resolved section).
Params: detector.<detector>.

A killed training resumes after its last finished epoch (stages/detection/training/trainer.py).
"""

import argparse
import logging
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from stages.contracts.tables import shard_paths
from stages.core.determinism import device, seed_everything
from stages.core.errors import StageError
from stages.core.files import fresh_folder, write_csv, write_json
from stages.detection.params import DetectorParams
from stages.detection.training.trainer import RUN, ResumableTrainer
from stages.detection.yolo_directory import cached_yolo_directory
from stages.learning.checkpoints import WORK, Checkpoints, training_key
from stages.networks.detector.model import architecture_path, save_detector
from stages.runner.stage import Report, Stage

log = logging.getLogger(__name__)


def main(args: argparse.Namespace, params: SimpleNamespace) -> Report:
    """Write the YOLO directory, train, keep the best epoch."""
    options: DetectorParams = params.detector
    hardware = _hardware(options, args.detector)
    data = cached_yolo_directory(
        args.ingested, args.boxes, options.superclasses, options.unboxed_is_background, WORK / "yolo"
    )
    start = _starting_point(options)
    inputs = [*shard_paths(args.ingested), args.boxes / "boxes.parquet"]
    key = training_key(
        options, inputs + ([start] if start.is_file() else []), ("core", "learning", "networks/detector", "detection")
    )
    checkpoints = Checkpoints(WORK / "train_detector", key)
    state = checkpoints.load()
    if state is None or not state["finished"]:
        state = _train(args.detector, str(start), data, options, hardware, checkpoints)
    out = fresh_folder(args.out)
    card = {"model": options.model, "superclasses": options.superclasses, "image_size": options.image_size}
    save_detector(state["best"], card, out)
    history = _history(state["history"])
    write_csv(out / "history.csv", list(history), [list(row) for row in zip(*history.values(), strict=True)])
    write_json(out / "params.json", options.model_dump())
    checkpoints.clear()
    curves = {name: values for name, values in history.items() if name != "epoch"}
    return Report(metrics={"best_val_map50": max(history["val_map50"])}, curves=curves)


def _hardware(options: DetectorParams, name: str) -> dict[str, Any]:
    """Ultralytics' arguments for the hardware of the training, checked.

    Raises:
        StageError: a listed device does not exist, or the batch does not divide evenly by the devices.
    """
    arguments = options.hardware(device())
    if device().startswith("cuda") and options.devices is not None:
        import torch

        available = torch.cuda.device_count()
        if max(options.devices) >= available:
            raise StageError(
                f"detector.{name}.devices is {options.devices} but this machine has {available} GPUs, numbered from 0."
            )
        if options.batch % len(options.devices):
            raise StageError(
                f"detector.{name}.batch is {options.batch}, which {len(options.devices)} devices cannot share evenly."
            )
    return arguments


def _train(
    name: str, start: str, data: Path, options: DetectorParams, hardware: dict[str, Any], checkpoints: Checkpoints
) -> dict[str, Any]:
    """Train all epochs, or those that an earlier run did not finish: best weights and history."""
    seed_everything(options.seed)
    settings = {
        "task": "detect", "mode": "train", "model": start, "data": str(data), "name": RUN, "exist_ok": True,
        "project": str(checkpoints.folder.absolute()), "deterministic": True, "plots": False, "verbose": False,
    }  # fmt: skip
    trainer = ResumableTrainer(overrides={**settings, **hardware, **options.ultralytics()})
    trainer.add_callback("on_fit_epoch_end", report_progress)
    try:
        trainer.train()
    except subprocess.CalledProcessError:
        raise StageError(
            f"detector {name}: a process of the training on devices {options.devices} failed; its message is above."
        ) from None
    if not trainer.ddp:
        return {"best": trainer.best_weights, "history": trainer.history}
    state = checkpoints.load()
    if state is None or not state["finished"]:
        raise StageError(
            f"detector {name}: the training's processes left no result in {checkpoints.path}: is the disk full?"
        )
    return state


def report_progress(trainer: ResumableTrainer) -> None:
    """Log a line for about ten epochs of a training."""
    epoch, epochs = trainer.epoch + 1, trainer.epochs
    if not trainer.history or (epoch < epochs and epoch % max(1, epochs // 10)):
        return  # only the first of several processes has a history
    scores = trainer.history[-1]
    losses = sum(value for name, value in scores.items() if name.startswith("train/"))
    left = (epochs - epoch) * trainer.epoch_time
    log.info(
        f"train {trainer.detector}: epoch {epoch}/{epochs}, loss {losses:.3f}, "
        f"val mAP50 {scores['metrics/mAP50(B)']:.3f}, {left:.0f} s left"
    )


def _starting_point(options: DetectorParams) -> Path:
    """The source of the network: an architecture, or a file of weights.

    Raises:
        StageError: the weights cannot be downloaded.
    """
    if options.weights == "none":
        return Path(architecture_path(options.model))
    weights = WORK / "weights" / Path(options.model).with_suffix(".pt").name
    from ultralytics.utils.downloads import attempt_download_asset

    reason = "no release of Ultralytics has them"  # it returns a path even then
    try:
        downloaded = Path(attempt_download_asset(weights))
        if downloaded.is_file():
            return downloaded
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
    raise StageError(
        f"weights {weights.name} could not be downloaded ({reason}). Put the file at {weights}, or set "
        "`weights: none` to train from scratch."
    )


# Ultralytics' name -> name in history.csv.
_COLUMNS = {
    "epoch": "epoch",
    "train/box_loss": "train_box_loss",
    "train/cls_loss": "train_class_loss",
    "train/dfl_loss": "train_dfl_loss",
    "train/l1_loss": "train_l1_loss",  # instead of DFL, of heads with one distance a side (YOLO26)
    "val/box_loss": "val_box_loss",
    "val/cls_loss": "val_class_loss",
    "val/dfl_loss": "val_dfl_loss",
    "val/l1_loss": "val_l1_loss",
    "metrics/precision(B)": "val_precision",
    "metrics/recall(B)": "val_recall",
    "metrics/mAP50(B)": "val_map50",
    "metrics/mAP50-95(B)": "val_map50_95",
}


def _history(epochs: list[dict[str, float]]) -> dict[str, list[Any]]:
    """Column -> values by epoch."""
    return {ours: [epoch[theirs] for epoch in epochs] for theirs, ours in _COLUMNS.items() if theirs in epochs[0]}


STAGE = Stage(main, ["detector", "ingested", "boxes", "out"], {"detector": ("detector.{detector}", DetectorParams)})
