"""The loop of every training: epochs, history, the epoch to keep, exact resume, several processes.

After each epoch the leader writes a checkpoint of the whole state, including every process's random generators: a
training that was killed and resumed ends with the bytes of an uninterrupted one.

Learning rates are shares of the peak, for torch's LambdaLR. CosineAnnealingLR and MultiStepLR compute each rate from
the previous one, and round differently.
"""

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import nn

from stages.core.errors import StageError
from stages.learning.checkpoints import Checkpoints, random_state, restore_random_state
from stages.learning.distributed import ALONE, Group, mean_gradients


def cosine(steps: int, rise: float = 0) -> Callable[[int], float]:
    """Half a cosine from 1 to 0 over ``steps`` (Loshchilov & Hutter 2017), times a linear warm-up of ``rise`` steps."""

    def share(step: int) -> float:
        return min(1.0, (step + 1) / max(rise, 1)) * 0.5 * (1 + math.cos(math.pi * step / max(steps, 1)))

    return share


def constant(rise: float = 0) -> Callable[[int], float]:
    """1, after a linear warm-up of ``rise`` steps."""

    def share(step: int) -> float:
        return min(1.0, (step + 1) / max(rise, 1))

    return share


def drops(at: Sequence[int], factor: float) -> Callable[[int], float]:
    """1, multiplied by ``factor`` from each of the epochs ``at`` on."""

    def share(epoch: int) -> float:
        return factor ** sum(epoch >= drop for drop in at)

    return share


# Numbers of one epoch by name; None where one could not be measured.
Row = dict[str, float | None]
# Tensors of one step: ``loss``, which is minimized, and other values to draw as curves.
Losses = dict[str, torch.Tensor]
Weights = dict[str, torch.Tensor]


class Task(Protocol):
    """One training as the loop sees it.

    Attributes:
        name: for the log.
        rates: keys of params.yaml to lower when the loss diverges.
        optimizer: of all weights that learn.
        schedule: of the optimizer's rates; ``schedule_by`` tells whether it steps after each batch or each epoch.
        averaged: module whose gradients the loop averages over the processes; None where the network that a step
            calls does so itself.
        kept: module whose weights the loop keeps.
    """

    name: str
    rates: str
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    schedule_by: Literal["batch", "epoch"]
    averaged: nn.Module | None
    kept: nn.Module

    def train(self) -> None:
        """Put the networks into training mode, except frozen layers."""
        ...

    def batches(self, epoch: int) -> Sequence[torch.Tensor]:
        """The batches of one epoch, in all their rows the same in every process."""
        ...

    def losses(self, rows: torch.Tensor) -> Losses | None:
        """Losses of this process's rows of a batch, or of the whole batch; None in all processes if no row has a label.

        A loss without a gradient changes no weight, but counts in the mean.
        """
        ...

    def stepped(self) -> None:
        """Called after each step of the optimizer."""
        ...

    def weight(self, rows: torch.Tensor) -> float:
        """How much a batch counts in the epoch's means."""
        ...

    def validate(self, epoch: int) -> Row:
        """Scores on the validation split after ``epoch`` epochs, computed by the leader; empty for epoch 0 where the
        untrained network is not scored. It draws no numbers from the global generators.
        """
        ...

    def score(self, row: Row) -> float | None:
        """The score of an epoch, from its row; None for an epoch that must not be kept."""
        ...

    def warn(self, row: Row) -> str | None:
        """A warning about an epoch, if there is one."""
        ...

    def state(self) -> dict[str, Any]:
        """Content of a checkpoint, without optimizer, schedule and random state: mainly the networks."""
        ...

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore ``state``."""
        ...


@dataclass
class Trained:
    """The result of a training.

    Attributes:
        history: a row for each finished epoch, and before them one for the untrained network if it was scored.
        epoch: number of the kept epoch.
        weights: of ``Task.kept`` after the kept epoch.
    """

    history: list[Row]
    epoch: int
    weights: Weights

    @property
    def row(self) -> Row:
        """Numbers of the kept epoch."""
        return next(row for row in self.history if row["epoch"] == self.epoch)


@dataclass
class _Best:
    """The best epoch so far, its weights on the CPU."""

    epoch: int
    score: float
    weights: Weights


def fit(
    task: Task,
    epochs: int,
    checkpoints: Checkpoints,
    group: Group = ALONE,
    keep: Literal["best", "last"] = "best",
    of_equals: Literal["first", "last"] = "last",
) -> Trained:
    """Train all epochs, or those that an earlier run did not finish; the networks end with the weights of the last one.

    Args:
        keep: best = the epoch with the best score, or the last one if none has a score; last = the last one.
        of_equals: which of several epochs with the best score.

    Raises:
        StageError: the loss diverged, or an epoch had nothing to learn from.
    """
    history, best = _resume(task, checkpoints, group, epochs) or ([], None)

    def judge(epoch: int, row: Row) -> _Best | None:
        score = task.score(row) if keep == "best" else None
        if score is None or (best and not (score >= best.score if of_equals == "last" else score > best.score)):
            return best
        weights = {name: value.detach().to("cpu", copy=True) for name, value in task.kept.state_dict().items()}
        return _Best(epoch, score, weights)

    if not history and (untrained := group.from_leader(lambda: task.validate(0))):
        history.append({"epoch": 0, **untrained})
        group.log(f"{task.name}: before training {shown_row(history[0])}")
        best = judge(0, history[0])
    first, start = int(history[-1]["epoch"] or 0) if history else 0, time.monotonic()
    for epoch in range(first, epochs):
        row: Row = {"epoch": epoch + 1, **train_epoch(task, epoch, group)}
        _check_loss(task, row)
        row |= group.from_leader(lambda number=epoch + 1: task.validate(number))
        history.append(row)
        best = judge(epoch + 1, row)
        state = {
            "history": history,
            "best": best and vars(best),
            "task": task.state(),
            "optimizer": task.optimizer.state_dict(),
            "schedule": task.schedule.state_dict(),
            "random": group.gather(random_state()),
        }
        if group.leader:
            checkpoints.save(state)
        left = (time.monotonic() - start) / (epoch + 1 - first) * (epochs - epoch - 1)
        group.log(f"{task.name}: epoch {epoch + 1}/{epochs}, {shown_row(row)}, {left:.0f} s left")
        if problem := task.warn(row):
            group.log(f"{task.name}: {problem}", logging.WARNING)
    if best:
        return Trained(history, best.epoch, best.weights)
    return Trained(history, int(history[-1]["epoch"] or 0), task.kept.state_dict())


def _resume(task: Task, checkpoints: Checkpoints, group: Group, epochs: int) -> tuple[list[Row], _Best | None] | None:
    """Restore the task and the generators to their state after the last finished epoch; None without a checkpoint."""
    state = checkpoints.load()
    if state is None:
        return None
    task.load_state(state["task"])
    task.optimizer.load_state_dict(state["optimizer"])
    task.schedule.load_state_dict(state["schedule"])
    restore_random_state(state["random"][group.rank])
    group.log(f"{task.name}: resumed after epoch {state['history'][-1]['epoch']} of {epochs}")
    return state["history"], _Best(**state["best"]) if state["best"] else None


def train_epoch(task: Task, epoch: int, group: Group = ALONE) -> Row:
    """One pass over the task's batches: its first learning rate, and means of the losses as ``train_<name>``.

    Losses stay on their device until the pass is over, as reading a number from a GPU waits for it.
    """
    task.train()
    rate = task.optimizer.param_groups[0]["lr"]
    rows, weights = [], []
    for batch in task.batches(epoch):
        losses = task.losses(batch)
        if losses is not None:
            task.optimizer.zero_grad()
            if losses["loss"].requires_grad:  # a batch without a triplet has no gradient
                losses["loss"].backward()
            if task.averaged is not None:
                mean_gradients(task.averaged, group)
            task.optimizer.step()
            task.stepped()
            rows.append({name: value.detach() for name, value in losses.items()})
            weights.append(task.weight(batch))
        if task.schedule_by == "batch":
            task.schedule.step()
    if task.schedule_by == "epoch":
        task.schedule.step()
    means = {
        f"train_{name}": group.mean(float(np.average([float(row[name]) for row in rows], weights=weights)))
        for name in (rows[0] if rows else {})
    }
    return {"learning_rate": rate, **means}


def _check_loss(task: Task, row: Row) -> None:
    """Stop after an epoch without a finite loss."""
    loss = row.get("train_loss")
    if loss is None:
        raise StageError(f"{task.name}: no batch of epoch {row['epoch']} had a label to learn from. Add labeled rows.")
    if not math.isfinite(loss):
        raise StageError(f"{task.name}: the loss is {loss} after epoch {row['epoch']}. Lower {task.rates}.")


def shown_row(row: Row) -> str:
    """Numbers of a row as text for the log."""
    silent = ("epoch", "learning_rate")
    return ", ".join(f"{name} {value:.3f}" for name, value in row.items() if value is not None and name not in silent)
