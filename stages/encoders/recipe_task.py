"""The common part of all trained recipes: their task for the loop (stages/learning/loop.py), validation, results."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from stages.core.determinism import device
from stages.core.errors import StageError
from stages.core.fast_imports import spare_compiler
from stages.encoders.examples import Batches, Examples
from stages.encoders.recipes import ScheduleParams, TrainedRecipe
from stages.encoders.validation import Scores, Validation, before_and_after, check_select, collapse
from stages.learning import loop
from stages.learning.acceleration import RuntimeParams, autocast, lay_out, prepare_model
from stages.learning.augment import random_view
from stages.learning.checkpoints import Checkpoints
from stages.learning.distributed import ALONE, Group, own_draws, synchronized
from stages.learning.loop import Losses, Row, drops, shown_row
from stages.networks.backbones.backbones import norms_with_statistics
from stages.networks.backbones.features import Pictures, embed_rows

Split = Literal["train", "val"]


class Task(Protocol):
    """What a recipe defines for its trainer.

    Every process holds all rows. ``losses`` of a training batch computes the vectors of this process's own rows,
    gathers those of the other processes (``Group.gather_rows``), and takes the losses of the whole batch, so that pairs
    and triplets are the same as in one process. Only the leader validates.

    Attributes:
        metric: how vectors are compared.
        modules: all modules with weights, including those of a loss; checkpoints contain them.
        trunk: the layers that pictures go through, which are accelerated; None where training uses no pictures.
        chance: validation score -> its value for random guessing.
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
        """Rows of the validation steps, the same in every epoch; none where only training classes have a loss."""
        ...

    def training_mode(self) -> None:
        """Put the modules into training mode, except frozen ones."""
        ...

    def losses(self, split: Split, rows: torch.Tensor) -> Losses:
        """``loss``, which is minimized, and other values to draw as curves."""
        ...

    def embed(self, split: Split, rows: np.ndarray) -> np.ndarray:
        """float32 vectors [n, d] of the plain pictures."""
        ...


@dataclass(frozen=True)
class Run:
    """Settings of a recipe's ``fit``.

    Attributes:
        name: of the encoder, for the log.
        checkpoints: of this training.
        runtime: memory layout of the networks, precision and compilation of their trunk; None: defaults.
        group: the processes that share the training.
    """

    name: str
    checkpoints: Checkpoints
    runtime: RuntimeParams | None = None
    group: Group = ALONE


@dataclass
class Fitted:
    """A trained encoder before it is written.

    Attributes:
        network: its state becomes weights.safetensors.
        card: content of encoder.json.
        header, history: columns and rows of history.csv.
        scores: scores before and after training, and of chance.
        draw: writes pictures into a folder and returns their paths.
        files: name -> content of what else the network needs next to its weights, such as a tokenizer.
    """

    network: nn.Module
    card: dict[str, Any]
    header: list[str]
    history: list[list[Any]]
    scores: dict[str, float]
    draw: Callable[[Path], list[Path]] | None = None
    files: dict[str, bytes] = field(default_factory=dict)


@dataclass
class Trained:
    """Result of a training; the task's modules have the weights of the best epoch."""

    header: list[str]
    history: list[list[Any]]
    scores: dict[str, float]


def accelerate(trunk: nn.Module, runtime: RuntimeParams) -> None:
    """Let a trunk train in ``runtime.precision``, compiled if ``runtime.compile`` is true.

    Its output is float32, because losses and the small layers after the trunk need the digits. With float32 and without
    compilation nothing changes.
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
    """Trains one recipe as a task of the loop: Adam, drops of its rate, and validation."""

    schedule_by: Literal["epoch"] = "epoch"

    def __init__(
        self, run: Run, task: Task, validation: Validation, schedule: ScheduleParams, seed: int = 0,
        warn: Callable[[Row], str | None] = lambda row: None,
    ) -> None:  # fmt: skip
        """Prepare the networks and the optimizer.

        Args:
            seed: of the random numbers of each process, where there are several.
            warn: returns a warning about a row of the history, or None.

        Raises:
            StageError: a process would get fewer than the two rows of a batch that batch norm needs.
        """
        self.run, self.name, self.task, self.validation, self.params = run, run.name, task, validation, schedule
        self.rates = f"`encoder.{run.name}.schedule.learning_rate` ({schedule.learning_rate:g})"
        self.seed, self._warn = seed, warn
        if run.group.size > 1 and task.trunk is not None:
            self._check_batches()
        if run.runtime:
            lay_out(task.modules, run.runtime)
            if task.trunk is not None:
                accelerate(task.trunk, run.runtime)
        spare_compiler()
        self.optimizer = torch.optim.Adam(task.groups(), weight_decay=schedule.weight_decay)
        self.schedule = LambdaLR(self.optimizer, drops(schedule.drop_at, schedule.drop_factor))
        self.averaged = self.kept = task.modules
        self.train, self.batches = task.training_mode, task.batches

    def _check_batches(self) -> None:
        least, size = min(map(len, self.task.batches(0)), default=0), self.run.group.size
        if least < 2 * size:
            raise StageError(
                f"{self.name}: a batch of {least} rows is too small for {size} processes, each of which needs two. "
                f"Raise `encoder.{self.name}.schedule.batch`, learn from more rows, or lower `runtime.processes`."
            )

    def fit(self) -> Trained:
        """Train all epochs, or those that an earlier run did not finish; the modules end with the best weights.

        Raises:
            StageError: ``validation.select`` names a score that these rows do not have, or the loss is not finite.
        """
        self.run.group.log(f"{self.name}: chance {shown_row(self.validation.chance)}")
        own_draws(self.seed, self.run.group)
        trained = loop.fit(self, self.params.epochs, self.run.checkpoints, self.run.group)
        self.task.modules.load_state_dict(trained.weights)
        history = trained.history
        header = list(dict.fromkeys(name for row in reversed(history) for name in row))
        scores = before_and_after(history[0], trained.row, self.validation.chance | self.task.chance)
        return Trained(header, [[row.get(name) for name in header] for row in history], scores)

    def losses(self, rows: torch.Tensor) -> Losses:
        """The task's losses of a training batch."""
        return self.task.losses("train", rows)

    def stepped(self) -> None:
        """Nothing to do."""

    def weight(self, rows: torch.Tensor) -> float:
        """The number of rows, so that rows count equally although the last batch may be smaller."""
        return len(rows)

    @torch.no_grad()
    def validate(self, epoch: int) -> Row:
        """Validation losses and scores."""
        self.task.modules.eval()
        batches = self.task.val_batches()
        rows = [{name: float(value) for name, value in self.task.losses("val", batch).items()} for batch in batches]
        vectors = self.task.embed("val", np.arange(len(self.validation.val)))
        scores = self.validation.scores(
            vectors, lambda: self.task.embed("train", self.validation.reference), self.task.metric
        )
        means = _means([len(ids) for ids in batches], rows)
        row = means | {f"val_{name}": value for name, value in scores.items()}
        if epoch == 0:
            check_select(self.validation.params, row)
        return row

    def score(self, row: Row) -> float | None:
        """The score that ``validation.select`` names; epoch 0 is never kept."""
        value = None if row["epoch"] == 0 else row[f"val_{self.validation.params.select}"]
        return value if value is None or self.validation.params.select != "loss" else -value

    def warn(self, row: Row) -> str | None:
        """The recipe's warning, or a warning that the vectors have collapsed."""
        return self._warn(row) or collapse(row)

    def state(self) -> dict[str, Any]:
        """The modules."""
        return {"modules": self.task.modules.state_dict()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore ``state``."""
        self.task.modules.load_state_dict(state["modules"])


def _means(sizes: list[int], rows: list[dict[str, float]]) -> Row:
    """Means over validation batches of ``sizes`` rows, so that rows count equally."""
    names = rows[0] if rows else {}
    return {f"val_{name}": float(np.average([row[name] for row in rows], weights=sizes)) for name in names}


class PictureTask:
    """Base of tasks on pictures: batches are augmented in training; vectors are those of the plain pictures.

    Attributes:
        network: pictures in, vectors out; one of ``modules``. Its ``trunk`` is the layers that pictures go through.
        chance: see ``Task``.
        frozen_norms: batch norms that keep weights and statistics.
    """

    metric = "cosine"

    def __init__(
        self,
        recipe: TrainedRecipe,
        train: Examples,
        val: Examples,
        network: nn.Module,
        pictures: type[Pictures] = Pictures,
        group: Group = ALONE,
    ) -> None:
        """Decode the pictures if they fit into memory; ``pictures(data, image_size)`` makes the inputs.

        Args:
            group: processes that share each training batch.
        """
        self.recipe, self.train, self.val = recipe, train, val
        self.chance: Scores = {}
        self.device = device()
        self.network = synchronized(network.to(self.device), group)
        self._group: dict[Split, Group] = {"train": group, "val": ALONE}
        self.frozen_norms = norms_with_statistics(self.network) if recipe.freeze_norm else []
        for norm in self.frozen_norms:
            norm.requires_grad_(False)
        self.modules = nn.ModuleDict({"network": self.network})
        self.trunk = self.network.trunk
        self.pictures = {"train": pictures(train.data, recipe.image_size), "val": pictures(val.data, recipe.image_size)}

    def groups(self) -> list[dict[str, Any]]:
        """One group: all weights with the same rate."""
        return [{"params": [parameter for parameter in self.network.parameters() if parameter.requires_grad],
                 "lr": self.recipe.schedule.learning_rate}]  # fmt: skip

    def training_mode(self) -> None:
        """Training mode; frozen batch norms stay in evaluation mode."""
        self.modules.train()
        for norm in self.frozen_norms:
            norm.eval()

    def own_rows(self, split: Split, rows: torch.Tensor) -> torch.Tensor:
        """The rows of a batch that this process computes."""
        return rows[self._group[split].own_rows(len(rows))]

    def gather_rows(self, split: Split, values: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Values of all rows of a batch, given those of this process's rows."""
        return self._group[split].gather_rows(values, len(rows))

    def images(self, split: Split, rows: torch.Tensor) -> torch.Tensor:
        """Pictures of a step: random views in training, plain pictures in validation."""
        images = self.pictures[split].batch(rows).to(self.device)
        return random_view(images, self.recipe.geometry) if split == "train" else images

    def embed(self, split: Split, rows: np.ndarray) -> np.ndarray:
        """float32 vectors [n, d] of pictures as they are."""
        return embed_rows(self.network, self.pictures[split], torch.from_numpy(rows), self.recipe.validation.batch)
