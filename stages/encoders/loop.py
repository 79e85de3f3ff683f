"""The loop that every trained recipe runs in: epochs, learning-rate steps, validation, the best epoch, exact resume."""

import copy
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import nn

from stages.core.errors import StageError
from stages.encoders.history import Row, before_and_after, check_select, collapse, shown_row
from stages.encoders.recipes import ScheduleParams
from stages.encoders.validation import Probe, Scores
from stages.learning.acceleration import RuntimeParams, autocast, lay_out, prepare_model
from stages.learning.checkpoints import Checkpoints, random_state, restore_random_state
from stages.learning.sampler import Batches
from stages.runner.progress import say

Split = Literal["train", "val"]


class Task(Protocol):
    """What a recipe gives the loop.

    Attributes:
        metric: how vectors are compared.
        modules: everything with weights, those of a classifier-style loss included; all of it is in the checkpoint.
        trunk: the part that pictures go through, which is worth accelerating; None where training sees no pictures.
        chance: what guessing gives, by the name of a validation figure that chance can reach.
    """

    metric: str
    modules: nn.ModuleDict
    trunk: nn.Module | None
    chance: Scores

    def groups(self) -> list[dict[str, Any]]:
        """Adam's parameter groups, each with its ``lr``."""
        ...

    def batches(self, epoch: int) -> Batches:
        """Rows of the training steps of one epoch."""
        ...

    def val_batches(self) -> Batches:
        """Rows of the validation steps, the same in every epoch; none where a loss knows only training classes."""
        ...

    def training_mode(self) -> None:
        """Put the modules into training mode, as far as the recipe wants them there."""
        ...

    def figures(self, split: Split, rows: torch.Tensor) -> dict[str, torch.Tensor]:
        """``loss``, which is minimised, and what else shall be drawn as a curve."""
        ...

    def embed(self, split: Split, rows: np.ndarray) -> np.ndarray:
        """float32 vectors [n, d] of pictures as they are."""
        ...


@dataclass(frozen=True)
class Run:
    """What a recipe's ``fit`` gets beside its examples.

    Attributes:
        name: of the encoder, for the log.
        checkpoints: of this training.
        runtime: memory layout of the networks, precision and compilation of their trunk; None: as they come.
    """

    name: str
    checkpoints: Checkpoints
    runtime: RuntimeParams | None = None


@dataclass
class Fitted:
    """An encoder that is ready to be written.

    Attributes:
        network: what weights.safetensors holds.
        card: content of encoder.json.
        header, history: columns and rows of history.csv.
        scores: figures before and after, and chance.
        draw: writes pictures into a folder and names them.
    """

    network: nn.Module
    card: dict[str, Any]
    header: list[str]
    history: list[list[Any]]
    scores: dict[str, float]
    draw: Callable[[Path], list[Path]] | None = None


@dataclass
class Trained:
    """What the loop made of a task; its modules hold the weights of the best epoch."""

    header: list[str]
    history: list[list[Any]]
    scores: dict[str, float]


@dataclass
class _Progress:
    """How far a training has come: what a checkpoint keeps beside weights, optimizer and generators."""

    history: list[Row] = field(default_factory=list)
    best: dict[str, torch.Tensor] = field(default_factory=dict)
    best_score: float = float("-inf")
    best_epoch: int = 0


def accelerate(trunk: nn.Module, runtime: RuntimeParams) -> None:
    """Let a trunk compute in ``runtime.precision`` while it trains, compiled if asked for.

    What it gives is float32 all the same: losses, and the small layers behind the trunk, need the digits. With float32
    and without compilation nothing changes.
    """
    prepare_model(trunk, runtime)
    if runtime.precision == "float32":
        return
    forward = trunk.forward

    def in_precision(images: torch.Tensor) -> torch.Tensor:
        with autocast(runtime, images.device.type) if trunk.training else nullcontext():
            return forward(images).float()

    trunk.forward = in_precision


class Trainer:
    """Trains one task."""

    def __init__(
        self, run: Run, task: Task, probe: Probe, schedule: ScheduleParams,
        warn: Callable[[Row], str | None] = lambda row: None,
    ) -> None:  # fmt: skip
        """Prepare the networks and the optimizer.

        Args:
            warn: looks at a row of the history and says what is wrong with it, if anything.
        """
        self.name, self.task, self.probe, self.schedule = run.name, task, probe, schedule
        self.checkpoints, self.warn = run.checkpoints, warn
        if run.runtime:
            lay_out(task.modules, run.runtime)
            if task.trunk is not None:
                accelerate(task.trunk, run.runtime)
        groups = task.groups()
        self.rates = [group["lr"] for group in groups]
        self.optimizer = torch.optim.Adam(groups, weight_decay=schedule.weight_decay)
        self.progress = _Progress()

    def fit(self) -> Trained:
        """All epochs, or those that an earlier run did not finish.

        Raises:
            StageError: when ``probe.select`` names a figure that these rows do not have, or the loss is not finite.
        """
        if not self._resume():
            self.progress.history.append({"epoch": 0} | self._val())
            start_row = self.progress.history[0]
            say(f"{self.name}: before training {shown_row(start_row)}; chance {shown_row(self.probe.chance)}")
        first, start, epochs = len(self.progress.history) - 1, time.monotonic(), self.schedule.epochs
        check_select(self.probe.params, self.progress.history[0])
        for epoch in range(first, epochs):
            row = {"epoch": epoch + 1, **self._epoch(epoch), **self._val()}
            self.progress.history.append(row)
            self._keep_best(row)
            self.checkpoints.save(self._state())
            left = (time.monotonic() - start) / (epoch + 1 - first) * (epochs - epoch - 1)
            say(f"{self.name}: epoch {epoch + 1}/{epochs}, {shown_row(row)}, {left:.0f} s left")
            if problem := self.warn(row) or collapse(row):
                say(f"WARNING {self.name}: {problem}")
        self.task.modules.load_state_dict(self.progress.best)
        return self._trained()

    def _epoch(self, epoch: int) -> Row:
        factor = self.schedule.drop_factor ** sum(epoch >= one for one in self.schedule.drop_at)
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        self.task.training_mode()
        rows, batches = [], self.task.batches(epoch)
        for batch in batches:
            figures = self.task.figures("train", batch)
            if not torch.isfinite(figures["loss"]):
                raise StageError(
                    f"{self.name}: the loss is {figures['loss'].item()} in epoch {epoch + 1}; lower "
                    f"`encoder.{self.name}.schedule.learning_rate` ({self.schedule.learning_rate:g})."
                )
            self.optimizer.zero_grad()
            if figures["loss"].requires_grad:  # a batch without a triplet has nothing to teach
                figures["loss"].backward()
                self.optimizer.step()
            rows.append({name: float(value.detach()) for name, value in figures.items()})
        return {"learning_rate": self.rates[0] * factor, **_means("train", rows, [len(one) for one in batches])}

    @torch.no_grad()
    def _val(self) -> Row:
        """Validation losses and scores; draws nothing from the global generators."""
        self.task.modules.eval()
        batches = self.task.val_batches()
        rows = [{name: float(value) for name, value in self.task.figures("val", batch).items()} for batch in batches]
        vectors = self.task.embed("val", np.arange(len(self.probe.val)))
        scores = self.probe.scores(vectors, lambda: self.task.embed("train", self.probe.reference), self.task.metric)
        means = _means("val", rows, [len(one) for one in batches])
        return means | {f"val_{name}": value for name, value in scores.items()}

    def _keep_best(self, row: Row) -> None:
        value = row[f"val_{self.probe.params.select}"]
        score = -value if self.probe.params.select == "loss" else value
        if score >= self.progress.best_score:  # of equals the one that has learnt longer
            self.progress.best = copy.deepcopy(self.task.modules.state_dict())
            self.progress.best_score, self.progress.best_epoch = score, int(row["epoch"])

    def _state(self) -> dict[str, Any]:
        return {
            "modules": self.task.modules.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "progress": vars(self.progress),
            "random": random_state(),
        }

    def _resume(self) -> bool:
        """Become what ``_state`` was after the last whole epoch, if there was one."""
        state = self.checkpoints.load()
        if state is None:
            return False
        self.task.modules.load_state_dict(state["modules"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.progress = _Progress(**state["progress"])
        restore_random_state(state["random"])
        say(f"{self.name}: resumed after epoch {len(self.progress.history) - 1} of {self.schedule.epochs}")
        return True

    def _trained(self) -> Trained:
        history = self.progress.history
        header = list(dict.fromkeys(name for row in reversed(history) for name in row))
        best = next(row for row in history if row["epoch"] == self.progress.best_epoch)
        scores = before_and_after(history[0], best, self.probe.chance | self.task.chance)
        return Trained(header, [[row.get(name) for name in header] for row in history], scores)


def _means(split: str, rows: list[dict[str, float]], sizes: list[int]) -> Row:
    """Means over batches of ``sizes`` rows, so that each row counts alike: the last batch may be a small one."""
    names = rows[0] if rows else {}
    return {f"{split}_{name}": float(np.average([row[name] for row in rows], weights=sizes)) for name in names}
