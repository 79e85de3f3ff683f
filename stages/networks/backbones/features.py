"""Pictures as tensors, their features, and encoders as files: safetensors weights beside a JSON card.

Each kind of input is decoded once, in memory where it fits, else on the fly.

Flip test-time augmentation: a picture and its mirror image are looked at together, so that it no longer matters
which way a garment faces. The mirror image is the decoded picture flipped (``Pixels`` says how exactly).
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch
from torch import nn

from stages.contracts.images import Effect, Fit, resized
from stages.contracts.tables import read_shards
from stages.core.determinism import device
from stages.core.errors import StageError
from stages.core.files import read_json, write_json
from stages.networks.backbones.backbones import Backbone

CACHE_BYTES = 2 << 30  # decoded crops of the demo take 30 MB; the paper's 256 px crops would take 60 GB
DECODED = 64  # pictures at a time
PASS_PIXELS = 1 << 20  # of one forward pass on a CPU: 64 pictures of 128 px; more take memory and no less time


@dataclass(frozen=True)
class Pixels:
    """How encoded pictures become a network's input; networks with equal ones can share the decoded pictures.

    A flipped tensor is the input of the mirrored picture, but for a shift of at most one pixel where the white around
    it or what is cut off is an odd number of pixels, and for the rounding of the resampling.

    Attributes:
        height, width: of the input in pixels.
        fit: see ``stages.contracts.images.resized``.
    """

    height: int
    width: int
    fit: Fit = "pad"

    @property
    def bytes_each(self) -> int:
        """What a decoded picture takes."""
        return 3 * self.height * self.width

    def decode(self, data: Sequence[bytes], effects: Sequence[Effect] | None = None) -> torch.Tensor:
        """uint8 tensor [n, 3, height, width] of encoded pictures, each changed by its effect before it is resized."""
        images = torch.empty(len(data), 3, self.height, self.width, dtype=torch.uint8)
        # PIL lets go of the interpreter's lock. In parts, so that the pictures do not lie in memory several times.
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            for start in range(0, len(data), DECODED):
                rows = slice(start, start + DECODED)
                decoded = np.stack(list(pool.map(self._one, data[rows], (effects or [None] * len(data))[rows])))
                images[rows] = torch.from_numpy(decoded).permute(0, 3, 1, 2)
        return images

    def _one(self, data: bytes, effect: Effect | None) -> np.ndarray:
        return np.asarray(resized(data, self.width, self.height, self.fit, effect))


def square(size: int, fit: Fit = "pad") -> Pixels:
    """Square input."""
    return Pixels(size, size, fit)


def passes(images: torch.Tensor) -> Iterator[slice]:
    """The rows of images [n, 3, height, width] that go through a network together, one part after the other.

    All at once on a GPU. On a CPU at most ``PASS_PIXELS``, as activations take gigabytes otherwise: hundreds of times
    what the pictures do.
    """
    count = len(images)
    if images.device.type == "cpu":
        count = max(1, PASS_PIXELS // (images.shape[2] * images.shape[3]))
    return (slice(start, start + count) for start in range(0, len(images), max(1, count)))


class Pictures:
    """The images of a table's ``bytes`` column, by row number."""

    def __init__(self, data: Sequence[bytes], size: int, fit: Fit = "pad") -> None:
        """Decode everything now when the result stays below ``CACHE_BYTES``."""
        self.data = data
        self.pixels = self.input(size, fit)
        fits = len(data) * self.pixels.bytes_each <= CACHE_BYTES
        self.decoded = self.pixels.decode(data) if fits and len(data) else None

    def __len__(self) -> int:
        return len(self.data)

    @staticmethod
    def input(size: int, fit: Fit) -> Pixels:
        """What the pictures are decoded to."""
        return square(size, fit)

    def batch(self, rows: Sequence[int] | torch.Tensor) -> torch.Tensor:
        """uint8 tensor [n, 3, height, width] of the given rows."""
        if self.decoded is not None:
            return self.decoded[torch.as_tensor(rows)]
        return self.pixels.decode([self.data[int(row)] for row in rows])

    def forget(self) -> None:
        """Let go of what was decoded, which is not needed again soon; ``batch`` then decodes what it is asked for."""
        self.decoded = None


def read_crops(dataset: Path, split: str) -> pd.DataFrame:
    """Crops of one split of the data set, sorted by crop_id, JPEG bytes in column ``bytes``."""
    table = read_shards(dataset)
    frame = table.filter(np.asarray(table["split"]) == split).to_pandas()
    return frame.sort_values("crop_id", ignore_index=True)


def mirrored(images: torch.Tensor) -> torch.Tensor:
    """The mirror images of pictures [n, 3, height, width]."""
    return images.flip(3)


def mean_vectors(plain: np.ndarray, mirrored: np.ndarray, metric: str) -> np.ndarray:
    """The mean of each picture's two vectors, float32 [n, d].

    Under ``cosine`` only directions count: both are brought to unit length before, so that the longer one does not
    decide, and so is the mean (a zero vector stays zero). Under ``euclidean`` it is the plain mean.
    """
    if metric != "cosine":
        return ((plain.astype(np.float64) + mirrored) / 2).astype(np.float32)
    return _unit(_unit(plain) + _unit(mirrored)).astype(np.float32)


def _unit(vectors: np.ndarray) -> np.ndarray:
    vectors = vectors.astype(np.float64)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(norms > 0, norms, 1)


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
    return torch.cat([network(images[chunk]) for chunk in passes(images)])


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
    vectors = [
        in_passes(network, pictures.batch(rows[start : start + batch]).to(device())).float().cpu().numpy()
        for start in range(0, len(rows), batch)
    ]
    network.train(was_training)
    return np.concatenate(vectors) if vectors else np.zeros((0, 1), np.float32)


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
