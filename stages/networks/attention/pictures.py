"""Upright pictures as tensors of 3:2, and attention drawn for a person to look at."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch.nn.functional as F
from PIL import Image, ImageDraw

from stages.contracts.images import Fit, resized
from stages.networks.attention.network import Glimpses
from stages.networks.backbones.pictures import Pictures, Pixels

COLORS = ((230, 60, 40), (40, 120, 230), (30, 160, 70), (240, 160, 0), (150, 60, 190), (0, 160, 170))
SIDE = 192  # height of a drawn picture in pixels
GAP = 6


def width_of(height: int) -> int:
    """Width of a 3:2 picture: 256 for 384."""
    return height * 2 // 3


def upright(height: int) -> Pixels:
    """Input of 3:2 that shows all of a picture, centred on white."""
    return Pixels(height, width_of(height))


class UprightPictures(Pictures):
    """What ``Pictures`` are in squares, upright; ``size`` is their height."""

    @staticmethod
    def input(size: int, fit: Fit) -> Pixels:
        """What the pictures are decoded to; they are never cut."""
        return upright(size)


def region_box(size: Sequence[float], centre: Sequence[float], width: int, height: int) -> tuple[int, int, int, int]:
    """Corners in pixels of a region, cut off at the picture's edges."""
    sides = []
    for share, place, length in zip(size, centre, (width, height), strict=True):
        low, high = sorted(((place - share + 1) / 2 * length, (place + share + 1) / 2 * length))
        sides.append((round(min(max(low, 0), length - 1)), round(min(max(high, 0), length - 1))))
    return sides[0][0], sides[1][0], sides[0][1], sides[1][1]


def attention_sheet(data: Sequence[bytes], seen: Glimpses) -> Image.Image:
    """A row for each picture: with the regions' boxes, then under each glimpse's attention map.

    A map is drawn as light: its strongest place is bright, the others are dimmed.
    """
    width, count = width_of(SIDE), seen.maps.shape[1]
    sheet = Image.new("RGB", ((width + GAP) * (1 + count) - GAP, (SIDE + GAP) * len(data) - GAP), "white")
    for row, one in enumerate(data):
        picture, top = resized(one, width, SIDE), row * (SIDE + GAP)
        boxed = picture.copy()
        pen = ImageDraw.Draw(boxed)
        light = F.interpolate(seen.maps[row : row + 1], size=(SIDE, width), mode="bilinear", align_corners=False)[0]
        for at in range(count):
            color = COLORS[at % len(COLORS)]
            pen.rectangle(region_box(seen.size[row, at].tolist(), seen.centre[row, at].tolist(), width, SIDE),
                          outline=color, width=2)  # fmt: skip
            share = (light[at] / light[at].max().clamp(min=1e-12)).cpu().numpy()[:, :, None]
            shaded = np.asarray(picture) * (0.15 + 0.85 * share)
            lit = Image.fromarray(shaded.round().astype(np.uint8))
            ImageDraw.Draw(lit).rectangle((0, 0, width - 1, SIDE - 1), outline=color, width=2)
            sheet.paste(lit, ((at + 1) * (width + GAP), top))
        sheet.paste(boxed, (0, top))
    return sheet


def recommendation_sheet(data: Sequence[bytes], found: Sequence[Sequence[tuple[bytes, int]]]) -> Image.Image:
    """A row for each picture: itself, then what was found for it, each framed in the colour of the region that did.

    Args:
        found: of each picture, encoded pictures with the number of a region.
    """
    width = width_of(SIDE)
    columns = 1 + max(len(row) for row in found)
    sheet = Image.new("RGB", ((width + GAP) * columns - GAP, (SIDE + GAP) * len(data) - GAP), "white")
    for at, (query, row) in enumerate(zip(data, found, strict=True)):
        sheet.paste(resized(query, width, SIDE), (0, at * (SIDE + GAP)))
        for place, (one, region) in enumerate(row, start=1):
            picture = resized(one, width, SIDE)
            color = COLORS[region % len(COLORS)]
            ImageDraw.Draw(picture).rectangle((0, 0, width - 1, SIDE - 1), outline=color, width=4)
            sheet.paste(picture, (place * (width + GAP), at * (SIDE + GAP)))
    return sheet


def save_sheet(path: Path, sheet: Image.Image) -> Path:
    """Write it as JPEG."""
    sheet.save(path, quality=90)
    return path
