"""Train one detector with Ultralytics.

Reads:  boxes/<detector>/boxes.parquet and the ingested shards.
Writes: weights.safetensors (the epoch with the best fitness on val), detector.json (architecture, classes,
        size), history.csv (losses and validation scores by epoch), params.json (the resolved section).
Params: detector.<detector>.
"""

import argparse
import csv
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from stages.core.determinism import device, fix_threads, seed_everything
from stages.core.errors import StageError
from stages.core.files import digest, file_digest, fresh_folder, write_csv, write_json
from stages.core.progress import say
from stages.core.stage import Report, run_stage
from stages.detection.model import new_yolo, save_detector
from stages.detection.params import DetectorParams
from stages.detection.yolo_directory import cached_yolo_directory

WORK = Path(".work")


def main(args: argparse.Namespace, params: SimpleNamespace) -> Report:
    """Lay the data out, train, keep the best epoch."""
    options: DetectorParams = params.detector
    data = cached_yolo_directory(
        args.ingested, args.boxes, options.superclasses, options.unboxed_is_background, WORK / "yolo"
    )
    run = WORK / "train_detector" / digest(options.model_dump_json(), file_digest(data.parent / "labels"))[:16]
    shutil.rmtree(run, ignore_errors=True)
    seed_everything(options.seed)
    yolo = new_yolo(_starting_point(options))
    _add_callbacks(yolo, args.detector, options.epochs)
    yolo.train(
        data=str(data),
        project=str(run.parent.absolute()),
        name=run.name,
        exist_ok=True,
        device=device(),
        workers=0,
        deterministic=True,
        amp=device() != "cpu",
        plots=False,
        verbose=False,
        val=True,
        **options.ultralytics(),
    )
    out = fresh_folder(args.out)
    best = _best_network(run / "weights" / "best.pt")
    save_detector(best, _card(options), out)
    history = _history(run / "results.csv")
    write_csv(out / "history.csv", list(history), [list(row) for row in zip(*history.values(), strict=True)])
    write_json(out / "params.json", options.model_dump())
    shutil.rmtree(run, ignore_errors=True)
    curves = {name: values for name, values in history.items() if name != "epoch"}
    return Report(metrics={"best_val_map50": max(history["val_map50"])}, curves=curves)


def _starting_point(options: DetectorParams) -> str:
    if options.weights == "none":
        return options.model
    weights = Path(options.model).with_suffix(".pt").name
    from ultralytics.utils.downloads import attempt_download_asset

    try:
        return str(attempt_download_asset(WORK / "weights" / weights))
    except Exception as error:
        raise StageError(
            f"weights {weights} could not be downloaded ({type(error).__name__}: {error}). Put the file at "
            f"{WORK / 'weights' / weights}, or set `weights: none` to train from scratch."
        ) from None


def _card(options: DetectorParams) -> dict[str, Any]:
    return {"model": options.model, "superclasses": options.superclasses, "image_size": options.image_size}


def _add_callbacks(yolo: Any, name: str, epochs: int) -> None:
    # Ultralytics sets the thread count when it selects the CPU; set ours again before the first batch.
    yolo.add_callback("on_train_start", lambda trainer: fix_threads())

    reported = set()  # the final evaluation calls again with the last epoch

    def report(trainer: Any) -> None:
        scores = trainer.metrics or {}
        epoch = trainer.epoch + 1
        due = epoch == epochs or (epoch < epochs and epoch % max(1, epochs // 10) == 0)
        if due and epoch not in reported:
            reported.add(epoch)
            losses = sum(float(value) for value in trainer.label_loss_items(trainer.tloss).values())
            left = (trainer.epochs - epoch) * trainer.epoch_time
            say(
                f"train {name}: epoch {epoch}/{trainer.epochs}, loss {losses:.3f}, "
                f"val mAP50 {scores.get('metrics/mAP50(B)', 0):.3f}, {left:.0f} s left"
            )

    yolo.add_callback("on_fit_epoch_end", report)


def _best_network(path: Path) -> Any:
    import torch

    checkpoint = torch.load(path, map_location="cpu", weights_only=False)
    return (checkpoint.get("ema") or checkpoint["model"]).float()


# Ultralytics' column -> ours.
_COLUMNS = {
    "epoch": "epoch",
    "train/box_loss": "train_box_loss",
    "train/cls_loss": "train_class_loss",
    "train/dfl_loss": "train_dfl_loss",
    "val/box_loss": "val_box_loss",
    "val/cls_loss": "val_class_loss",
    "val/dfl_loss": "val_dfl_loss",
    "metrics/precision(B)": "val_precision",
    "metrics/recall(B)": "val_recall",
    "metrics/mAP50(B)": "val_map50",
    "metrics/mAP50-95(B)": "val_map50_95",
}


def _history(path: Path) -> dict[str, list[Any]]:
    """results.csv without its wall times: column -> values by epoch."""
    with path.open(encoding="utf-8") as stream:
        rows = [{key.strip(): value for key, value in row.items()} for row in csv.DictReader(stream)]
    history = {ours: [float(row[theirs]) for row in rows] for theirs, ours in _COLUMNS.items()}
    return history | {"epoch": [int(epoch) for epoch in history["epoch"]]}


if __name__ == "__main__":
    run_stage(main, ["detector", "ingested", "boxes", "out"], {"detector": ("detector.{detector}", DetectorParams)})
