"""The multi-head classifier: section ``classifier`` of params.yaml, the network, and the trained one as an encoder for
matching and as a predictor of attributes.

The network is a backbone, a projection, the detected class, fully connected blocks, and one linear layer a head.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, model_validator
from torch import nn

from stages.contracts.images import Fit
from stages.core.determinism import device
from stages.core.errors import shown
from stages.core.files import read_json
from stages.core.params import LowHigh, Section, Seed, Share
from stages.learning.augment import GeometryParams
from stages.networks.backbones.backbones import Backbone, ExtendedBackbone, Pooling, with_extra_backbones
from stages.networks.backbones.colors import WIDTH as COLORS
from stages.networks.backbones.features import load_weights, passes, square
from stages.networks.backbones.folded import folded

DetectorClass = Literal["none", "scalar", "onehot"]
MissingLabels = Literal["masked", "as_class"]
Quality = Annotated[int, Field(ge=1, le=100)]  # of a JPEG


class AugmentParams(Section):
    """Photometric augmentation: probability and strength of each change (the published table); then geometry.

    Attributes:
        effects_on: crop = the crop at its own size, before it is resized, as published; input = the resized picture.
        blur_sigma: standard deviation of the blur in pixels (PIL's radius).
        factor: of brightness and contrast.
    """

    effects_on: Literal["crop", "input"]
    blur: Share
    blur_sigma: Annotated[tuple[PositiveFloat, PositiveFloat], LowHigh]
    brightness: Share
    contrast: Share
    factor: Annotated[tuple[NonNegativeFloat, NonNegativeFloat], LowHigh]
    jpeg: Share
    jpeg_quality: Annotated[tuple[Quality, Quality], LowHigh]
    geometry: GeometryParams


class ClassifierParams(Section):
    """Section ``classifier``.

    Attributes:
        class_missing: share of the training rows whose detected class is replaced by "no detection", drawn in each
            step: benchmarks without a detector have no class.
        schedule: of the learning rates, after ``warmup_epochs``: half a cosine down to 0, or constant.
    """

    heads: list[str] = Field(min_length=1)
    image_size: int = Field(gt=0)
    fit: Fit
    detector_class: DetectorClass
    class_missing: float = Field(ge=0, lt=1)
    pooling: Pooling
    extra_backbones: list[str]
    standardize: bool
    color_heads: list[str]
    projection: int = Field(gt=0)
    hidden: list[int] = Field(min_length=1)
    batch_norm: bool
    dropout: float = Field(ge=0, lt=1)
    negative_slope: float = Field(ge=0)
    freeze_backbone: bool
    cached_views: int = Field(ge=0)
    focal_share: Share
    focal_gamma: float = Field(ge=0)
    class_weights: bool
    label_smoothing: float = Field(ge=0, lt=1)
    missing_labels: MissingLabels
    epochs: int = Field(gt=0)
    schedule: Literal["cosine", "constant"]
    warmup_epochs: float = Field(ge=0)
    average: float = Field(ge=0, lt=1)
    keep: Literal["best", "last"]
    batch: int = Field(gt=1)
    interleave: Literal["batches", "rows"]
    learning_rate: float = Field(gt=0)
    backbone_learning_rate: float = Field(ge=0)
    weight_decay: float = Field(ge=0)
    augment: AugmentParams
    seed: Seed

    @model_validator(mode="after")
    def _colors_exist(self) -> Self:
        if unknown := [head for head in self.color_heads if head not in self.heads]:
            raise ValueError(f"color_heads: {shown(unknown)} is not among heads ({shown(self.heads)})")
        if self.color_heads and self.pooling != "stages_colors":
            raise ValueError(f"color_heads needs pooling: stages_colors, found {self.pooling}")
        return self

    @model_validator(mode="after")
    def _only_frozen_features_last(self) -> Self:
        if self.cached_views and not self.freeze_backbone:
            raise ValueError("cached_views computes features once; they change unless freeze_backbone is true")
        return self


COLOR_SCALE = 50  # square roots of shares are small, and a layer learns faster from larger inputs at the same rate
COLOR_DROPOUT = 0.1  # of the histogram's cells; little, as the layer has few weights
TYPE = "type"  # the head whose classes have superclasses
SHARED = " through the shared blocks"  # suffix of logits that only train the blocks and are no prediction


def class_input_width(kind: DetectorClass, superclasses: Sequence[str]) -> int:
    """How many numbers the detected class adds to the features."""
    return {"none": 0, "scalar": 1, "onehot": len(superclasses) + 1}[kind]


def encode_detected(kind: DetectorClass, names: Sequence[str], superclasses: Sequence[str]) -> torch.Tensor:
    """The detected class as network input [n, width].

    ``scalar`` is the published additional value: the joint class id divided by the number of classes, which has the
    scale of the features. A class that is not in ``superclasses`` ("none": the whole image) gets the last id.
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
    """Linear, BatchNorm (left out without ``batch_norm``), LeakyReLU, Dropout."""

    def __init__(self, width_in: int, width_out: int, params: ClassifierParams) -> None:
        super().__init__()
        self.linear = nn.Linear(width_in, width_out)
        self.norm = nn.BatchNorm1d(width_out) if params.batch_norm else nn.Identity()
        self.rest = nn.Sequential(nn.LeakyReLU(params.negative_slope), nn.Dropout(params.dropout))

    def normed(self, features: torch.Tensor) -> torch.Tensor:
        """The output of BatchNorm, before the non-linearity."""
        return self.norm(self.linear(features))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """The output of the whole block."""
        return self.rest(self.normed(features))


class MultiHead(nn.Module):
    """docs/methods.md: features -> projection (+ detected class) -> blocks -> heads.

    A head of ``color_heads`` is a linear layer on the color histogram alone. The blocks, which all heads share, lose
    most of the histogram, and a head that sums both overfits. A second linear layer predicts the same label from the
    blocks, so that the matcher's vector, which comes from the blocks, encodes color as well.

    Attributes:
        classes: head -> its class names, in the order of the logits.
        superclasses: names of the detected classes in the order of their ids.
    """

    def __init__(
        self,
        backbone: Backbone | ExtendedBackbone,
        classes: dict[str, list[str]],
        superclasses: list[str],
        params: ClassifierParams,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.classes = classes
        self.superclasses = superclasses
        self.kind = params.detector_class
        self.standardize = nn.BatchNorm1d(backbone.width, affine=False) if params.standardize else nn.Identity()
        self.projection = nn.Linear(backbone.width, params.projection)
        widths = [params.projection + class_input_width(self.kind, superclasses), *params.hidden]
        self.blocks = nn.ModuleList(Block(a, b, params) for a, b in pairwise(widths))
        # The prefix keeps a head named "type" from hiding a method of nn.Module.
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
        """Vectors for the matcher, [n, last width]: the BatchNorm output of the last block."""
        return self.embedding_of(self.backbone(images), detected)

    def embedding_of(self, features: torch.Tensor, detected: torch.Tensor) -> torch.Tensor:
        """``embedding`` from the backbone's features [n, width]."""
        features = torch.cat([self.projection(self.standardize(features)), detected.to(features.device)], dim=1)
        for block in self.blocks[:-1]:
            features = block(features)
        return self.blocks[-1].normed(features)

    def logits_of(self, features: torch.Tensor, detected: torch.Tensor) -> dict[str, torch.Tensor]:
        """Head -> logits [n, classes], from the backbone's features [n, width].

        In training mode a head of ``color_heads`` has a second entry, from the blocks, with the suffix ``SHARED``.
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


def tempered(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities [n, classes] as if their logits had been divided by ``temperature``, float64.

    The order of the classes stays. Guo et al. 2017, "On Calibration of Modern Neural Networks".
    """
    logs = np.log(np.maximum(probabilities.astype(np.float64), np.finfo(np.float32).tiny)) / temperature
    shares = np.exp(logs - logs.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


class ClassifierEncoder:
    """512-d batch-normalized vectors and attribute probabilities of crops.

    Attributes:
        temperatures: head -> the temperature by which its confidence is calibrated.
        superclass_of: type -> its superclass, where the classifier has the head `type`.
    """

    def __init__(self, folder: Path) -> None:
        """Load the files that the classifier's training wrote."""
        card = read_json(folder / "encoder.json")
        params = ClassifierParams.model_validate(card["params"])
        self.metric: str = card["metric"]
        self.temperatures: dict[str, float] = dict.fromkeys(card["classes"], 1.0) | card.get("temperatures", {})
        self.superclass_of: dict[str, str] = card.get("superclass_of", {})
        self.pixels = square(params.image_size, params.fit)
        backbone = with_extra_backbones(
            Backbone(card["backbone"], "none", params.pooling), params.extra_backbones, "none"
        )
        self.network = MultiHead(backbone, card["classes"], card["superclasses"], params)
        load_weights(self.network, folder)
        self.network.to(device()).eval()
        self.network.backbone = folded(self.network.backbone, self.pixels.height, self.pixels.width)

    def _inputs(
        self, images: torch.Tensor, detected_classes: Sequence[str]
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Images and encoded classes for one forward pass at a time."""
        where = device()
        detected = encode_detected(self.network.kind, detected_classes, self.network.superclasses).to(where)
        images = images.to(where)
        return ((images[chunk], detected[chunk]) for chunk in passes(images))

    @torch.inference_mode()
    def embed(self, images: torch.Tensor, detected_classes: Sequence[str]) -> np.ndarray:
        """float32 [n, 512] vectors of crops [n, 3, height, width]."""
        vectors = [self.network.embedding(*inputs) for inputs in self._inputs(images, detected_classes)]
        return torch.cat(vectors).float().cpu().numpy()

    @torch.inference_mode()
    def vectors_and_probabilities(
        self, images: torch.Tensor, detected_classes: Sequence[str]
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """What ``embed`` and ``probabilities`` return for crops, from one pass of the backbone."""
        vectors, logits = [], []
        for some, detected in self._inputs(images, detected_classes):
            features = self.network.backbone(some)
            vectors.append(self.network.embedding_of(features, detected))
            logits.append(self.network.logits_of(features, detected))
        return torch.cat(vectors).float().cpu().numpy(), self._calibrated(logits)

    @torch.inference_mode()
    def probabilities(self, images: torch.Tensor, detected_classes: Sequence[str]) -> dict[str, np.ndarray]:
        """Head -> calibrated probabilities, float64 [n, classes], of crops [n, 3, height, width]."""
        return self._calibrated([self.network(*inputs) for inputs in self._inputs(images, detected_classes)])

    def superclass_probabilities(self, pictures: Sequence[bytes]) -> dict[str, np.ndarray]:
        """Superclass -> its probability, float64 [n], of encoded crops whose detected class is not known.

        It is the sum over the superclass's types.
        """
        types = self.probabilities(self.pixels.decode(pictures), [""] * len(pictures))[TYPE]
        result: dict[str, np.ndarray] = {}
        for column, name in enumerate(self.network.classes[TYPE]):
            if name in self.superclass_of:
                superclass = self.superclass_of[name]
                result[superclass] = result.get(superclass, 0) + types[:, column]
        return result

    def _calibrated(self, logits: Sequence[dict[str, torch.Tensor]]) -> dict[str, np.ndarray]:
        return {
            head: tempered(torch.cat([chunk[head] for chunk in logits]).softmax(dim=1).cpu().numpy(), temperature)
            for head, temperature in self.temperatures.items()
        }

    def attributes(self, images: torch.Tensor, detected_classes: Sequence[str]) -> list[dict[str, tuple[str, float]]]:
        """For each of the crops [n, 3, height, width]: head -> (most probable class, its calibrated probability)."""
        result: list[dict[str, tuple[str, float]]] = [{} for _ in images]
        for head, shares in self.probabilities(images, detected_classes).items():
            for row, index in enumerate(shares.argmax(axis=1)):
                result[row][head] = (self.network.classes[head][index], float(shares[row, index]))
        return result
