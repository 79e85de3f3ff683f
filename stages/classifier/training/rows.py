"""Rows as the network sees them: pictures, detected classes and class indices; and their order in an epoch."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import torch

from stages.classifier.training.losses import UNKNOWN
from stages.core.lean import import_timm
from stages.learning.augment import random_view
from stages.networks.backbones.pictures import Pictures
from stages.networks.classifier.network import encode_detected
from stages.networks.classifier.params import AugmentParams, ClassifierParams


@dataclass
class Rows:
    """One split, ready for the network.

    Attributes:
        targets: head -> class indices [n], ``UNKNOWN`` where there is no label.
        features: [views, n, width] of a frozen backbone, where they were computed beforehand.
    """

    pictures: Pictures
    detected: torch.Tensor
    targets: dict[str, torch.Tensor]
    sources: np.ndarray
    features: torch.Tensor | None = None


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
    pictures = Pictures(list(frame["bytes"]), params.image_size, params.fit)
    return Rows(pictures, detected, targets, frame["source"].to_numpy())


def spread(parts: list[list[torch.Tensor]]) -> list[torch.Tensor]:
    """The entries of several lists as one, each list spread evenly over the whole, its order kept."""
    placed = [
        ((place + 0.5) / len(part), number, entry)
        for number, part in enumerate(parts)
        for place, entry in enumerate(part)
    ]
    return [entry for _, _, entry in sorted(placed, key=lambda one: one[:2])]


def cut(rows: torch.Tensor, batch: int, least: int) -> list[torch.Tensor]:
    """Batches in order; a last batch of fewer than ``least`` rows joins the one before it."""
    parts = list(rows.split(batch))
    if len(parts) > 1 and len(parts[-1]) < least:
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts


def interleaved_batches(
    sources: np.ndarray, batch: int, within: Literal["batches", "rows"], generator: torch.Generator, least: int = 2
) -> list[torch.Tensor]:
    """Batches of row numbers in which the sources take turns; every row comes once, in random order.

    ``batches`` (published): each batch is from one source, and the sources' batches are spread evenly over the
    epoch. BatchNorm then sees another mixture in training than in evaluation. ``rows``: the sources' rows are
    spread evenly, so that every batch holds all sources in proportion.

    BatchNorm cannot take a single row: where fewer than ``least`` (two for each process) are left over they join the
    batch before them. ``batch`` itself is no smaller.
    """
    rows = [torch.from_numpy(np.flatnonzero(sources == source)) for source in sorted(set(sources))]
    rows = [part[torch.randperm(len(part), generator=generator)] for part in rows]
    if within == "rows":
        return cut(torch.stack(spread([list(part) for part in rows])), batch, least)
    batches = spread([cut(part, batch, least) for part in rows])
    lone = [part for part in batches if len(part) < least]  # all that its source has
    batches = [part for part in batches if len(part) >= least]
    if lone:
        batches[-1:] = [torch.cat([*batches[-1:], *lone])]
    return batches


class Augment:
    """The published photometric table for each image on its own, then geometry for the whole batch."""

    def __init__(self, params: AugmentParams) -> None:
        import_timm()  # and torchvision with it
        from torchvision.transforms import v2

        self.geometry = params.geometry
        self.chain = v2.Compose(
            [
                v2.RandomApply([v2.GaussianBlur(5, params.blur_sigma)], params.blur),
                v2.RandomApply([v2.ColorJitter(brightness=params.factor)], params.brightness),
                v2.RandomApply([v2.ColorJitter(contrast=params.factor)], params.contrast),
                v2.RandomApply([v2.JPEG(params.jpeg_quality)], params.jpeg),
            ]
        )

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 [n, 3, side, side] to float32 of the same shape, values in 0..255."""
        return random_view(torch.stack([self.chain(image) for image in images]), self.geometry)
