"""Training the attention network (system B) on pictures with several labels each.

L = L_cls + gamma1 L_div + gamma2 L_loc. Regions: s_x, s_y = size as a share of the picture, t_x, t_y = center in
[-1, 1].
"""

from pathlib import Path
from typing import Literal, Self

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field, model_validator

from stages.core.errors import StageError
from stages.core.params import Section
from stages.encoders.examples import Batches, Examples, batches_in_order, epoch_generator, shuffled_batches
from stages.encoders.recipe_task import Fitted, PictureTask, Run, Split, Trainer
from stages.encoders.recipes import TrainedRecipe
from stages.encoders.validation import Validation
from stages.learning.augment import random_view
from stages.learning.distributed import ALONE, Group
from stages.learning.loop import shown_row
from stages.networks.encoders.attention.encoder import (
    UprightPictures,
    attention_sheet,
    recommendation_sheet,
    save_sheet,
    width_of,
)
from stages.networks.encoders.attention.network import AttentionNetwork, AttentionNetworkParams, Glimpses
from stages.networks.encoders.attention.recommend import diverse_list, region_distances
from stages.networks.encoders.kinds import card_of


class AttentionLossParams(Section):
    """Weights and constants of the losses.

    Attributes:
        gamma_div, gamma_loc: weights of the diversity and the localization loss; the classification loss has weight 1.
        lambda_anchor, lambda_positive: weights of the anchor and the positive constraint inside the localization loss.
        alpha: size above which a region is penalized.
        beta: size below which a region is penalized; a negative size would mirror the region.
    """

    gamma_div: float = Field(ge=0)
    gamma_loc: float = Field(ge=0)
    lambda_anchor: float = Field(ge=0)
    lambda_positive: float = Field(ge=0)
    alpha: float = Field(gt=0, le=1)
    beta: float = Field(ge=0, le=1)


def classification_loss(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """1/N sum_i sum_c (p_i^c - q_i^c)^2, q the softmax of the scores, p the label vector as a distribution.

    Args:
        scores: [n, c], fused over the glimpses.
        labels: 0 or 1 [n, c]; a row without a label is ignored.
    """
    count = labels.sum(1, keepdim=True)
    squares = (labels / count.clamp(min=1) - F.softmax(scores, dim=1)).square().sum(1)
    known = count[:, 0] > 0
    return (squares * known).sum() / known.sum().clamp(min=1)


def diversity_loss(maps: torch.Tensor) -> torch.Tensor:
    """1/(K-1) sum_{k=2..K} sum_places l_{k-1} l_k, averaged over pictures; 0 for one glimpse.

    Args:
        maps: attention maps [n, K, h, w], each of sum 1.
    """
    if maps.shape[1] < 2:
        return maps.new_zeros(())
    return (maps[:, :-1] * maps[:, 1:]).sum((2, 3)).mean()


def scale_loss(size: torch.Tensor, alpha: float) -> torch.Tensor:
    """L_S = max(|s_x| - alpha, 0)^2 + the same of s_y (Wang et al. 2017), averaged over pictures and glimpses.

    Args:
        size: [n, K, 2].
    """
    return F.relu(size.abs() - alpha).square().sum(2).mean()


def anchor_loss(center: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
    """L_A = ((t_x - c_x)^2 + (t_y - c_y)^2) / 2, averaged over pictures and glimpses.

    Args:
        center: [n, K, 2].
        anchors: [K, 2].
    """
    return (center - anchors).square().sum(2).mean() / 2


def positive_loss(size: torch.Tensor, beta: float) -> torch.Tensor:
    """L_P = max(0, beta - s_x) + max(0, beta - s_y), averaged over pictures and glimpses.

    Args:
        size: [n, K, 2].
    """
    return F.relu(beta - size).sum(2).mean()


def localization_loss(
    size: torch.Tensor, center: torch.Tensor, anchors: torch.Tensor, params: AttentionLossParams
) -> torch.Tensor:
    """L_loc = L_S + lambda1 L_A + lambda2 L_P."""
    return (
        scale_loss(size, params.alpha)
        + params.lambda_anchor * anchor_loss(center, anchors)
        + params.lambda_positive * positive_loss(size, params.beta)
    )


SHOWN = 6  # validation pictures whose attention and recommendations are drawn
RECOMMENDED = 8  # pictures for each


class AttentionRecipe(TrainedRecipe):
    """A recipe of kind ``attention``; ``image_size`` is the height of pictures, their width two thirds of it.

    Attributes:
        cached_views: number of augmented views of each picture whose maps by a frozen branch are computed once; 0: a
            new view in every epoch, as for a branch that learns.
    """

    kind: Literal["attention"]
    network: AttentionNetworkParams
    losses: AttentionLossParams
    cached_views: int = Field(ge=0)

    @model_validator(mode="after")
    def _only_a_frozen_branch_is_cached(self) -> Self:
        if self.cached_views and not self.network.freeze_branch:
            raise ValueError("cached_views computes maps once; they change unless network.freeze_branch is true")
        return self


RECIPE = AttentionRecipe


def overlap(maps: torch.Tensor) -> torch.Tensor:
    """Overlap of two glimpses' maps of a picture, sum_places min(l_i, l_j), averaged over pairs and pictures.

    Args:
        maps: [n, K, h, w], each of sum 1.

    Returns:
        A scalar: 1 = all maps of a picture are the same, 0 = they do not overlap; 0 for one glimpse.
    """
    pairs = [(first, second) for first in range(maps.shape[1]) for second in range(first)]
    shared = [torch.minimum(maps[:, first], maps[:, second]).sum((1, 2)) for first, second in pairs]
    return torch.stack(shared).mean() if pairs else maps.new_zeros(())


def label_matrix(labels: list[list[str]], names: list[str]) -> torch.Tensor:
    """float32 [n, len(names)] of 0 and 1; a label that is not among the names is left out."""
    position = {name: at for at, name in enumerate(names)}
    matrix = torch.zeros(len(labels), len(names))
    for row, of_row in enumerate(labels):
        for name in of_row:
            if name in position:
                matrix[row, position[name]] = 1
    return matrix


class AttentionTask(PictureTask):
    """The three losses on pictures of 3:2."""

    metric = "euclidean"

    def __init__(self, recipe: AttentionRecipe, train: Examples, val: Examples, group: Group = ALONE) -> None:
        self.names = sorted({name for labels in train.labels for name in labels})
        if len(self.names) < 2:
            raise StageError(
                f"attention: the training rows know {len(self.names)} labels, expected two or more. Name heads in "
                "`learns_from.labels`, or learn from a benchmark that lists labels."
            )
        network = AttentionNetwork(recipe.network, len(self.names))
        super().__init__(recipe, train, val, network, UprightPictures, group)
        self.labels = {"train": label_matrix(train.labels, self.names), "val": label_matrix(val.labels, self.names)}
        self.chance = {"top_label": most_frequent_share(self.labels["train"], self.labels["val"])}
        self.views = [self._branched("train", np.arange(len(train)), views=True) for _ in range(recipe.cached_views)]
        self.plain: dict[tuple[Split, bytes], torch.Tensor] = {}

    @torch.no_grad()
    def _branched(self, split: Split, rows: np.ndarray, views: bool = False) -> torch.Tensor:
        """The frozen branch's maps of new views or of the plain pictures, [n, width, h, w] on the CPU."""
        self.network.branch.eval()
        batches = torch.from_numpy(rows).split(self.recipe.validation.batch)
        pictures = (self.images(split, batch) if views else self.pictures[split].batch(batch) for batch in batches)
        return torch.cat([self.network.branch(batch_images.to(self.device).float()).cpu() for batch_images in pictures])

    def _plain(self, split: Split, rows: np.ndarray) -> torch.Tensor:
        """The frozen branch's maps of the plain pictures, computed on first use."""
        key = split, rows.tobytes()
        if key not in self.plain:
            self.plain[key] = self._branched(split, rows)
        return self.plain[key]

    def glimpses_of(self, split: Split, rows: torch.Tensor) -> Glimpses:
        """The network's glimpses at the pictures of a step."""
        if not self.views:
            return self.network.glimpses_in(self.images(split, rows))
        if split == "val":
            maps = self._plain(split, np.arange(len(self.val)))[rows]
        else:
            drawn = torch.randint(len(self.views), (len(rows),)).tolist()
            maps = torch.stack([self.views[view][row] for view, row in zip(drawn, rows.tolist(), strict=True)])
        return self.network.glimpses(maps.to(self.device))

    @torch.no_grad()
    def embed(self, split: Split, rows: np.ndarray) -> np.ndarray:
        """float32 vectors [n, d] of the plain pictures."""
        if not self.views:
            return super().embed(split, rows)
        was_training = self.network.training
        self.network.eval()
        batches = self._plain(split, rows).split(self.recipe.validation.batch)
        vectors = [self.network.whole(self.network.glimpses(batch.to(self.device))) for batch in batches]
        self.network.train(was_training)
        return torch.cat(vectors).float().cpu().numpy()

    def images(self, split: Split, rows: torch.Tensor) -> torch.Tensor:
        """Views of the pictures; views need squares, so pictures are put on a white square and cropped again."""
        if split == "val":
            return super().images(split, rows)
        images = self.pictures[split].batch(rows).to(self.device)
        height, width = images.shape[2:]
        left = (height - width) // 2
        square = torch.full((len(images), 3, height, height), 255, dtype=torch.uint8, device=self.device)
        square[:, :, :, left : left + width] = images
        return random_view(square, self.recipe.geometry)[:, :, :, left : left + width]

    def batches(self, epoch: int) -> Batches:
        """Batches of every row once, in random order."""
        draw = epoch_generator(self.recipe.seed, epoch)
        return shuffled_batches(np.arange(len(self.train)), self.recipe.schedule.batch, draw)

    def val_batches(self) -> Batches:
        """Batches of all rows in order."""
        return batches_in_order(len(self.val), self.recipe.schedule.batch)

    def losses(self, split: Split, rows: torch.Tensor) -> dict[str, torch.Tensor]:
        """The loss and its terms, the share of pictures whose highest score is one of their labels, and the overlap."""
        labels = self.labels[split][rows].to(self.device)
        glimpses, params = self.glimpses_of(split, self.own_rows(split, rows)), self.recipe.losses
        scores, maps, size, center = (
            self.gather_rows(split, values, rows)
            for values in (glimpses.scores, glimpses.maps, glimpses.size, glimpses.center)
        )
        terms = {
            "cls": classification_loss(scores, labels),
            "div": diversity_loss(maps),
            "loc": localization_loss(size, center, self.network.anchors, params),
        }
        loss = terms["cls"] + params.gamma_div * terms["div"] + params.gamma_loc * terms["loc"]
        top = labels.gather(1, scores.argmax(1, keepdim=True))[:, 0]
        share = top.sum() / (labels.sum(1) > 0).sum().clamp(min=1)
        return {"loss": loss, **terms, "top_label": share, "overlap": overlap(maps)}

    @torch.no_grad()
    def draw(self, out: Path) -> list[Path]:
        """attention.jpg: a few validation pictures with their regions and attention maps.

        recommendations.jpg: recommendations by their regions among the other validation pictures.
        """
        rows = np.unique(np.linspace(0, len(self.val) - 1, SHOWN).astype(int))
        self.modules.eval()
        glimpses = self.glimpses_of("val", torch.from_numpy(rows))
        region_batches = [self.glimpses_of("val", batch).regions for batch in self.val_batches()]
        regions = F.normalize(torch.cat(region_batches), dim=2).cpu().numpy()
        data = dict(zip(self.val.ids, self.val.data, strict=True))
        recommended = []
        for row in rows:
            gallery = np.delete(np.arange(len(self.val)), row)
            ids = [self.val.ids[place] for place in gallery]
            listed = diverse_list(region_distances(regions[row], regions[gallery]), ids, RECOMMENDED)
            recommended.append([(data[name], region) for name, region in listed])
        shown = [self.val.data[row] for row in rows]
        return [
            save_sheet(out / "attention.jpg", attention_sheet(shown, glimpses)),
            save_sheet(out / "recommendations.jpg", recommendation_sheet(shown, recommended)),
        ]


def most_frequent_share(train: torch.Tensor, val: torch.Tensor) -> float:
    """The value of ``top_label`` when the most frequent training label is predicted for every validation picture.

    Args:
        train, val: 0 or 1, [n, labels] and [m, labels]; rows without a label are ignored.
    """
    known = val.sum(1) > 0
    return float(val[known][:, train.sum(0).argmax()].mean()) if known.any() else 0.0


def fit(recipe: AttentionRecipe, train: Examples, val: Examples, run: Run) -> Fitted:
    """Train, and return the encoder of the best epoch."""
    task = AttentionTask(recipe, train, val, run.group)
    run.group.log(
        f"{run.name}: {len(task.names)} labels, pictures of {recipe.image_size} x {width_of(recipe.image_size)}, "
        f"{len(recipe.network.anchors)} glimpses; guessing the most frequent label: {shown_row(task.chance)}"
    )
    trained = Trainer(run, task, Validation(train, val, recipe.validation), recipe.schedule, recipe.seed).fit()
    network = recipe.network.model_dump(mode="json")
    card = card_of("attention", image_size=recipe.image_size, labels=task.names, network=network)
    return Fitted(task.network, card, trained.header, trained.history, trained.scores, task.draw)
