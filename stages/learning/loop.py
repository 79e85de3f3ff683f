"""The loop that every training runs in: epochs, rows of figures, the epoch to keep, exact resume, several processes.

After each epoch the leader writes a checkpoint with all that decides how the training goes on, the state of every
process's random generators included: a killed training ends with the bytes of an unbroken one.

Learning rates are shares of the peak, for torch's LambdaLR. Its own classes would round otherwise: CosineAnnealingLR
and MultiStepLR make each rate from the one before.
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
    """Half a cosine from 1 to 0 over ``steps`` (Loshchilov & Hutter 2017), times a linear rise over ``rise`` steps."""

    def share(step: int) -> float:
        return min(1.0, (step + 1) / max(rise, 1)) * 0.5 * (1 + math.cos(math.pi * step / max(steps, 1)))

    return share


def constant(rise: float = 0) -> Callable[[int], float]:
    """1, after a linear rise over ``rise`` steps."""

    def share(step: int) -> float:
        return min(1.0, (step + 1) / max(rise, 1))

    return share


def drops(at: Sequence[int], factor: float) -> Callable[[int], float]:
    """1, and ``factor`` times as much from each of the epochs ``at`` on."""

    def share(epoch: int) -> float:
        return factor ** sum(epoch >= drop for drop in at)

    return share


# Figures of one epoch by name; None where they could not be measured.
Row = dict[str, float | None]
# Tensors of one step: ``loss``, which is minimized, and what else shall be drawn as a curve.
Losses = dict[str, torch.Tensor]
Weights = dict[str, torch.Tensor]


class Task(Protocol):
    """One training as the loop sees it.

    Attributes:
        name: for the log.
        rates: the keys of params.yaml to lower when the loss diverges.
        optimizer: of everything that learns.
        schedule: of the optimizer's rates; it moves on after each batch or each epoch, as ``schedule_by`` says.
        averaged: what learns in all processes, so that the loop averages its gradients; None where the network that a
            step calls does so itself.
        kept: what the loop keeps the weights of.
    """

    name: str
    rates: str
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    schedule_by: Literal["batch", "epoch"]
    averaged: nn.Module | None
    kept: nn.Module

    def train(self) -> None:
        """Put the networks into training mode, as far as they shall be in it."""
        ...

    def batches(self, epoch: int) -> Sequence[torch.Tensor]:
        """The batches of one epoch, whole ones, the same in every process."""
        ...

    def losses(self, rows: torch.Tensor) -> Losses | None:
        """Figures of this process's part of a batch, or of all of it; None, in all processes, where nothing is known.

        A loss without gradient teaches nothing, but counts in the mean.
        """
        ...

    def stepped(self) -> None:
        """Called after each step of the optimizer."""
        ...

    def weight(self, rows: torch.Tensor) -> float:
        """How much a batch counts in the epoch's means."""
        ...

    def validate(self, epoch: int) -> Row:
        """Figures on the validation split after ``epoch`` epochs, computed by the leader; empty before the first where
        the start is not judged. Draws nothing from the global generators.
        """
        ...

    def score(self, row: Row) -> float | None:
        """How good an epoch is, by its row; None where it shall not be kept."""
        ...

    def warn(self, row: Row) -> str | None:
        """What is wrong with an epoch, if anything."""
        ...

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds beside optimizer, schedule and random state: networks, above all."""
        ...

    def load_state(self, state: dict[str, Any]) -> None:
        """Become what ``state`` was."""
        ...


@dataclass
class Trained:
    """What came of a training.

    Attributes:
        history: a row for each finished epoch, before them one of the start where it was judged.
        epoch: number of the epoch that is kept.
        weights: of ``Task.kept`` after that epoch.
    """

    history: list[Row]
    epoch: int
    weights: Weights

    @property
    def row(self) -> Row:
        """Figures of the epoch that is kept."""
        return next(row for row in self.history if row["epoch"] == self.epoch)


@dataclass
class _Best:
    """The best epoch so far; weights lie on the CPU."""

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
    """All epochs, or those that an earlier run did not finish; the task's networks end as the last one left them.

    Args:
        keep: the epoch with the best score, or the last one (as where none has a score).
        of_equals: which of the epochs with the best score.

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
    """Make the task and the generators what they were after the last whole epoch; None without a checkpoint."""
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
    """One pass over the task's batches: the rate it began with, and means of the figures as ``train_<figure>``.

    Figures stay where they were computed until the pass is over: to ask a GPU for a number is to wait for it.
    """
    task.train()
    rate = task.optimizer.param_groups[0]["lr"]
    rows, weights = [], []
    for batch in task.batches(epoch):
        losses = task.losses(batch)
        if losses is not None:
            task.optimizer.zero_grad()
            if losses["loss"].requires_grad:  # a batch without a triplet has nothing to teach
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
    """Refuse to go on after an epoch without a finite loss."""
    loss = row.get("train_loss")
    if loss is None:
        raise StageError(f"{task.name}: no batch of epoch {row['epoch']} had a label to learn from. Add labeled rows.")
    if not math.isfinite(loss):
        raise StageError(f"{task.name}: the loss is {loss} after epoch {row['epoch']}. Lower {task.rates}.")


def shown_row(row: Row) -> str:
    """Figures of a row for the log."""
    silent = ("epoch", "learning_rate")
    return ", ".join(f"{name} {value:.3f}" for name, value in row.items() if value is not None and name not in silent)
