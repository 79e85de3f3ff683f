"""Features of pictures, and encoders as files: safetensors weights beside a JSON card."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from stages.core.determinism import device
from stages.core.errors import StageError
from stages.core.files import read_json, write_json
from stages.networks.backbones.backbones import Backbone
from stages.networks.backbones.pictures import Pictures, Pixels, passes, square


class Encoder(Protocol):
    """What embed, evaluation and the app need of an encoder, whatever it is.

    Attributes:
        metric: cosine or euclidean.
        pixels: what ``embed`` wants crops decoded to; encoders with equal ones can be given the same pictures.
    """

    metric: str
    pixels: Pixels

    def embed(self, images: torch.Tensor, detected_classes: Sequence[str]) -> np.ndarray:
        """float32 [n, d] vectors of crops, uint8 [n, 3, height, width] on the CPU, and their detected classes."""
        ...


def in_passes(network: Callable[[torch.Tensor], torch.Tensor], images: torch.Tensor) -> torch.Tensor:
    """What a network gives for images [n, 3, height, width], in as many passes as memory asks for (``passes``)."""
    return torch.cat([network(images[part]) for part in passes(images)])


def embed_pictures(network: nn.Module, pictures: Pictures, batch: int) -> np.ndarray:
    """float32 features [n, d] of all pictures; see ``embed_rows``."""
    return embed_rows(network, pictures, range(len(pictures)), batch)


@torch.inference_mode()
def embed_rows(network: nn.Module, pictures: Pictures, rows: Sequence[int] | torch.Tensor, batch: int) -> np.ndarray:
    """float32 features [n, d] of some pictures, in evaluation mode; the network's mode is put back.

    Args:
        network: on this process's device.
        rows: positions [n].
        batch: pictures at a time.
    """
    was_training = network.training
    network.eval()
    parts = [
        in_passes(network, pictures.batch(rows[start : start + batch]).to(device())).float().cpu().numpy()
        for start in range(0, len(rows), batch)
    ]
    network.train(was_training)
    return np.concatenate(parts) if parts else np.zeros((0, 1), np.float32)


def save_encoder(network: nn.Module, card: dict[str, Any], out: Path) -> None:
    """Write weights.safetensors and encoder.json."""
    from safetensors.torch import save_file

    state = {name: tensor.detach().contiguous().cpu() for name, tensor in network.state_dict().items()}
    save_file(state, out / "weights.safetensors")
    write_json(out / "encoder.json", card)


def load_weights(network: nn.Module, folder: Path) -> None:
    """Put the weights that ``save_encoder`` wrote into a network of the same shape.

    Raises:
        StageError: when they are missing or do not fit.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        network.load_state_dict(load_file(folder / "weights.safetensors"))
    except (OSError, RuntimeError, SafetensorError) as error:
        raise StageError(f"{folder}: weights do not fit encoder.json: {str(error)[:300]}. Run `dvc repro`.") from None


class BackboneEncoder:
    """A backbone's pooled features, compared by cosine; the detected class plays no part."""

    def __init__(self, folder: Path) -> None:
        """Load what the SimCLR stage wrote."""
        card = read_json(folder / "encoder.json")
        self.metric: str = card["metric"]
        self.pixels = square(card["image_size"])
        self.network = Backbone(card["backbone"], "none")
        load_weights(self.network, folder)
        self.network.to(device()).eval()

    @torch.inference_mode()
    def embed(self, images: torch.Tensor, detected_classes: Sequence[str]) -> np.ndarray:
        """float32 [n, d] vectors of crops [n, 3, height, width]."""
        return in_passes(self.network, images.to(device())).float().cpu().numpy()
