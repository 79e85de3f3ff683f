"""Pictures as tensors, their features, and encoders as files: safetensors weights and a JSON card.

Pictures are decoded once for each kind of input if they fit into memory, otherwise for each batch.

Flip test-time augmentation: the vectors of a picture and its mirror image are averaged, so that it does not matter
which way a garment faces. The mirror image is the decoded picture, flipped (see ``Pixels`` for the exactness).
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
from stages.networks.backbones.folded import folded

CACHE_BYTES = 2 << 30  # decoded crops of the demo take 30 MB; the paper's 256 px crops would take 60 GB
DECODED = 64  # pictures at a time
PASS_PIXELS = 1 << 20  # of one forward pass on a CPU: 64 pictures of 128 px; more take more memory and no less time


@dataclass(frozen=True)
class Pixels:
    """How pictures are decoded for a network. Networks with equal ``Pixels`` can share the decoded pictures.

    A flipped tensor equals the decoded mirror image, except for rounding in the resampling and a shift of at most one
    pixel where an odd number of pixels is padded or cropped.

    Attributes:
        height, width: of the input in pixels.
        fit: see ``stages.contracts.images.resized``.
    """

    height: int
    width: int
    fit: Fit = "pad"

    @property
    def bytes_each(self) -> int:
        """Bytes of a decoded picture."""
        return 3 * self.height * self.width

    def decode(self, data: Sequence[bytes], effects: Sequence[Effect] | None = None) -> torch.Tensor:
        """uint8 tensor [n, 3, height, width] of encoded pictures, each changed by its effect before it is resized."""
        images = torch.empty(len(data), 3, self.height, self.width, dtype=torch.uint8)
        # PIL releases the interpreter lock. Decoding in chunks avoids a second copy of all pictures.
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            for start in range(0, len(data), DECODED):
                rows = slice(start, start + DECODED)
                decoded = np.stack(list(pool.map(self._decode, data[rows], (effects or [None] * len(data))[rows])))
                images[rows] = torch.from_numpy(decoded).permute(0, 3, 1, 2)
        return images

    def _decode(self, data: bytes, effect: Effect | None) -> np.ndarray:
        return np.asarray(resized(data, self.width, self.height, self.fit, effect))


def square(size: int, fit: Fit = "pad") -> Pixels:
    """Square input."""
    return Pixels(size, size, fit)


def passes(images: torch.Tensor) -> Iterator[slice]:
    """The rows of images [n, 3, height, width] in chunks, each for one forward pass.

    One chunk on a GPU; on a CPU chunks of at most ``PASS_PIXELS``, as activations take hundreds of times the memory of
    the pictures.
    """
    count = len(images)
    if images.device.type == "cpu":
        count = max(1, PASS_PIXELS // (images.shape[2] * images.shape[3]))
    return (slice(start, start + count) for start in range(0, len(images), max(1, count)))


class Pictures:
    """The images of a table's ``bytes`` column, by row number."""

    def __init__(self, data: Sequence[bytes], size: int, fit: Fit = "pad", keep: bool = True) -> None:
        """Say how the pictures are decoded.

        Args:
            keep: decode everything now, if the result stays below ``CACHE_BYTES``: for pictures that are used in many
                epochs. False: ``batch`` decodes what it needs, which saves memory.
        """
        self.data = data
        self.pixels = self.input(size, fit)
        fits = len(data) * self.pixels.bytes_each <= CACHE_BYTES
        self.decoded = self.pixels.decode(data) if keep and fits and len(data) else None

    def __len__(self) -> int:
        return len(self.data)

    @staticmethod
    def input(size: int, fit: Fit) -> Pixels:
        """How the pictures are decoded."""
        return square(size, fit)

    def batch(self, rows: Sequence[int] | torch.Tensor) -> torch.Tensor:
        """uint8 tensor [n, 3, height, width] of the given rows."""
        if self.decoded is not None:
            return self.decoded[torch.as_tensor(rows)]
        return self.pixels.decode([self.data[int(row)] for row in rows])


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

    With ``cosine`` both vectors are normalized first, so that the longer one does not dominate, and the mean is
    normalized as well (a zero vector stays zero). With ``euclidean`` it is the plain mean.
    """
    if metric != "cosine":
        return ((plain.astype(np.float64) + mirrored) / 2).astype(np.float32)
    return _unit(_unit(plain) + _unit(mirrored)).astype(np.float32)


def _unit(vectors: np.ndarray) -> np.ndarray:
    vectors = vectors.astype(np.float64)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(norms > 0, norms, 1)


class Encoder(Protocol):
    """The interface of encoders for embed, evaluation and the app.

    Attributes:
        metric: cosine or euclidean.
        pixels: how crops are decoded for ``embed``.
    """

    metric: str
    pixels: Pixels

    def embed(self, images: torch.Tensor, detected_classes: Sequence[str]) -> np.ndarray:
        """float32 [n, d] vectors of crops, uint8 [n, 3, height, width] on the CPU, and their detected classes."""
        ...


def in_passes(network: Callable[[torch.Tensor], torch.Tensor], images: torch.Tensor) -> torch.Tensor:
    """Output of a network for images [n, 3, height, width], in the passes of ``passes``."""
    return torch.cat([network(images[chunk]) for chunk in passes(images)])


def embed_pictures(network: nn.Module, pictures: Pictures, batch: int) -> np.ndarray:
    """float32 features [n, d] of all pictures, by a copy of the network that is faster; see ``embed_rows``."""
    was_training = network.training
    copy = folded(network.eval(), pictures.pixels.height, pictures.pixels.width)
    vectors = embed_rows(copy, pictures, range(len(pictures)), batch)
    network.train(was_training)
    return vectors


@torch.inference_mode()
def embed_rows(network: nn.Module, pictures: Pictures, rows: Sequence[int] | torch.Tensor, batch: int) -> np.ndarray:
    """float32 features [n, d] of some pictures, in evaluation mode; the network's mode is restored.

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
        StageError: they are missing or do not fit.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        network.load_state_dict(load_file(folder / "weights.safetensors"))
    except (OSError, RuntimeError, SafetensorError) as error:
        raise StageError(f"{folder}: weights do not fit encoder.json: {str(error)[:300]}. Run `dvc repro`.") from None


class BackboneEncoder:
    """A backbone's pooled features, compared by cosine; the detected class is not used."""

    def __init__(self, folder: Path) -> None:
        """Load what the SimCLR stage wrote."""
        card = read_json(folder / "encoder.json")
        self.metric: str = card["metric"]
        self.pixels = square(card["image_size"])
        network = Backbone(card["backbone"], "none")
        load_weights(network, folder)
        self.network = folded(network.to(device()).eval(), self.pixels.height, self.pixels.width)

    @torch.inference_mode()
    def embed(self, images: torch.Tensor, detected_classes: Sequence[str]) -> np.ndarray:
        """float32 [n, d] vectors of crops [n, 3, height, width]."""
        return in_passes(self.network, images.to(device())).float().cpu().numpy()
