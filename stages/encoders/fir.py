"""FIR (system D, Park et al. 2019): one backbone, trained with cross entropy and triplet losses.

The loss is equation 1 of the publication, for an anchor a, a positive p and a negative n:

    L = alpha * CE(category) + beta * mean over anchors of max(0, margin + |f(a) - f(p)|^2 - |f(a) - f(n)|^2)

The text of the publication has a minus before both terms and alpha = 0, which would maximize the triplet loss and
disable the cross entropy.

A recipe names its losses as the publication does. OC is the cross entropy of the category, through the feature
relaxation module. OS and IS are triplet losses: the positive has the category (OS) or is the item (IS) of the anchor.
"""

from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import nn

from stages.core.errors import StageError
from stages.encoders.examples import (
    Batches,
    Examples,
    batches_in_order,
    codes,
    epoch_generator,
    pk_batches,
    shuffled_batches,
    vocabulary,
)
from stages.encoders.recipe_task import Fitted, PictureTask, Run, Split, Trainer
from stages.encoders.recipes import TrainedRecipe
from stages.encoders.validation import Validation
from stages.learning.distributed import ALONE, Group
from stages.learning.loop import Row
from stages.networks.backbones.backbones import Weights
from stages.networks.encoders.kinds import card_of
from stages.networks.encoders.metric_learning import Fir

Loss = Literal["OC", "OS", "IS"]
# The vectors have collapsed if a triplet loss differs from the margin by less than AT_MARGIN of the margin and the
# spread of the vectors is below NARROW. The loss alone is not enough: hard triplets of good vectors give as much.
AT_MARGIN, NARROW = 0.02, 0.1


class FirRecipe(TrainedRecipe):
    """A recipe of kind ``fir``.

    Attributes:
        losses: any of OC, OS and IS; see above.
        alpha, beta: weight of the cross entropy, and of each triplet loss.
        margin: delta of the publication, for squared distances between unit vectors (4 at most).
        miner: which triplets of a batch are in the loss: all, semihard, or hard (for each anchor its farthest positive
            and its nearest negative).
        per_label: rows in a batch of each item, or with OS and without IS of each category.
        relaxation, dropout: hidden channels of the relaxation module, and its dropout rate.
    """

    kind: Literal["fir"]
    backbone: str
    weights: Weights
    losses: list[Loss] = Field(min_length=1)
    alpha: float = Field(ge=0)
    beta: float = Field(ge=0)
    margin: float = Field(gt=0)
    miner: Literal["all", "semihard", "hard"]
    per_label: int = Field(gt=1)
    relaxation: int = Field(gt=0)
    dropout: float = Field(ge=0, lt=1)


RECIPE = FirRecipe


class Triplets(nn.Module):
    """Mean triplet loss of a batch of unit vectors, on squared Euclidean distances."""

    def __init__(self, margin: float, miner: str) -> None:
        super().__init__()
        from pytorch_metric_learning.distances import LpDistance
        from pytorch_metric_learning.losses import TripletMarginLoss
        from pytorch_metric_learning.miners import BatchHardMiner, TripletMarginMiner
        from pytorch_metric_learning.reducers import MeanReducer

        distance = LpDistance(normalize_embeddings=False, p=2, power=2)
        self.loss = TripletMarginLoss(margin=margin, distance=distance, reducer=MeanReducer())
        self.miner = None
        if miner == "semihard":
            self.miner = TripletMarginMiner(margin=margin, type_of_triplets="semihard", distance=distance)
        elif miner == "hard":
            self.miner = BatchHardMiner(distance=distance)

    def forward(self, vectors: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The mean loss as a scalar; 0 if the batch has no triplet.

        Args:
            vectors: [n, d].
            labels: int64 [n]; -1: unknown. A row with an unknown label is a negative of every other row.
        """
        alone = labels.max() + 1 + torch.arange(len(labels), device=labels.device)
        labels = torch.where(labels < 0, alone, labels)
        return self.loss(vectors, labels, self.miner(vectors.detach(), labels) if self.miner else None)


class FirTask(PictureTask):
    """Training of FIR: its batches and its losses."""

    def __init__(self, recipe: FirRecipe, train: Examples, val: Examples, group: Group = ALONE) -> None:
        categories = vocabulary(train.categories)
        if {"OC", "OS"} & set(recipe.losses) and len(categories) < 2:
            raise StageError(f"fir: {recipe.losses} need two categories; the training rows know {len(categories)}.")
        if "IS" in recipe.losses and not _has_pairs(train.items):
            raise StageError(f"fir: {recipe.losses} needs items with two pictures; the training rows have none.")
        network = Fir(recipe.backbone, recipe.weights, recipe.image_size,
                      categories if "OC" in recipe.losses else [], recipe.relaxation, recipe.dropout)  # fmt: skip
        super().__init__(recipe, train, val, network, group=group)
        self.triplets = Triplets(recipe.margin, recipe.miner)
        self.of_category = {split: codes(rows.categories, categories) for split, rows in self._splits()}
        self.of_item = {split: codes(rows.items, vocabulary(rows.items)) for split, rows in self._splits()}

    def _splits(self) -> list[tuple[Split, Examples]]:
        return [("train", self.train), ("val", self.val)]

    def _with_triplets(self, split: Split, epoch: int) -> Batches:
        """PK batches: with IS of items, balanced over categories; otherwise of categories."""
        labels = self.of_item[split] if "IS" in self.recipe.losses else self.of_category[split]
        draw = epoch_generator(self.recipe.seed, epoch)
        return pk_batches(labels, self.of_category[split], self.recipe.schedule.batch, self.recipe.per_label, draw)

    def batches(self, epoch: int) -> Batches:
        """Training batches of one epoch; with OC alone, every row once."""
        if set(self.recipe.losses) != {"OC"}:
            return self._with_triplets("train", epoch)
        draw = epoch_generator(self.recipe.seed, epoch)
        return shuffled_batches(np.arange(len(self.train)), self.recipe.schedule.batch, draw)

    def val_batches(self) -> Batches:
        """Validation batches, the same in every epoch; with OC alone, every row once."""
        if set(self.recipe.losses) != {"OC"}:
            return self._with_triplets("val", 0)
        return batches_in_order(len(self.val), self.recipe.schedule.batch)

    def losses(self, split: Split, rows: torch.Tensor) -> dict[str, torch.Tensor]:
        """``loss`` and its terms before weighting: ce (OC), triplet_os, triplet_is; with OC also the accuracy."""
        recipe, losses = self.recipe, {}
        vectors, logits = self.network.both(self.images(split, self.own_rows(split, rows)))
        vectors = self.gather_rows(split, vectors, rows)
        logits = None if logits is None else self.gather_rows(split, logits, rows)
        category = torch.from_numpy(self.of_category[split])[rows].to(self.device)
        item = torch.from_numpy(self.of_item[split])[rows].to(self.device)
        loss = vectors.new_zeros(())
        if "OC" in recipe.losses:
            known = category >= 0
            count = known.sum().clamp(min=1)
            losses["ce"] = F.cross_entropy(logits, category, ignore_index=-1, reduction="sum") / count
            losses["accuracy"] = ((logits.argmax(1) == category) & known).sum() / count
            loss = loss + recipe.alpha * losses["ce"]
        for name, labels in (("OS", category), ("IS", item)):
            if name in recipe.losses:
                losses[f"triplet_{name.lower()}"] = self.triplets(vectors, labels)
                loss = loss + recipe.beta * losses[f"triplet_{name.lower()}"]
        return {"loss": loss, **losses}

    def warn(self, row: Row) -> str | None:
        """A warning if a triplet loss stays at the margin because all vectors are nearly equal; else None."""
        for name in ("triplet_os", "triplet_is"):
            value = row.get(f"train_{name}")
            at_margin = value is not None and abs(value - self.recipe.margin) < AT_MARGIN * self.recipe.margin
            if at_margin and row["val_spread"] < NARROW:
                return (
                    f"{name} {value:.4f} is stuck at the margin {self.recipe.margin:g} and the vectors spread only "
                    f"{row['val_spread']:.3f} of 1: a collapse. Lower the rate, or mine semihard triplets."
                )
        return None


def _has_pairs(items: np.ndarray) -> bool:
    known = [item for item in items if item is not None]
    return len(set(known)) < len(known)


def fit(recipe: FirRecipe, train: Examples, val: Examples, run: Run) -> Fitted:
    """Train, and return the encoder of the best epoch."""
    task = FirTask(recipe, train, val, run.group)
    run.group.log(f"{run.name}: {'+'.join(recipe.losses)}, {len(task.network.categories)} categories for OC")
    trained = Trainer(
        run, task, Validation(train, val, recipe.validation), recipe.schedule, recipe.seed, task.warn
    ).fit()
    card = card_of("fir", backbone=recipe.backbone, image_size=recipe.image_size, categories=task.network.categories,
                   relaxation=recipe.relaxation, dropout=recipe.dropout)  # fmt: skip
    return Fitted(task.network, card, trained.header, trained.history, trained.scores)
