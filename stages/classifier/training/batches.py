"""Rows as network input (pictures, detected classes, class indices): batches, losses and predictions.

A row without a label of a head does not count in the loss of that head.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Literal

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from PIL import Image, ImageEnhance, ImageFilter

from stages.learning.augment import Draws, random_view
from stages.networks.backbones.features import Pictures, mirrored, passes
from stages.networks.classifier import AugmentParams, ClassifierParams, MultiHead, encode_detected

UNKNOWN = -1
UNKNOWN_CLASS = "unknown"  # the class of missing labels where they are not masked


def as_class(targets: torch.Tensor, classes: int) -> torch.Tensor:
    """Targets [n] in which a missing label is the last of ``classes``, for a loss without a mask."""
    return torch.where(targets == UNKNOWN, classes - 1, targets)


def class_weights(targets: torch.Tensor, classes: int) -> torch.Tensor:
    """Weight [classes] inverse to the square root of each class's frequency, mean 1 over labeled rows.

    With the inverse frequency itself, a class of three rows would dominate a head.
    """
    counts = torch.bincount(targets[targets != UNKNOWN], minlength=classes).clamp(min=1).float()
    weights = counts.rsqrt()
    return weights * counts.sum() / (weights * counts).sum()


def masked_sums(
    logits: torch.Tensor,
    targets: torch.Tensor,
    weights: torch.Tensor | None,
    focal_share: float,
    gamma: float,
    smoothing: float = 0.0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weighted cross entropy and focal loss (Lin et al. 2017), mixed, over labeled rows.

    Args:
        logits: [n, classes].
        targets: [n] class indices, ``UNKNOWN`` where there is no label.
        weights: [classes] or None.
        focal_share: 0 = cross entropy alone, 1 = focal loss alone.
        gamma: exponent of (1 - p) in the focal loss.
        smoothing: share of each target that is spread over all classes (Szegedy et al. 2016).

    Returns:
        the weighted sum over labeled rows, and the sum of their weights: 0 when no row has a label. The loss is the
        quotient; processes that share a batch divide by the sum of the weights over all of them.
    """
    known = targets != UNKNOWN
    logits, targets = logits[known], targets[known]
    cross = F.cross_entropy(logits, targets, reduction="none", label_smoothing=smoothing)
    certainty = torch.exp(-F.cross_entropy(logits, targets, reduction="none")) if smoothing else torch.exp(-cross)
    focal = (1 - certainty) ** gamma * cross
    loss = (1 - focal_share) * cross + focal_share * focal
    weight = torch.ones_like(loss) if weights is None else weights.to(loss.device)[targets]
    return (loss * weight).sum(), weight.sum()


@dataclass
class Samples:
    """The rows of one split as network input.

    Attributes:
        targets: head -> class indices [n], ``UNKNOWN`` where there is no label.
        features: [views, n, width] of a frozen backbone if they are cached, else None.
    """

    pictures: Pictures
    detected: torch.Tensor
    targets: dict[str, torch.Tensor]
    sources: np.ndarray
    features: torch.Tensor | None = None


def prepare(
    frame: pd.DataFrame, classes: dict[str, list[str]], superclasses: list[str], params: ClassifierParams
) -> Samples:
    """Rows of crops of the data set; labels become positions in ``classes``, unknown ones -1."""
    targets = {}
    for head, names in classes.items():
        index = {name: position for position, name in enumerate(names)}
        values = [UNKNOWN if pd.isna(value) else index.get(value, UNKNOWN) for value in frame[head]]
        targets[head] = torch.tensor(values, dtype=torch.long)
    detected = encode_detected(params.detector_class, list(frame["detected_class"].fillna("")), superclasses)
    # Cached features replace the pictures after a few views.
    pictures = Pictures(list(frame["bytes"]), params.image_size, params.fit, keep=not params.cached_views)
    return Samples(pictures, detected, targets, frame["source"].to_numpy())


def spread(lists: list[list[torch.Tensor]]) -> list[torch.Tensor]:
    """Merge several lists into one: the entries of each list are spread evenly and keep their order."""
    placed = [
        ((place + 0.5) / len(entries), number, entry)
        for number, entries in enumerate(lists)
        for place, entry in enumerate(entries)
    ]
    return [entry for _, _, entry in sorted(placed, key=lambda item: item[:2])]


def split_batches(rows: torch.Tensor, batch: int, least: int) -> list[torch.Tensor]:
    """Split rows into batches, in order; if the last one has fewer than ``least`` rows, it joins the previous one."""
    batches = list(rows.split(batch))
    if len(batches) > 1 and len(batches[-1]) < least:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches


def interleaved_batches(
    sources: np.ndarray, batch: int, within: Literal["batches", "rows"], generator: torch.Generator, least: int = 2
) -> list[torch.Tensor]:
    """Batches of row numbers in which the sources take turns; every row comes once, in random order.

    ``batches`` (published): each batch comes from one source, and the batches of the sources are spread evenly over the
    epoch, so that BatchNorm sees another mixture in training than in evaluation. ``rows``: the rows of the sources are
    spread evenly, so that every batch has all sources in proportion.

    BatchNorm cannot take a single row: a remainder of fewer than ``least`` rows (two for each process) joins the
    previous batch. ``batch`` is at least ``least``.
    """
    rows = [torch.from_numpy(np.flatnonzero(sources == source)) for source in sorted(set(sources))]
    rows = [of_source[torch.randperm(len(of_source), generator=generator)] for of_source in rows]
    if within == "rows":
        return split_batches(torch.stack(spread([list(of_source) for of_source in rows])), batch, least)
    batches = spread([split_batches(of_source, batch, least) for of_source in rows])
    lone = [of_source for of_source in batches if len(of_source) < least]  # a source may have no more rows
    batches = [of_source for of_source in batches if len(of_source) >= least]
    if lone:
        batches[-1:] = [torch.cat([*batches[-1:], *lone])]
    return batches


@dataclass(frozen=True)
class Effects:
    """The published changes of one picture, in the published order; None: no change."""

    blur: float | None
    brightness: float | None
    contrast: float | None
    jpeg: int | None

    def __call__(self, image: Image.Image) -> Image.Image:
        """The changed picture, RGB, of the same size.

        PIL's blur has no fixed kernel size. A convolution with five taps would blur by 1.2 pixels instead of 1.5.
        """
        if self.blur is not None:
            image = image.filter(ImageFilter.GaussianBlur(self.blur))
        if self.brightness is not None:
            image = ImageEnhance.Brightness(image).enhance(self.brightness)
        if self.contrast is not None:
            image = ImageEnhance.Contrast(image).enhance(self.contrast)
        if self.jpeg is not None:
            stream = BytesIO()
            image.save(stream, "JPEG", quality=self.jpeg)
            image = Image.open(stream)
        return image


class Augment:
    """Augmented views: the published photometric changes of each picture, then the geometry of the batch."""

    def __init__(self, params: AugmentParams) -> None:
        self.params = params

    def draw(self, count: int) -> list[Effects]:
        """The effects of so many pictures."""
        params, draws = self.params, Draws(count)
        low, high = params.jpeg_quality
        values = {
            "blur": draws.between(*params.blur_sigma),
            "brightness": draws.between(*params.factor),
            "contrast": draws.between(*params.factor),
            "jpeg": torch.randint(low, high + 1, (count,)),
        }
        chosen = {name: (draws.unit() < getattr(params, name)).tolist() for name in values}
        drawn = {name: column.tolist() for name, column in values.items()}
        return [
            Effects(**{name: drawn[name][at] if chosen[name][at] else None for name in values}) for at in range(count)
        ]

    def __call__(self, pictures: Pictures, rows: Sequence[int]) -> torch.Tensor:
        """float32 views [n, 3, side, side] of pictures by their row numbers, values in 0..255."""
        effects = self.draw(len(rows))
        if self.params.effects_on == "crop":
            images = pictures.pixels.decode([pictures.data[row] for row in rows], effects)
        else:
            images = pictures.batch(rows)
            for at, effect in enumerate(effects):
                if effect != NOTHING:
                    image = effect(Image.fromarray(images[at].permute(1, 2, 0).contiguous().numpy()))
                    images[at] = torch.from_numpy(np.array(image)).permute(2, 0, 1)
        return random_view(images, self.params.geometry)


NOTHING = Effects(None, None, None, None)


@torch.inference_mode()
def predict(network: MultiHead, rows: Samples, batch: int, flip: bool = False) -> dict[str, np.ndarray]:
    """Head -> probabilities [n, classes] of all rows, in evaluation mode.

    Args:
        batch: rows of a forward pass.
        flip: predict on the mirror images.
    """
    network.eval()
    where = next(network.parameters()).device
    probabilities: dict[str, list[np.ndarray]] = {head: [] for head in network.classes}
    for start in range(0, len(rows.pictures), batch):
        index = slice(start, min(start + batch, len(rows.pictures)))
        detected = rows.detected[index].to(where)
        if rows.features is None or flip:
            images = rows.pictures.batch(range(index.start, index.stop)).to(where)
            images = mirrored(images) if flip else images
            logits = [network(images[chunk], detected[chunk]) for chunk in passes(images)]
        else:
            logits = [network.logits_of(rows.features[0, index].to(where), detected)]
        for head, values in ((head, chunk_logits[head]) for chunk_logits in logits for head in network.classes):
            probabilities[head].append(values.softmax(dim=1).cpu().numpy())
    return {head: np.concatenate(values) for head, values in probabilities.items()}


def accuracies(probabilities: dict[str, np.ndarray], rows: Samples) -> dict[str, float]:
    """Head -> accuracy over the rows with its label; heads without such rows are left out."""
    result = {}
    for head, values in probabilities.items():
        truth = rows.targets[head].numpy()
        known = truth != UNKNOWN
        if known.any():
            result[head] = float((values[known].argmax(axis=1) == truth[known]).mean())
    return result
