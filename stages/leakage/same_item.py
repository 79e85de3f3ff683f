"""The second pass: held-out garments that a training row may show again, in another photo.

Near duplicates are the same photo. Here the photo is another one and the garment may be the same: the cosine of two
vectors says how alike two garments look to a network that has learned neither. A pair above the threshold is a suspect
for a person to look at. Two shirts of one kind and color look alike as well, so no row is left out because of it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from pydantic import Field

from stages.contracts.images import Fit
from stages.core.determinism import device
from stages.core.params import Section
from stages.leakage.rows import Embed, Picture, Side, Sides
from stages.networks.backbones.backbones import Backbone, Pooling
from stages.networks.backbones.features import Pictures, embed_pictures

HELD_OUT, TRAINING = 8192, 2048  # rows of a product of matrices: 70 MB, and 110 MB of long vectors
TIE = 1e-6  # cosines closer than rounding are equal; the first row counts
BATCH = 64  # pictures of a forward pass


class LeakageParams(Section):
    """Section ``leakage``: the features that are compared, and from which cosine on a pair is a suspect.

    Attributes:
        backbone: timm's name; its ImageNet weights come from a package (stages/core/pretrained.py).
        cosine: of standardized features (``Vectors.read``); measured on the demo (docs/methods.md).
    """

    backbone: str
    pooling: Pooling
    image_size: int = Field(gt=0)
    fit: Fit
    cosine: float = Field(ge=-1, le=1)


def features(params: LeakageParams) -> Embed:
    """Encoded pictures -> vectors, by a network that was trained on ImageNet alone: it knows no item of any set."""
    network = Backbone(params.backbone, "packaged", params.pooling).to(device())
    return lambda data: embed_pictures(network, Pictures(data, params.image_size, params.fit, keep=False), BATCH)


def nearest(held_out: np.ndarray, training: np.ndarray, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each held-out vector the position in ``training`` of the most similar one, and their cosine.

    Of equally similar ones the first counts. Without training vectors the position is -1 and the cosine -1.

    Args:
        held_out, training: int [h] and [t], places in ``vectors``.
        vectors: float32 [n, d] of length 1 or 0, in memory or mapped; read in blocks.
    """
    positions, cosines = np.full(len(held_out), -1), np.full(len(held_out), -1, np.float32)
    for start in range(0, len(held_out), HELD_OUT):
        own = slice(start, start + HELD_OUT)
        ours = torch.from_numpy(vectors[held_out[own]]).to(device())
        for begin in range(0, len(training), TRAINING):
            theirs = torch.from_numpy(vectors[training[begin : begin + TRAINING]]).to(device())
            similar = (ours @ theirs.T).clamp(-1, 1)
            highest = similar.max(dim=1, keepdim=True).values
            first = (similar >= highest - TIE).int().argmax(dim=1)  # of equal values the first, by torch's word
            best, where = highest[:, 0].cpu().numpy(), first.cpu().numpy()
            better = (positions[own] < 0) | (best > cosines[own] + TIE)
            positions[own] = np.where(better, begin + where, positions[own])
            cosines[own] = np.where(better, best, cosines[own])
    return positions, cosines


@dataclass(frozen=True)
class Suspect:
    """A held-out row and the training row that looks most like it.

    Attributes:
        held_out_set, training_set: names of the sets.
        held_out, training: names of the rows.
        cosine: of their vectors, rounded.
    """

    held_out_set: str
    held_out: str
    training_set: str
    training: str
    cosine: float


def suspects_of(
    held_out: Side, training: Side, known: Collection[Picture], vectors: np.ndarray, least: float
) -> list[tuple[int, int, float]]:
    """Held-out row, its most similar training row, and their cosine, of pairs with a cosine of at least ``least``.

    Args:
        known: held-out pictures that are near duplicates of training pictures; their rows are left out.
        least: the threshold.
    """
    rows = [row for row, picture in enumerate(held_out.pictures) if picture not in known]
    places = np.array(held_out.places, np.int64)[rows]
    positions, cosines = nearest(places, np.array(training.places, np.int64), vectors)
    return [
        (row, int(position), float(cosine))
        for row, position, cosine in zip(rows, positions, cosines, strict=True)
        if position >= 0 and cosine >= least
    ]


def find(
    sides: Mapping[str, Sides],
    repeats: Mapping[str, Mapping[str, Collection[Picture]]],
    vectors: np.ndarray,
    least: float,
) -> list[Suspect]:
    """The suspects of all sets, the most similar first.

    Args:
        repeats: held-out set -> training set -> held-out pictures that nearly repeat a training picture.
        least: the threshold.
    """
    result = []
    for name, own in sides.items():
        for teacher, teaching in sides.items():
            held_out, training = own.held_out, teaching.training
            known = repeats.get(name, {}).get(teacher, ())
            for row, twin, cosine in suspects_of(held_out, training, known, vectors, least):
                names = held_out.names[row], training.names[twin]
                result.append(Suspect(name, names[0], teacher, names[1], round(cosine, 4)))
    return sorted(
        result, key=lambda suspect: (-suspect.cosine, suspect.held_out_set, suspect.held_out, suspect.training_set)
    )
