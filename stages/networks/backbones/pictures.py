"""Crops as tensors: decoded once when they fit into memory, else on the fly."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from stages.contracts.images import Fit, open_rgb, square
from stages.contracts.tables import read_shards

CACHE_BYTES = 2 << 30  # decoded crops of the demo take 30 MB; the paper's 256 px crops would take 60 GB


def decode_batch(data: Sequence[bytes], size: int, fit: Fit = "pad") -> torch.Tensor:
    """uint8 tensor [n, 3, size, size] of JPEG bytes; see ``stages.contracts.images.square`` for ``fit``."""

    def decode(one: bytes) -> np.ndarray:
        return np.asarray(square(open_rgb(one), size, fit))

    with ThreadPoolExecutor(torch.get_num_threads()) as pool:  # PIL lets go of the interpreter's lock
        arrays = list(pool.map(decode, data))
    return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).contiguous()


class Pictures:
    """The images of a table's ``bytes`` column, by row number."""

    def __init__(self, data: Sequence[bytes], size: int, fit: Fit = "pad") -> None:
        """Decode everything now when the result stays below ``CACHE_BYTES``."""
        self.data = data
        self.size = size
        self.fit: Fit = fit
        fits = len(data) * self.bytes_each <= CACHE_BYTES
        self.decoded = self.decode(data) if fits and len(data) else None

    def __len__(self) -> int:
        return len(self.data)

    @property
    def bytes_each(self) -> int:
        """What a decoded picture takes."""
        return 3 * self.size * self.size

    def decode(self, data: Sequence[bytes]) -> torch.Tensor:
        """uint8 tensor [n, 3, height, width] of encoded pictures."""
        return decode_batch(data, self.size, self.fit)

    def batch(self, rows: Sequence[int] | torch.Tensor) -> torch.Tensor:
        """uint8 tensor [n, 3, height, width] of the given rows."""
        if self.decoded is not None:
            return self.decoded[torch.as_tensor(rows)]
        return self.decode([self.data[int(row)] for row in rows])


def read_crops(dataset: Path, split: str) -> pd.DataFrame:
    """Crops of one split of the data set, sorted by crop_id, JPEG bytes in column ``bytes``."""
    table = read_shards(dataset)
    frame = table.filter(np.asarray(table["split"]) == split).to_pandas()
    return frame.sort_values("crop_id", ignore_index=True)
