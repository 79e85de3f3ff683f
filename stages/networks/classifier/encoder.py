"""The trained classifier as an encoder for matching and as a predictor of attributes."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from stages.core.determinism import device
from stages.core.files import read_json
from stages.networks.backbones.backbones import Backbone, beside
from stages.networks.backbones.features import load_weights
from stages.networks.backbones.pictures import passes, square
from stages.networks.classifier.network import MultiHead, encode_detected
from stages.networks.classifier.params import ClassifierParams


class ClassifierEncoder:
    """512-d batch-normalised vectors and attribute probabilities of crops."""

    def __init__(self, folder: Path) -> None:
        """Load what the classifier's training wrote."""
        card = read_json(folder / "encoder.json")
        params = ClassifierParams.model_validate(card["params"])
        self.metric: str = card["metric"]
        self.pixels = square(params.image_size, params.fit)
        backbone = beside(Backbone(card["backbone"], "none", params.pooling), params.beside, "none")
        self.network = MultiHead(backbone, card["classes"], card["superclasses"], params)
        load_weights(self.network, folder)
        self.network.to(device()).eval()

    def _inputs(
        self, images: torch.Tensor, detected_classes: Sequence[str]
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Images and encoded classes of one forward pass after the other."""
        where = device()
        detected = encode_detected(self.network.kind, detected_classes, self.network.superclasses).to(where)
        images = images.to(where)
        return ((images[part], detected[part]) for part in passes(images))

    @torch.inference_mode()
    def embed(self, images: torch.Tensor, detected_classes: Sequence[str]) -> np.ndarray:
        """float32 [n, 512] vectors of crops [n, 3, height, width]."""
        parts = [self.network.embedding(*inputs) for inputs in self._inputs(images, detected_classes)]
        return torch.cat(parts).float().cpu().numpy()

    @torch.inference_mode()
    def attributes(self, images: torch.Tensor, detected_classes: Sequence[str]) -> list[dict[str, tuple[str, float]]]:
        """For each of the crops [n, 3, height, width]: head -> (most probable class, its probability)."""
        parts = [self.network(*inputs) for inputs in self._inputs(images, detected_classes)]
        logits = {head: torch.cat([part[head] for part in parts]) for head in self.network.classes}
        result: list[dict[str, tuple[str, float]]] = [{} for _ in images]
        for head, values in logits.items():
            best = values.softmax(dim=1).max(dim=1)
            for row, (probability, index) in enumerate(zip(best.values.tolist(), best.indices.tolist(), strict=True)):
                result[row][head] = (self.network.classes[head][index], probability)
        return result
