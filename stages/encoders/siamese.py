"""The siamese network of system C: two weight-sharing branches, Euclidean distance, contrastive loss.

The backbone is frozen, as published: its pooled features are computed once, and only the dense layer, which both
branches share, learns. Positive pairs share a category; there are more negative than positive pairs.
"""

from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import nn

from stages.core.determinism import device
from stages.core.errors import StageError
from stages.encoders.examples import Batches, Examples, codes, epoch_generator, vocabulary
from stages.encoders.recipe_task import Fitted, Run, Split, Trainer
from stages.encoders.recipes import Recipe, ScheduleParams
from stages.encoders.validation import Scores, Validation
from stages.learning.distributed import ALONE, Group
from stages.learning.loop import shown_row
from stages.networks.backbones.backbones import Pool, Weights
from stages.networks.backbones.features import Pictures, embed_pictures
from stages.networks.encoders.kinds import card_of
from stages.networks.encoders.metric_learning import Siamese


class SiameseRecipe(Recipe):
    """A recipe of kind ``siamese``.

    Attributes:
        pooling: of the backbone's features; published: max, of the last feature maps.
        embedding: width of the dense layer.
        margin: distance above which a negative pair has no loss; the accuracy counts pairs below half of it as
            positive.
        negatives: negative pairs for each positive one.
        min_images: categories with fewer training pictures are left out of training.
    """

    kind: Literal["siamese"]
    backbone: str
    weights: Weights
    pooling: Pool
    embedding: int = Field(gt=0)
    margin: float = Field(gt=0)
    negatives: int = Field(gt=0)
    min_images: int = Field(gt=1)
    schedule: ScheduleParams


RECIPE = SiameseRecipe


def contrastive_loss(distance: torch.Tensor, same: torch.Tensor, margin: float) -> torch.Tensor:
    """Mean of d^2 over positive and max(margin - d, 0)^2 over negative pairs (Hadsell et al. 2006, without the 1/2).

    Args:
        distance: [n], Euclidean.
        same: bool [n].
    """
    return torch.where(same, distance**2, F.relu(margin - distance) ** 2).mean()


def draw_pairs(categories: np.ndarray, negatives: int, draw: np.random.Generator) -> np.ndarray:
    """Draw for every row a positive pair, within its category, and ``negatives`` pairs with other categories.

    Args:
        categories: int64 [n]; -1 = the row is left out.

    Returns:
        int64 [pairs, 3]: two rows, and 1 where they share the category; a row that is alone in its category has no
        positive pair.
    """
    rows = np.flatnonzero(categories >= 0)
    codes_there = np.unique(categories[rows])
    members = {code: rows[categories[rows] == code] for code in codes_there}
    strangers = {code: rows[categories[rows] != code] for code in codes_there}
    pairs = []
    for row in rows:
        own, foreign = members[categories[row]], strangers[categories[row]]
        if len(own) > 1:
            partner = own[draw.integers(len(own) - 1)]
            pairs.append((row, own[-1] if partner == row else partner, 1))
        if len(foreign):
            pairs += [(row, foreign[at], 0) for at in draw.integers(len(foreign), size=negatives)]
    return np.array(pairs, np.int64).reshape(-1, 3)


class SiameseTask:
    """The siamese network as a task: pairs of pooled features, which are computed once.

    Attributes:
        chance: accuracy of calling all validation pairs negative, as most of them are.
    """

    metric = "euclidean"

    def __init__(self, recipe: SiameseRecipe, train: Examples, val: Examples, group: Group = ALONE) -> None:
        self.recipe, self.device = recipe, device()
        self._group: dict[Split, Group] = {"train": group, "val": ALONE}
        shape = recipe.image_size, recipe.pooling, recipe.embedding
        self.network = Siamese(recipe.backbone, recipe.weights, *shape).to(self.device)
        self.modules = nn.ModuleDict({"dense": self.network.dense})
        self.trunk = None  # the pictures' features are computed once
        self.names = frequent(train.categories, recipe.min_images)
        if len(self.names) < 2:
            raise StageError(
                f"siamese: {len(self.names)} categories have {recipe.min_images} training pictures; pairs need two "
                "categories. Lower `min_images`, or learn from more data."
            )
        self.categories = {"train": codes(train.categories, self.names), "val": codes(val.categories, self.names)}
        self.features = {"train": self._pooled(train), "val": self._pooled(val)}
        val_pairs = torch.cat([torch.empty(0, 3), *self.val_batches()])
        self.chance: Scores = {"accuracy": float((val_pairs[:, 2] == 0).float().mean())} if len(val_pairs) else {}

    def _pooled(self, rows: Examples) -> torch.Tensor:
        pictures = Pictures(rows.data, self.recipe.image_size)
        return F.normalize(
            torch.from_numpy(embed_pictures(self.network.pooled, pictures, self.recipe.validation.batch))
        )

    def groups(self) -> list[dict[str, Any]]:
        """One group: the dense layer."""
        return [{"params": list(self.network.dense.parameters()), "lr": self.recipe.schedule.learning_rate}]

    def training_mode(self) -> None:
        """Nothing to do: the dense layer has no modes."""

    def _batches(self, split: Split, draw: np.random.Generator) -> Batches:
        pairs = torch.from_numpy(draw.permutation(draw_pairs(self.categories[split], self.recipe.negatives, draw)))
        return list(pairs.split(self.recipe.schedule.batch)) if len(pairs) else []

    def batches(self, epoch: int) -> Batches:
        """New pairs in every epoch, within the training split."""
        return self._batches("train", epoch_generator(self.recipe.seed, epoch))

    def val_batches(self) -> Batches:
        """The same pairs in every epoch, within the validation split."""
        return self._batches("val", epoch_generator(self.recipe.seed, 0))

    def losses(self, split: Split, rows: torch.Tensor) -> dict[str, torch.Tensor]:
        """Contrastive loss of pairs [n, 3], and the accuracy of calling pairs below half the margin positive."""
        group = self._group[split]
        own = rows[group.own_rows(len(rows))]
        first, second = (self.network.dense(self.features[split][own[:, at]].to(self.device)) for at in (0, 1))
        same = (rows[:, 2] == 1).to(self.device)
        distance = group.gather_rows(F.pairwise_distance(first, second), len(rows))
        accuracy = ((distance < self.recipe.margin / 2) == same).float().mean()
        return {"loss": contrastive_loss(distance, same, self.recipe.margin), "accuracy": accuracy}

    def embed(self, split: Split, rows: np.ndarray) -> np.ndarray:
        """float32 vectors [n, embedding]."""
        with torch.no_grad():
            return self.network.dense(self.features[split][torch.from_numpy(rows)].to(self.device)).cpu().numpy()


def frequent(categories: np.ndarray, least: int) -> list[str]:
    """Categories with at least ``least`` rows, sorted."""
    return [name for name in vocabulary(categories) if (categories == name).sum() >= least]


def fit(recipe: SiameseRecipe, train: Examples, val: Examples, run: Run) -> Fitted:
    """Train, and return the encoder of the best epoch."""
    task = SiameseTask(recipe, train, val, run.group)
    guess = f"; guessing that no validation pair matches: {shown_row(task.chance)}" if task.chance else ""
    run.group.log(
        f"{run.name}: {len(task.names)} of {len(vocabulary(train.categories))} categories have {recipe.min_images} "
        f"training pictures{guess}"
    )
    trained = Trainer(run, task, Validation(train, val, recipe.validation), recipe.schedule, recipe.seed).fit()
    card = card_of("siamese", backbone=recipe.backbone, pooling=recipe.pooling, embedding=recipe.embedding,
                   image_size=recipe.image_size)  # fmt: skip
    return Fitted(task.network, card, trained.header, trained.history, trained.scores)
