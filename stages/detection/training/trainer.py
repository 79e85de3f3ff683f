"""Ultralytics' detection trainer with exact resume: a killed and resumed training gives the same bytes.

After each epoch the full state is written into a checkpoint (stages/learning/checkpoints.py), as Ultralytics' own
checkpoint has half-precision weights and only a part of the state. Three hidden states of its loop are replaced by
functions of the epoch's number: every generator (Python, numpy, torch, the loader's) is seeded for each epoch and
process, the loader is restarted, and mosaics draw their pictures from the whole set (training_set.py). A resumed
training gives the same bytes on a CPU, and on a GPU if its kernels are deterministic.

With several devices Ultralytics starts one process for each, which builds this class from Ultralytics' arguments alone.
So all settings are passed in these, and the folder of the run tells where the checkpoint is.
"""

import logging
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
import ultralytics.engine.trainer as engine
from torch import distributed
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.utils import RANK
from ultralytics.utils.torch_utils import ModelEMA, unwrap_model

from stages.core.determinism import fix_threads
from stages.core.errors import StageError
from stages.core.fast_imports import spare_compiler
from stages.core.files import digest
from stages.core.log import show_log
from stages.detection.training.training_set import TrainingSet
from stages.learning.checkpoints import Checkpoints
from stages.networks.detector.model import quiet_ultralytics, register_backbone

log = logging.getLogger(__name__)

RETRIES = 3  # of an epoch that ended in NaN; Ultralytics' number
RUN = "run"  # Ultralytics' folder, inside that of the checkpoint


def epoch_seed(seed: int, epoch: int, rank: int, attempt: int) -> int:
    """Seed of all generators of one process in one epoch; numpy's takes 32 bits."""
    return int(digest(f"detector {seed} {epoch} {rank} {attempt}")[:8], 16)


class ResumableTrainer(DetectionTrainer):
    """A training that resumes after its last finished epoch.

    Attributes:
        checkpoints: of its state, in the folder of ``project``.
        history: Ultralytics' metrics of each finished epoch, by name, and its number, ``epoch``.
        best_weights: averaged weights (EMA) of the epoch with the highest fitness, in full precision, on the CPU.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        quiet_ultralytics()
        register_backbone()
        spare_compiler()
        show_log()  # Ultralytics' own processes come here as well
        super().__init__(*args, **kwargs)
        self.checkpoints = Checkpoints(self.save_dir.parent.parent, self.save_dir.parent.name)
        self.history: list[dict[str, float]] = []
        self.best_weights: dict[str, torch.Tensor] = {}
        self._gradients: dict[str, torch.Tensor] = {}
        self._batch, self._last_step = 0, -1
        self._batch_size = self.args.batch

    # Start of a training

    def setup_model(self) -> dict[str, Any] | None:
        """Build the network; return the state to resume from, or None."""
        super().setup_model()
        state = self.checkpoints.load()
        self.resume = state is not None
        if state is not None and RANK in {-1, 0}:
            log.info(f"train {self.detector}: resumed after epoch {state['epoch'] + 1} of {self.epochs}")
        return state

    def _setup_train(self) -> None:
        # Ultralytics' check would download another network; set `amp: false` for GPUs on which amp fails.
        engine.check_amp = lambda model: next(model.parameters()).device.type != "cpu"
        super()._setup_train()

    def _build_train_pipeline(self) -> None:
        if self.optimizer is not None:  # Ultralytics would halve the batch, against params.yaml
            raise StageError(
                f"detector {self.detector}: batch {self._batch_size} at {self.args.imgsz} px does not fit into the "
                f"memory of {self.device}. Lower detector.{self.detector}.batch or image_size."
            )
        super()._build_train_pipeline()

    def build_dataset(self, img_path: str, mode: str = "train", batch: int | None = None) -> Any:
        """Our own training set; Ultralytics' validation set."""
        if mode != "train":
            return super().build_dataset(img_path, mode, batch)
        stride = max(int(unwrap_model(self.model).stride.max()), 32)
        return TrainingSet(
            img_path=img_path, imgsz=self.args.imgsz, batch_size=batch, augment=True, hyp=self.args, rect=False,
            cache=None, stride=stride, pad=0.0, prefix="train: ", task="detect", data=self.data,
        )  # fmt: skip

    def _load_checkpoint_state(self, ckpt: dict[str, Any]) -> None:
        """Restore ``_state``."""
        unwrap_model(self.model).load_state_dict(ckpt["model"])
        self.ema = ModelEMA(self.model)  # validation may have made the old tensors read-only
        self.ema.ema.load_state_dict(ckpt["ema"])
        self.ema.updates = ckpt["updates"]
        self.optimizer.load_state_dict(ckpt["optimizer"])
        self.scaler.load_state_dict(ckpt["scaler"])
        self.stopper.__dict__.update(ckpt["stopper"])
        self.best_fitness, self.best_weights = ckpt["best_fitness"], ckpt["best"]
        self.history, self._last_step, self._gradients = ckpt["history"], ckpt["last_step"], ckpt["gradients"]

    # One epoch

    def run_callbacks(self, event: str) -> None:
        """Run this class's callbacks, then those that were added."""
        ours = {
            "on_train_start": fix_threads,  # Ultralytics set a count when it selected the CPU
            "on_train_epoch_start": self._start_epoch,
            "on_train_batch_end": self._end_batch,
        }
        ours.get(event, lambda: None)()
        super().run_callbacks(event)

    def _start_epoch(self) -> None:
        seed = epoch_seed(self.args.seed, self.epoch, RANK, self.nan_recovery_attempts)
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        self.train_loader.reset()
        self.train_loader.generator.manual_seed(seed)
        self._batch = self.epoch * len(self.train_loader)
        for name, weight in unwrap_model(self.model).named_parameters():
            if name in self._gradients:
                weight.grad = self._gradients[name].to(weight.device)
        self._gradients = {}

    def optimizer_step(self) -> None:
        """Do nothing, because Ultralytics' loop counts the batches since the last step in a local variable.

        If several batches make one step (`nominal_batch`), the last batches of an epoch belong to a step of the next.
        ``_end_batch`` counts in the same way, and its count survives a resume.
        """

    def _end_batch(self) -> None:
        if self._batch - self._last_step >= self.accumulate:
            super().optimizer_step()
            self._last_step = self._batch
        self._batch += 1

    # State of an epoch

    def save_metrics(self, metrics: dict[str, Any]) -> None:
        """Keep the metrics in memory and the checkpoint. Ultralytics' CSV would keep lines of a killed run."""
        self.history.append({"epoch": self.epoch + 1, **{name: float(value) for name, value in metrics.items()}})

    def save_model(self) -> bool:
        """Keep the best weights and the checkpoint."""
        if self.fitness == self.best_fitness:
            self.best_weights = {name: value.cpu().clone() for name, value in self.ema.ema.state_dict().items()}
        self.checkpoints.save(self._state())
        return True

    def _state(self) -> dict[str, Any]:
        network = unwrap_model(self.model)
        stopper = {
            "best_fitness": float(self.stopper.best_fitness),
            "best_epoch": int(self.stopper.best_epoch),
            "possible_stop": bool(self.stopper.possible_stop),
        }
        return {
            "epoch": self.epoch,
            "finished": bool(self.stop),
            "model": network.state_dict(),
            "ema": self.ema.ema.state_dict(),
            "updates": self.ema.updates,
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "stopper": stopper,
            "best_fitness": float(self.best_fitness),
            "best": self.best_weights,
            "history": self.history,
            "last_step": self._last_step,
            "gradients": {
                name: parameter.grad for name, parameter in network.named_parameters() if parameter.grad is not None
            },
        }

    def final_eval(self) -> None:
        """Do nothing: the best weights are in memory, and evaluation is a stage of its own."""

    def _handle_nan_recovery(self, epoch: int) -> bool:
        """Return to the last checkpoint when an epoch ended in NaN; the new attempt has other seeds.

        Raises:
            StageError: there is no checkpoint, or it happened too often.
        """
        broken = [RANK in {-1, 0} and not (bool(self.loss.isfinite()) and bool(np.isfinite(self.fitness)))]
        if RANK != -1:
            distributed.broadcast_object_list(broken, 0)
        if not broken[0]:
            return False
        state = self.checkpoints.load() if self.nan_recovery_attempts < RETRIES else None
        if state is None:
            raise StageError(
                f"detector {self.detector}: the loss is not a number after epoch {epoch + 1}. Lower "
                f"detector.{self.detector}.learning_rate, or set amp: false if it is true."
            )
        log.warning(f"train {self.detector}: epoch {epoch + 1} ended in NaN; back to the epoch before")
        self._model_train()
        self._load_checkpoint_state(state)
        self.scheduler.last_epoch = epoch - 1
        self.nan_recovery_attempts += 1
        return True

    @property
    def detector(self) -> str:
        """Name of the detector for messages: the name of the YOLO directory without its hash."""
        return Path(self.args.data).parent.name.rsplit("-", 1)[0]
