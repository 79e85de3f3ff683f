"""Rows as the network sees them: pictures, detected classes and class indices; and their order in an epoch."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from stages.attributes.losses import UNKNOWN
from stages.attributes.network import encode_detected
from stages.attributes.params import ClassifierParams, PhotoParams
from stages.encoders.pictures import Pictures


@dataclass
class Rows:
    """One split, ready for the network: ``targets`` maps each head to class indices [n]."""

    pictures: Pictures
    detected: torch.Tensor
    targets: dict[str, torch.Tensor]
    sources: np.ndarray


def prepare(
    frame: pd.DataFrame, classes: dict[str, list[str]], superclasses: list[str], params: ClassifierParams
) -> Rows:
    """Crops of the data set as rows; label names become positions in ``classes``, unknown becomes -1."""
    targets = {}
    for head, names in classes.items():
        index = {name: position for position, name in enumerate(names)}
        values = [UNKNOWN if pd.isna(value) else index.get(value, UNKNOWN) for value in frame[head]]
        targets[head] = torch.tensor(values, dtype=torch.long)
    detected = encode_detected(params.detector_class, list(frame["detected_class"].fillna("")), superclasses)
    pictures = Pictures(list(frame["bytes"]), params.image_size)
    return Rows(pictures, detected, targets, frame["source"].to_numpy())


def interleaved_batches(sources: np.ndarray, batch: int, generator: torch.Generator) -> list[torch.Tensor]:
    """Batches of row numbers, each from one source, the sources spread evenly over the epoch.

    Every row comes once; within a source the order is random. A source's last batch may be short, but never
    a single row, which BatchNorm could not take: that row joins the batch before it, or, when it is all its
    source has, the first batch of the epoch.
    """
    placed: list[tuple[float, int, torch.Tensor]] = []
    for number, source in enumerate(sorted(set(sources))):
        rows = torch.from_numpy(np.flatnonzero(sources == source))
        rows = rows[torch.randperm(len(rows), generator=generator)]
        parts = list(rows.split(batch))
        if len(parts) > 1 and len(parts[-1]) == 1:
            parts[-2:] = [torch.cat(parts[-2:])]
        placed += [((place + 0.5) / len(parts), number, part) for place, part in enumerate(parts)]
    ordered = [part for _, _, part in sorted(placed, key=lambda entry: entry[:2])]
    batches = [part for part in ordered if len(part) > 1]
    lone = [part for part in ordered if len(part) == 1]
    if lone and batches:
        batches[0] = torch.cat([batches[0], *lone])
    return batches


class PhotoAugment:
    """The published augmentation table, for each image on its own."""

    def __init__(self, params: PhotoParams) -> None:
        from torchvision.transforms import v2

        self.chain = v2.Compose(
            [
                v2.RandomHorizontalFlip(params.flip),
                v2.RandomApply([v2.GaussianBlur(5, params.blur_sigma)], params.blur),
                v2.RandomApply([v2.ColorJitter(brightness=params.factor)], params.brightness),
                v2.RandomApply([v2.ColorJitter(contrast=params.factor)], params.contrast),
                v2.RandomApply([v2.JPEG(params.jpeg_quality)], params.jpeg),
            ]
        )

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 [n, 3, side, side] to the same shape."""
        return torch.stack([self.chain(image) for image in images])
