"""The attention network as an encoder: vectors of whole pictures, of their regions, and recommendations by region.

Pictures are upright 3:2 tensors. Attention can be drawn for a person to see.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import nn

from stages.contracts.images import Fit, resized
from stages.core.determinism import device
from stages.networks.backbones.features import Pictures, Pixels, passes
from stages.networks.encoders.attention.network import AttentionNetwork, AttentionNetworkParams, Glimpses
from stages.networks.encoders.attention.recommend import diverse_list, region_distances
from stages.networks.encoders.metric_learning import NetworkEncoder

COLORS = ((230, 60, 40), (40, 120, 230), (30, 160, 70), (240, 160, 0), (150, 60, 190), (0, 160, 170))
SIDE = 192  # height of a drawn picture in pixels
GAP = 6


def width_of(height: int) -> int:
    """Width of a 3:2 picture: 256 for 384."""
    return height * 2 // 3


def upright(height: int) -> Pixels:
    """Decoding into 3:2, with the whole picture centered on white."""
    return Pixels(height, width_of(height))


class UprightPictures(Pictures):
    """``Pictures`` that are upright instead of square; ``size`` is their height."""

    @staticmethod
    def input(size: int, fit: Fit) -> Pixels:
        """How the pictures are decoded; they are never cropped."""
        return upright(size)


def region_box(size: Sequence[float], center: Sequence[float], width: int, height: int) -> tuple[int, int, int, int]:
    """Corners of a region in pixels, clipped at the picture's edges."""
    sides = []
    for share, place, length in zip(size, center, (width, height), strict=True):
        low, high = sorted(((place - share + 1) / 2 * length, (place + share + 1) / 2 * length))
        sides.append((round(min(max(low, 0), length - 1)), round(min(max(high, 0), length - 1))))
    return sides[0][0], sides[1][0], sides[0][1], sides[1][1]


def attention_sheet(data: Sequence[bytes], glimpses: Glimpses) -> Image.Image:
    """A row for each picture: the picture with the regions' boxes, then with the attention map of each glimpse.

    The map is the brightness: the place with the largest attention keeps its brightness, others are darker.
    """
    width, count = width_of(SIDE), glimpses.maps.shape[1]
    sheet = Image.new("RGB", ((width + GAP) * (1 + count) - GAP, (SIDE + GAP) * len(data) - GAP), "white")
    for row, image_bytes in enumerate(data):
        picture, top = resized(image_bytes, width, SIDE), row * (SIDE + GAP)
        boxed = picture.copy()
        pen = ImageDraw.Draw(boxed)
        light = F.interpolate(glimpses.maps[row : row + 1], size=(SIDE, width), mode="bilinear", align_corners=False)[0]
        for at in range(count):
            color = COLORS[at % len(COLORS)]
            pen.rectangle(region_box(glimpses.size[row, at].tolist(), glimpses.center[row, at].tolist(), width, SIDE),
                          outline=color, width=2)  # fmt: skip
            share = (light[at] / light[at].max().clamp(min=1e-12)).cpu().numpy()[:, :, None]
            shaded = np.asarray(picture) * (0.15 + 0.85 * share)
            lit = Image.fromarray(shaded.round().astype(np.uint8))
            ImageDraw.Draw(lit).rectangle((0, 0, width - 1, SIDE - 1), outline=color, width=2)
            sheet.paste(lit, ((at + 1) * (width + GAP), top))
        sheet.paste(boxed, (0, top))
    return sheet


def recommendation_sheet(data: Sequence[bytes], recommended: Sequence[Sequence[tuple[bytes, int]]]) -> Image.Image:
    """A row for each picture: the picture, then its recommendations, framed in the color of the region that found each.

    Args:
        recommended: for each picture, encoded pictures with the number of the region that found them.
    """
    width = width_of(SIDE)
    columns = 1 + max(len(row) for row in recommended)
    sheet = Image.new("RGB", ((width + GAP) * columns - GAP, (SIDE + GAP) * len(data) - GAP), "white")
    for at, (query, row) in enumerate(zip(data, recommended, strict=True)):
        sheet.paste(resized(query, width, SIDE), (0, at * (SIDE + GAP)))
        for place, (image_bytes, region) in enumerate(row, start=1):
            picture = resized(image_bytes, width, SIDE)
            color = COLORS[region % len(COLORS)]
            ImageDraw.Draw(picture).rectangle((0, 0, width - 1, SIDE - 1), outline=color, width=4)
            sheet.paste(picture, (place * (width + GAP), at * (SIDE + GAP)))
    return sheet


def save_sheet(path: Path, sheet: Image.Image) -> Path:
    """Write it as JPEG."""
    sheet.save(path, quality=90)
    return path


class AttentionEncoder(NetworkEncoder):
    """System B; vectors are compared by Euclidean distance."""

    def build(self, card: dict[str, Any]) -> nn.Module:
        self.labels: list[str] = card["labels"]
        params = AttentionNetworkParams.model_validate(card["network"] | {"weights": "none"})  # they come from the file
        return AttentionNetwork(params, len(self.labels))

    def input(self, image_size: int) -> Pixels:
        """Decoding into 3:2, ``image_size`` high."""
        return upright(image_size)

    @torch.inference_mode()
    def embed_regions(self, images: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        """The vectors of ``embed`` [n, d] and float32 [n, K, d'], from one pass over pictures [n, 3, height, width].

        The second is a vector of unit length for each attended region.
        """
        batches = self._glimpses(images)
        vectors = torch.cat([self.network.whole(glimpses) for glimpses in batches])
        regions = F.normalize(torch.cat([glimpses.regions for glimpses in batches]), dim=2)
        return vectors.float().cpu().numpy(), regions.float().cpu().numpy()

    @torch.inference_mode()
    def probabilities(self, images: torch.Tensor) -> np.ndarray:
        """float32 [n, labels]: softmax over the labels; each row sums to 1."""
        return torch.cat([glimpses.scores for glimpses in self._glimpses(images)]).softmax(1).float().cpu().numpy()

    def recommend(
        self, query: torch.Tensor, gallery: torch.Tensor, ids: list[str], count: int
    ) -> list[tuple[str, int]]:
        """Diverse recommendations for a picture [3, height, width]: (id, number of the region that found it)."""
        of_query, of_gallery = (self.embed_regions(images)[1] for images in (query[None], gallery))
        return diverse_list(region_distances(of_query[0], of_gallery), ids, count)

    def _glimpses(self, images: torch.Tensor) -> list[Glimpses]:
        images = images.to(device())
        return [self.network.glimpses_in(images[chunk]) for chunk in passes(images)]
