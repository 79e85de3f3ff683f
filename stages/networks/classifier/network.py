"""The multi-head network: backbone, projection, detected class, fully connected blocks, one linear layer a head."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from stages.networks.backbones.backbones import Backbone, SideBySide
from stages.networks.backbones.colors import WIDTH as COLORS
from stages.networks.classifier.params import ClassifierParams, DetectorClass

COLOR_SCALE = 50  # roots of shares are small numbers, and at one rate a layer learns faster from larger ones
COLOR_DROPOUT = 0.1  # of the histogram's cells: few weights, so little of it
SHARED = " through the shared blocks"  # ends the names of logits that teach the blocks and answer nothing


def class_input_width(kind: DetectorClass, superclasses: Sequence[str]) -> int:
    """How many numbers the detected class adds to the features."""
    return {"none": 0, "scalar": 1, "onehot": len(superclasses) + 1}[kind]


def encode_detected(kind: DetectorClass, names: Sequence[str], superclasses: Sequence[str]) -> torch.Tensor:
    """The detected class as network input [n, width].

    ``scalar`` is the published +1 value: the joint class id divided by the number of classes, so that it
    has the features' scale. A class that is not among ``superclasses`` ("none": the whole image) is the last.
    """
    index = torch.tensor(
        [superclasses.index(name) if name in superclasses else len(superclasses) for name in names], dtype=torch.long
    )
    if kind == "onehot":
        return nn.functional.one_hot(index, len(superclasses) + 1).float()
    if kind == "scalar":
        return index.float().unsqueeze(1) / len(superclasses)
    return torch.zeros(len(names), 0)


class Block(nn.Module):
    """Linear, BatchNorm (or, without ``batch_norm``, nothing in its place), LeakyReLU, Dropout."""

    def __init__(self, width_in: int, width_out: int, params: ClassifierParams) -> None:
        super().__init__()
        self.linear = nn.Linear(width_in, width_out)
        self.norm = nn.BatchNorm1d(width_out) if params.batch_norm else nn.Identity()
        self.rest = nn.Sequential(nn.LeakyReLU(params.negative_slope), nn.Dropout(params.dropout))

    def normed(self, features: torch.Tensor) -> torch.Tensor:
        """After BatchNorm, before the non-linearity."""
        return self.norm(self.linear(features))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """The whole block."""
        return self.rest(self.normed(features))


class MultiHead(nn.Module):
    """docs/methods.md: features -> projection (+ detected class) -> blocks -> heads.

    A head of ``color_heads`` answers from the colour histogram among the features alone, by a linear layer: on the
    way through the blocks, which all heads share, most of it is lost, and a sum of both learns training rows by heart.
    The blocks are taught its label all the same, or the matcher's vector would know nothing of it.

    Attributes:
        classes: head -> its class names, in the order of the logits.
        superclasses: names behind the detected class's ids.
    """

    def __init__(
        self,
        backbone: Backbone | SideBySide,
        classes: dict[str, list[str]],
        superclasses: list[str],
        params: ClassifierParams,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.classes = classes
        self.superclasses = superclasses
        self.kind = params.detector_class
        self.standardise = nn.BatchNorm1d(backbone.width, affine=False) if params.standardise else nn.Identity()
        self.projection = nn.Linear(backbone.width, params.projection)
        widths = [params.projection + class_input_width(self.kind, superclasses), *params.hidden]
        self.blocks = nn.ModuleList(Block(a, b, params) for a, b in pairwise(widths))
        # Prefixed: a head named "type" would hide a method of nn.Module.
        self.heads = nn.ModuleDict(
            {f"head_{head}": nn.Linear(widths[-1], len(names)) for head, names in classes.items()}
        )
        self.of_colors = nn.ModuleDict(
            {
                f"head_{head}": nn.Sequential(nn.Dropout(COLOR_DROPOUT), nn.Linear(COLORS, len(classes[head])))
                for head in params.color_heads
            }
        )

    def embedding(self, images: torch.Tensor, detected: torch.Tensor) -> torch.Tensor:
        """[n, last width]: the last block's output after BatchNorm, which the matcher compares."""
        return self.embedding_of(self.backbone(images), detected)

    def embedding_of(self, features: torch.Tensor, detected: torch.Tensor) -> torch.Tensor:
        """The same from the backbone's features [n, width]."""
        features = torch.cat([self.projection(self.standardise(features)), detected.to(features.device)], dim=1)
        for block in self.blocks[:-1]:
            features = block(features)
        return self.blocks[-1].normed(features)

    def logits_of(self, features: torch.Tensor, detected: torch.Tensor) -> dict[str, torch.Tensor]:
        """Head -> logits [n, classes], from the backbone's features [n, width].

        In training mode a head of ``color_heads`` has a second entry, of the blocks: its name and ``SHARED``.
        """
        hidden = self.blocks[-1].rest(self.embedding_of(features, detected))
        logits = {head: self.heads[f"head_{head}"](hidden) for head in self.classes}
        for name, layer in self.of_colors.items():
            head = name.removeprefix("head_")
            if self.training:
                logits[head + SHARED] = logits[head]
            logits[head] = layer(features[:, -COLORS:] * COLOR_SCALE)
        return logits

    def forward(self, images: torch.Tensor, detected: torch.Tensor) -> dict[str, torch.Tensor]:
        """Logits of every head for uint8 images [n, 3, side, side] and encoded classes [n, width]."""
        return self.logits_of(self.backbone(images), detected)
