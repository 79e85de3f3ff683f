"""Encoded pictures as tensors: one decoding for each kind of input, in memory where they fit, else on the fly."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from stages.contracts.images import Fit, resized
from stages.contracts.tables import read_shards

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

    def decode(self, data: Sequence[bytes]) -> torch.Tensor:
        """uint8 tensor [n, 3, height, width] of encoded pictures."""
        images = torch.empty(len(data), 3, self.height, self.width, dtype=torch.uint8)
        # PIL lets go of the interpreter's lock. In parts, so that the pictures do not lie in memory several times.
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            for start in range(0, len(data), DECODED):
                part = np.stack(list(pool.map(self._one, data[start : start + DECODED])))
                images[start : start + DECODED] = torch.from_numpy(part).permute(0, 3, 1, 2)
        return images

    def _one(self, data: bytes) -> np.ndarray:
        return np.asarray(resized(data, self.width, self.height, self.fit))


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
