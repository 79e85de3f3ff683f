"""SimCLR's params, network, loss and optimizer, and k-NN on validation.

Params: simclr.
"""

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import torch
from pydantic import Field
from torch import nn

from stages.core.determinism import device
from stages.core.errors import StageError, shown
from stages.core.fast_imports import import_timm, spare_compiler
from stages.core.heads import HEADS
from stages.core.params import Section, Seed
from stages.learning.acceleration import RuntimeParams, prepare_model
from stages.learning.augment import ColorParams, GeometryParams
from stages.learning.distributed import Group, synchronized
from stages.learning.knn import knn_accuracy, majority_share
from stages.networks.backbones.backbones import Backbone, Weights
from stages.networks.backbones.features import Pictures, embed_pictures

Loss = Literal["nt_xent", "dcl", "dclw"]


class SimclrParams(Section):
    """Section ``simclr``."""

    backbone: str
    weights: Weights
    image_size: int = Field(gt=0)
    epochs: int = Field(ge=0)
    batch: int = Field(gt=1)
    loss: Loss
    temperature: float = Field(gt=0)
    projection_hidden: int = Field(gt=0)
    projection_out: int = Field(gt=0)
    learning_rate: float = Field(gt=0)
    momentum: float = Field(ge=0, lt=1)
    weight_decay: float = Field(ge=0)
    geometry: GeometryParams
    color: ColorParams
    keep: Literal["best", "last"]
    knn_every: int = Field(gt=0)
    knn_k: int = Field(gt=0)
    knn_head: str
    seed: Seed


class Projected(nn.Module):
    """A backbone with a projection head, which only training needs."""

    def __init__(self, backbone: Backbone, head: nn.Module) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Projections [n, out] of images [n, 3, side, side]."""
        return self.head(self.backbone(images))


@dataclass
class SimclrModel:
    """The trained modules; a training step calls ``network``, which consists of ``backbone`` and ``head``."""

    backbone: Backbone
    head: nn.Module
    network: nn.Module
    optimizer: torch.optim.Optimizer
    loss: nn.Module
    device: str
    runtime: RuntimeParams
    group: Group


def build(params: SimclrParams, runtime: RuntimeParams, group: Group) -> SimclrModel:
    """Build everything that is trained, on its device, prepared for ``runtime`` and the group's processes."""
    import_timm()  # before lightly, which imports torchvision
    from lightly.models.modules.heads import SimCLRProjectionHead

    where = device()
    backbone = Backbone(params.backbone, params.weights).to(where)
    head = SimCLRProjectionHead(backbone.width, params.projection_hidden, params.projection_out).to(where)
    network = prepare_model(synchronized(Projected(backbone, head), group), runtime)
    spare_compiler()
    optimizer = torch.optim.SGD(
        [*backbone.parameters(), *network.head.parameters()],
        lr=params.learning_rate,
        momentum=params.momentum,
        weight_decay=params.weight_decay,
    )
    loss = contrastive_loss(params.loss, params.temperature, gather=group.size > 1)
    return SimclrModel(backbone, network.head, group.share(network), optimizer, loss, where, runtime, group)


def contrastive_loss(name: Loss, temperature: float, gather: bool = False) -> nn.Module:
    """lightly's loss of that name, called with the projections [n, d] of first and second views.

    nt_xent is equation 1 of Chen et al. 2020; dcl is equation 6 of Yeh et al. 2022, which takes the positive out of the
    denominator; dclw also weighs each positive by its difficulty.

    Args:
        gather: negatives come from all processes. (The weights of dclw are then relative to each process's own rows.)
    """
    from lightly.loss import DCLLoss, DCLWLoss, NTXentLoss

    # lightly copies dclw's weights in a way about which torch warns at every step.
    warnings.filterwarnings("ignore", message="To copy construct from a tensor")
    kinds = {"nt_xent": NTXentLoss, "dcl": DCLLoss, "dclw": DCLWLoss}
    return kinds[name](temperature=temperature, gather_distributed=gather)


class KnnValidation:
    """k-NN accuracy of a backbone's features on the validation split."""

    def __init__(self, train: pd.DataFrame, val: pd.DataFrame, pictures: Pictures, params: SimclrParams) -> None:
        """Keep the rows that have a label of ``simclr.knn_head``.

        Raises:
            StageError: ``simclr.knn_head`` is no label, or no row of a split has one.
        """
        if params.knn_head not in HEADS:
            raise StageError(f"simclr.knn_head: {params.knn_head!r} is no label; the data set has {shown(HEADS)}.")
        for split, frame in (("training", train), ("validation", val)):
            if not frame[params.knn_head].notna().any():
                usable = [head for head in HEADS if head in frame and frame[head].notna().any()]
                raise StageError(
                    f"simclr.knn_head: none of {len(frame)} {split} crops has a label of {params.knn_head!r}; they "
                    f"have labels of: {shown(usable)}. Name one of these."
                )
        self.k, self.batch = params.knn_k, params.batch
        self.rows = np.flatnonzero(train[params.knn_head].notna())
        known = val[val[params.knn_head].notna()]
        self.labels = train[params.knn_head].to_numpy()[self.rows]
        self.val_labels = known[params.knn_head].to_numpy()
        self.pictures = pictures
        self.val_pictures = Pictures(list(known["bytes"]), params.image_size)
        self.majority = majority_share(self.labels, self.val_labels)

    def accuracy(self, backbone: Backbone) -> float:
        """Accuracy in [0, 1]."""
        train = embed_pictures(backbone, self.pictures, self.batch)[self.rows]
        val = embed_pictures(backbone, self.val_pictures, self.batch)
        return float(knn_accuracy(train, self.labels, val, self.val_labels, self.k))
