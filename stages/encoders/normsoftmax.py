"""Metric learning as classification: every item is a class (Zhai & Wu 2019, ArcFace: Deng et al. 2019).

The loss has weights, one vector per class, which have a learning rate of their own and are saved in checkpoints. The
encoder does not contain them.
"""

from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import nn

from stages.core.errors import StageError
from stages.encoders.examples import Batches, Examples, codes, epoch_generator, pk_batches, shuffled_batches, vocabulary
from stages.encoders.recipe_task import Fitted, PictureTask, Run, Split, Trainer
from stages.encoders.recipes import TrainedRecipe
from stages.encoders.validation import Validation
from stages.learning.distributed import ALONE, Group
from stages.networks.backbones.backbones import Pool, Weights
from stages.networks.encoders.kinds import card_of
from stages.networks.encoders.metric_learning import NormalizedFeatures


class NormsoftmaxRecipe(TrainedRecipe):
    """A recipe of kind ``normsoftmax``.

    Attributes:
        target: the classes: item, or category.
        loss: normsoftmax, or arcface.
        temperature: of normsoftmax.
        margin, scale: of arcface; degrees, and the factor on the cosine.
        loss_rate: learning rate of the loss's weights as a multiple of the network's.
        imprint: class vectors start as the mean vectors of their pictures (Qi et al. 2018) instead of random ones. A
            short training would not adapt random ones; it would pull the network toward them.
        embedding: width of the projection; null = the pooled features.
        per_class: rows of one class in a batch (class-balanced sampling); 1 = plain shuffling.
    """

    kind: Literal["normsoftmax"]
    backbone: str
    weights: Weights
    pooling: Pool
    embedding: int | None = Field(gt=0)
    target: Literal["item", "category"]
    loss: Literal["normsoftmax", "arcface"]
    temperature: float = Field(gt=0)
    margin: float = Field(ge=0)
    scale: float = Field(gt=0)
    loss_rate: float = Field(gt=0)
    imprint: bool
    per_class: int = Field(gt=0)


RECIPE = NormsoftmaxRecipe


def build_loss(recipe: NormsoftmaxRecipe, classes: int, width: int) -> nn.Module:
    """The loss with its class weights [width, classes]."""
    from pytorch_metric_learning.losses import ArcFaceLoss, NormalizedSoftmaxLoss

    if recipe.loss == "arcface":
        return ArcFaceLoss(classes, width, margin=recipe.margin, scale=recipe.scale)
    return NormalizedSoftmaxLoss(classes, width, temperature=recipe.temperature)


class NormsoftmaxTask(PictureTask):
    """Normalized softmax as a task. Validation has other items, so it has scores and no loss."""

    def __init__(self, recipe: NormsoftmaxRecipe, train: Examples, val: Examples, group: Group = ALONE) -> None:
        shape = recipe.image_size, recipe.pooling, recipe.embedding
        network = NormalizedFeatures(recipe.backbone, recipe.weights, *shape)
        super().__init__(recipe, train, val, network, group=group)
        values = train.items if recipe.target == "item" else train.categories
        self.classes = vocabulary(values)
        if len(self.classes) < 2:
            raise StageError(
                f"normsoftmax needs two classes; the training rows know {len(self.classes)} ({recipe.target}). "
                "Set `target` to what the rows know."
            )
        self.targets = codes(values, self.classes)
        self.groups_of = codes(train.categories, vocabulary(train.categories))
        self.known = np.flatnonzero(self.targets >= 0)
        self.modules["loss"] = build_loss(recipe, len(self.classes), self.network.width).to(self.device)
        if recipe.imprint:
            self._imprint()

    def _imprint(self) -> None:
        """Set class vectors to the normalized means of the unit vectors of their training pictures."""
        vectors = nn.functional.normalize(torch.from_numpy(self.embed("train", self.known)))
        means = torch.zeros(len(self.classes), self.network.width)
        means.index_add_(0, torch.from_numpy(self.targets[self.known]), vectors)
        self.modules["loss"].W.data.copy_(nn.functional.normalize(means).T)

    def groups(self) -> list[dict[str, Any]]:
        """Parameter groups: the network's weights, and the loss's weights with ``loss_rate`` times the rate."""
        rate = self.recipe.schedule.learning_rate * self.recipe.loss_rate
        return [*super().groups(), {"params": list(self.modules["loss"].parameters()), "lr": rate}]

    def batches(self, epoch: int) -> Batches:
        """Rows of known classes, class-balanced when ``per_class`` is above 1."""
        draw, batch = epoch_generator(self.recipe.seed, epoch), self.recipe.schedule.batch
        if self.recipe.per_class == 1:
            return shuffled_batches(self.known, batch, draw)
        of_known = pk_batches(self.targets[self.known], self.groups_of[self.known], batch, self.recipe.per_class, draw)
        return [torch.from_numpy(self.known)[rows] for rows in of_known]

    def val_batches(self) -> Batches:
        """No batches."""
        return []

    def losses(self, split: Split, rows: torch.Tensor) -> dict[str, torch.Tensor]:
        """The loss, and the share of rows that are nearest to their own class."""
        vectors = self.gather_rows(split, self.network(self.images(split, self.own_rows(split, rows))), rows)
        targets = torch.from_numpy(self.targets)[rows].to(self.device)
        loss = self.modules["loss"]
        with torch.no_grad():
            # Plain cosines to the class vectors, because ArcFace lowers the logit of the right class.
            nearest = (nn.functional.normalize(vectors) @ nn.functional.normalize(loss.W, dim=0)).argmax(1)
        return {"loss": loss(vectors, targets), "accuracy": (nearest == targets).float().mean()}


def fit(recipe: NormsoftmaxRecipe, train: Examples, val: Examples, run: Run) -> Fitted:
    """Train, and return the encoder of the best epoch."""
    task = NormsoftmaxTask(recipe, train, val, run.group)
    run.group.log(
        f"{run.name}: {len(task.known)} of {len(train)} rows know their {recipe.target}, {len(task.classes)} classes"
    )
    trained = Trainer(run, task, Validation(train, val, recipe.validation), recipe.schedule, recipe.seed).fit()
    card = card_of("normsoftmax", backbone=recipe.backbone, pooling=recipe.pooling, embedding=recipe.embedding,
                   image_size=recipe.image_size)  # fmt: skip
    return Fitted(task.network, card, trained.header, trained.history, trained.scores)
