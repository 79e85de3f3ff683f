"""What the tasks share that learn from augmented pictures."""

from typing import Any

import numpy as np
import torch
from torch import nn

from stages.core.determinism import device
from stages.encoders.examples import Examples
from stages.encoders.loop import Split
from stages.encoders.recipes import TrainedRecipe
from stages.encoders.validation import Scores
from stages.learning.augment import random_view
from stages.learning.distributed import ALONE, Group, synchronised
from stages.networks.backbones.features import embed_rows
from stages.networks.backbones.pictures import Pictures


class PictureTask:
    """Pictures of both splits, augmented as whole batches in training, and vectors of pictures as they are.

    Attributes:
        network: pictures in, vectors out; it belongs to ``modules``. Its ``trunk`` is what the pictures go through.
        chance: of the task's own figures; see ``training.Task``.
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
        """Decode what fits into memory; ``pictures(data, image_size)`` makes the inputs.

        Args:
            group: processes that share each training batch.
        """
        self.recipe, self.train, self.val = recipe, train, val
        self.chance: Scores = {}
        self.device = device()
        self.network = synchronised(network.to(self.device), group)
        self._group: dict[Split, Group] = {"train": group, "val": ALONE}
        if recipe.freeze_norm:
            for module in self.network.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.requires_grad_(False)
        self.modules = nn.ModuleDict({"network": self.network})
        self.trunk = self.network.trunk
        self.pictures = {"train": pictures(train.data, recipe.image_size), "val": pictures(val.data, recipe.image_size)}

    def groups(self) -> list[dict[str, Any]]:
        """All weights at one rate."""
        return [{"params": [one for one in self.network.parameters() if one.requires_grad],
                 "lr": self.recipe.schedule.learning_rate}]  # fmt: skip

    def training_mode(self) -> None:
        """Training mode; batch norm stays in evaluation mode when it is frozen."""
        self.modules.train()
        if self.recipe.freeze_norm:
            for module in self.network.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()

    def part(self, split: Split, rows: torch.Tensor) -> torch.Tensor:
        """The rows of a batch that this process computes."""
        return rows[self._group[split].part(len(rows))]

    def whole(self, split: Split, values: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Values of all rows of a batch, of those of this process's part."""
        return self._group[split].whole(values, len(rows))

    def images(self, split: Split, rows: torch.Tensor) -> torch.Tensor:
        """Pictures of a step: random views in training, as they are in validation."""
        images = self.pictures[split].batch(rows).to(self.device)
        return random_view(images, self.recipe.geometry) if split == "train" else images

    def embed(self, split: Split, rows: np.ndarray) -> np.ndarray:
        """float32 vectors [n, d] of pictures as they are."""
        return embed_rows(self.network, self.pictures[split], torch.from_numpy(rows), self.recipe.probe.batch)
