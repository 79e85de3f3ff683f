"""Trained and frozen networks as encoders: built from their card, filled with their weights."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from stages.core.determinism import device
from stages.core.errors import StageError
from stages.core.files import read_json
from stages.networks.backbones.extractors import Extractor
from stages.networks.backbones.features import in_passes, load_weights
from stages.networks.backbones.pictures import Pixels, square
from stages.networks.metric.networks import Ensemble, Fir, NormalisedFeatures, Siamese


class NetworkEncoder(ABC):
    """Vectors of crops from one network; the detected class plays no part."""

    def __init__(self, folder: Path) -> None:
        """Load what the training stage wrote into ``folder``.

        Raises:
            StageError: when card or weights are missing, or do not fit each other.
        """
        card = read_json(folder / "encoder.json")
        try:
            self.metric: str = card["metric"]
            self.pixels = self.input(card["image_size"])
            self.network = self.build(card)
        except KeyError as error:
            raise StageError(f"{folder}/encoder.json: key {error} is missing. Run `dvc repro`.") from None
        load_weights(self.network, folder)
        self.network.to(device()).eval()

    @abstractmethod
    def build(self, card: dict[str, Any]) -> nn.Module:
        """The network that the card describes, without its weights."""

    def input(self, image_size: int) -> Pixels:
        """What crops are decoded to."""
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

    @torch.inference_mode()
    def categories(self, images: torch.Tensor) -> tuple[list[str], np.ndarray]:
        """Category names [c] and their probabilities, float32 [n, c], of crops [n, 3, height, width].

        Raises:
            StageError: for an encoder that was trained without the category loss.
        """
        logits = self.network.both(images.to(device()))[1]
        if logits is None:
            raise StageError("this encoder was trained without the category loss (OC): it has no category path.")
        return self.network.categories, logits.softmax(1).float().cpu().numpy()


class NormsoftmaxEncoder(NetworkEncoder):
    """Features trained with a classifier-style metric loss."""

    def build(self, card: dict[str, Any]) -> nn.Module:
        return NormalisedFeatures(card["backbone"], "none", card["image_size"], card["pooling"], card["embedding"])
