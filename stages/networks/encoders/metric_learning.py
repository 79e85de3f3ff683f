"""The networks of the ensemble, siamese, FIR and normalized-softmax encoders: uint8 pictures in, vectors out.

Trained and frozen ones are encoders: their card describes the network, a file has its weights.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from stages.core.determinism import device
from stages.core.errors import StageError
from stages.core.files import read_json
from stages.networks.backbones.backbones import Extractor, FeatureMaps, Pool, Weights
from stages.networks.backbones.features import Pixels, in_passes, load_weights, passes, square
from stages.networks.backbones.folded import folded


class Member(TypedDict):
    """One extractor of an ensemble."""

    backbone: str
    pooling: Pool


class Ensemble(nn.Module):
    """Weighted average of two extractors' vectors; the wider one keeps as many columns as the narrower one has."""

    def __init__(self, members: Sequence[Member], weights: Sequence[Weights], image_size: int) -> None:
        """Build both extractors; ``fit`` or a weights file sets columns and weight."""
        super().__init__()
        self.members = nn.ModuleList(
            Extractor(member["backbone"], source, image_size, member["pooling"])
            for member, source in zip(members, weights, strict=True)
        )
        widths = [member.width for member in self.members]
        self.width = min(widths)
        self.wider = int(widths[1] > widths[0])
        self.register_buffer("columns", torch.arange(self.width))
        self.register_buffer("share", torch.tensor(0.5))

    def mixed(self, vectors: Sequence[torch.Tensor]) -> torch.Tensor:
        """``share`` x first + (1 - ``share``) x second, [n, width], of the members' own vectors.

        The wider one is reduced to ``columns`` and both are normalized to unit length. Otherwise the extractor with the
        larger numbers dominates, whatever the weight.
        """
        first, second = (F.normalize(columns[:, self.columns] if at == self.wider else columns)
                         for at, columns in enumerate(vectors))  # fmt: skip
        return self.share * first + (1 - self.share) * second

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Vectors [n, width] of images [n, 3, h, w]."""
        return self.mixed([member(images) for member in self.members])


class Siamese(nn.Module):
    """One branch of the siamese network; both branches are the same.

    Pooled features, then a dense layer. Distances between its vectors are Euclidean. The pooled features are normalized
    to unit length first: distances of raw maxima are many times the margin, and the loss would only shrink them. The
    dense layer starts orthogonal, so that training starts from the distances of the pretrained features.
    """

    def __init__(self, backbone: str, weights: Weights, image_size: int, pooling: Pool, embedding: int) -> None:
        super().__init__()
        self.pooled = Extractor(backbone, weights, image_size, pooling)
        self.pooled.requires_grad_(False)
        self.dense = nn.Linear(self.pooled.width, embedding)
        nn.init.orthogonal_(self.dense.weight)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Input of the dense layer: pooled maps of unit length [n, width]."""
        return F.normalize(self.pooled(images))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Vectors [n, embedding] of images [n, 3, h, w]."""
        return self.dense(self.features(images))


class FeatureRelaxation(nn.Module):
    """The module between the shared features and the category loss (Park et al. 2019): conv, ReLU, dropout, conv.

    Both convolutions are 1 x 1, so that they change the distribution of the features at each place; class scores are
    means over places. The publication gives neither kernel nor width.
    """

    def __init__(self, width: int, hidden: int, dropout: float, classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(width, hidden, 1), nn.ReLU(), nn.Dropout(dropout), nn.Conv2d(hidden, classes, 1)
        )

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Category logits [n, classes] of maps [n, width, h, w]."""
        return self.layers(maps).mean((2, 3))


class Fir(nn.Module):
    """Two paths over one backbone: pooled features for similarity, the relaxation module for categories.

    The paths split at the feature maps. The vector for search is the pooled, L2-normalized feature itself.
    """

    def __init__(
        self, backbone: str, weights: Weights, image_size: int, categories: Sequence[str], hidden: int, dropout: float
    ) -> None:
        """Build it; without categories it has no relaxation module, only the similarity path (IS)."""
        super().__init__()
        self.maps = FeatureMaps(backbone, weights, image_size)
        self.categories = list(categories)
        self.relaxation = FeatureRelaxation(self.maps.width, hidden, dropout, len(categories)) if categories else None

    @property
    def trunk(self) -> nn.Module:
        """The layers before the paths split."""
        return self.maps

    def both(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Unit vectors [n, width] and category logits [n, classes] (None without the module)."""
        maps = self.maps(images)
        logits = self.relaxation(maps) if self.relaxation is not None else None
        return F.normalize(maps.mean((2, 3))), logits

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Unit vectors [n, width]."""
        return F.normalize(self.maps(images).mean((2, 3)))


class NormalizedFeatures(nn.Module):
    """Pooled features, layer-normalized without weights, optionally projected (Zhai & Wu 2019)."""

    def __init__(self, backbone: str, weights: Weights, image_size: int, pooling: Pool, embedding: int | None) -> None:
        super().__init__()
        self.pooled = Extractor(backbone, weights, image_size, pooling)
        self.norm = nn.LayerNorm(self.pooled.width, elementwise_affine=False)
        self.project = nn.Linear(self.pooled.width, embedding) if embedding else nn.Identity()
        self.width = embedding or self.pooled.width

    @property
    def trunk(self) -> nn.Module:
        """The layers that pictures go through."""
        return self.pooled

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Vectors [n, width], not normalized, as the loss and the cosine normalize them."""
        return self.project(self.norm(self.pooled(images)))


class NetworkEncoder(ABC):
    """Vectors of crops from one network; the detected class is not used."""

    def __init__(self, folder: Path) -> None:
        """Load the files that the training stage wrote into ``folder``.

        Raises:
            StageError: card or weights are missing, or do not fit each other.
        """
        card = read_json(folder / "encoder.json")
        try:
            self.metric: str = card["metric"]
            self.pixels = self.input(card["image_size"])
            network = self.build(card)
        except KeyError as error:
            raise StageError(f"{folder}/encoder.json: key {error} is missing. Run `dvc repro`.") from None
        load_weights(network, folder)
        self.network = folded(network.to(device()).eval(), self.pixels.height, self.pixels.width)

    @abstractmethod
    def build(self, card: dict[str, Any]) -> nn.Module:
        """The network that the card describes, without its weights."""

    def input(self, image_size: int) -> Pixels:
        """How crops are decoded."""
        return square(image_size)

    @torch.inference_mode()
    def embed(self, images: torch.Tensor, detected_classes: Sequence[str]) -> np.ndarray:
        """float32 [n, d] vectors of crops [n, 3, height, width]."""
        return in_passes(self.network, images.to(device())).float().cpu().numpy()


class FrozenEncoder(NetworkEncoder):
    """A frozen extractor (system C)."""

    def build(self, card: dict[str, Any]) -> nn.Module:
        return Extractor(card["backbone"], "none", card["image_size"], card["pooling"])


class EnsembleEncoder(NetworkEncoder):
    """Two frozen extractors, averaged (system C)."""

    def build(self, card: dict[str, Any]) -> nn.Module:
        return Ensemble(card["members"], ("none", "none"), card["image_size"])


class SiameseEncoder(NetworkEncoder):
    """A branch of the siamese network (system C)."""

    def build(self, card: dict[str, Any]) -> nn.Module:
        return Siamese(card["backbone"], "none", card["image_size"], card["pooling"], card["embedding"])


class FirEncoder(NetworkEncoder):
    """The similarity path of FIR, and its category path (system D)."""

    def build(self, card: dict[str, Any]) -> nn.Module:
        shape = card["categories"], card["relaxation"], card["dropout"]
        return Fir(card["backbone"], "none", card["image_size"], *shape)

    @property
    def has_categories(self) -> bool:
        """Whether it was trained with the category loss (OC) and so has a category path."""
        return bool(self.network.categories)

    @torch.inference_mode()
    def embed_categories(self, images: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        """The vectors of ``embed`` [n, d] and float32 [n, c], from one pass over crops [n, 3, height, width].

        The second are the probabilities of the card's categories.

        Raises:
            StageError: for an encoder without a category path.
        """
        if not self.has_categories:
            raise StageError("this encoder was trained without the category loss (OC): it has no category path.")
        images = images.to(device())
        vectors, logits = zip(*(self.network.both(images[chunk]) for chunk in passes(images)), strict=True)
        return torch.cat(vectors).float().cpu().numpy(), torch.cat(logits).softmax(1).float().cpu().numpy()


class NormsoftmaxEncoder(NetworkEncoder):
    """Features trained by metric learning as classification."""

    def build(self, card: dict[str, Any]) -> nn.Module:
        return NormalizedFeatures(card["backbone"], "none", card["image_size"], card["pooling"], card["embedding"])
