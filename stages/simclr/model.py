"""What SimCLR trains: params, network, loss and optimizer.

Params: simclr.
"""

import warnings
from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import Field
from torch import nn

from stages.core.determinism import device
from stages.core.params import Section, Seed
from stages.learning.acceleration import RuntimeParams, prepare_model
from stages.learning.augment import ColorParams, GeometryParams
from stages.learning.distributed import Group, synchronised
from stages.networks.backbones.backbones import Backbone, Weights

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
    """A backbone with the projection head that only training needs."""

    def __init__(self, backbone: Backbone, head: nn.Module) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Projections [n, out] of images [n, 3, side, side]."""
        return self.head(self.backbone(images))


@dataclass
class Parts:
    """One training: ``network`` is what a step calls; it holds ``backbone`` and ``head``."""

    backbone: Backbone
    head: nn.Module
    network: nn.Module
    optimizer: torch.optim.Optimizer
    loss: nn.Module
    device: str
    runtime: RuntimeParams
    group: Group


def build(params: SimclrParams, runtime: RuntimeParams, group: Group) -> Parts:
    """Everything that is trained, on its device and made ready for ``runtime`` and the group's processes."""
    from lightly.models.modules.heads import SimCLRProjectionHead

    where = device()
    backbone = Backbone(params.backbone, params.weights).to(where)
    head = SimCLRProjectionHead(backbone.width, params.projection_hidden, params.projection_out).to(where)
    network = prepare_model(synchronised(Projected(backbone, head), group), runtime)
    optimizer = torch.optim.SGD(
        [*backbone.parameters(), *network.head.parameters()],
        lr=params.learning_rate,
        momentum=params.momentum,
        weight_decay=params.weight_decay,
    )
    loss = contrastive_loss(params.loss, params.temperature, gather=group.size > 1)
    return Parts(backbone, network.head, group.share(network), optimizer, loss, where, runtime, group)


def contrastive_loss(name: Loss, temperature: float, gather: bool = False) -> nn.Module:
    """lightly's loss of that name, called with the projections [n, d] of first and second views.

    nt_xent is equation 1 of Chen et al. 2020; dcl is equation 6 of Yeh et al. 2022, which takes the positive out of the
    denominator; dclw also weighs each positive by its difficulty.

    Args:
        gather: negatives come from all processes. (The weights of dclw are then relative to each process's own rows.)
    """
    from lightly.loss import DCLLoss, DCLWLoss, NTXentLoss

    # lightly copies dclw's weights in a way that torch would warn of at every step.
    warnings.filterwarnings("ignore", message="To copy construct from a tensor")
    kinds = {"nt_xent": NTXentLoss, "dcl": DCLLoss, "dclw": DCLWLoss}
    return kinds[name](temperature=temperature, gather_distributed=gather)
