"""Grounds for composed pictures: plain ones, strips of photos enlarged, and textures tiled from such strips."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from PIL import Image, ImageOps
from scipy import ndimage

Size = tuple[int, int]  # width and height in pixels
GroundKind = Literal["plain", "strip", "texture"]
GROUND_KINDS: tuple[GroundKind, ...] = ("plain", "strip", "texture")
TILES = 3  # tiles of a texture along the picture's shorter side
NOISE = 2.0  # standard deviation of a camera's noise on a plain ground, in gray levels
SLOPE = 12.0  # gray levels by which light falls off over a plain ground, at most


def plain(size: Size, rng: np.random.Generator) -> Image.Image:
    """A wall or a table: a color of low saturation, light that falls off to one side, and noise."""
    width, height = size
    level, tint = rng.uniform(95, 245), rng.uniform(-14, 14, 3)
    across, down = rng.uniform(-SLOPE, SLOPE, 2)
    light = across * np.linspace(-1, 1, width)[None, :] + down * np.linspace(-1, 1, height)[:, None]
    noise = ndimage.gaussian_filter(rng.normal(0, 2 * NOISE, (height, width)), 0.8)
    pixels = level + tint[None, None, :] + (light + noise)[:, :, None]
    return Image.fromarray(np.clip(np.round(pixels), 0, 255).astype(np.uint8))


def enlarged(strip: Image.Image, size: Size) -> Image.Image:
    """A strip of a photo that covers the picture; it is turned if that needs less enlargement."""
    if (strip.width > strip.height) != (size[0] > size[1]):
        strip = strip.transpose(Image.Transpose.ROTATE_90)
    return ImageOps.fit(strip, size, Image.Resampling.BICUBIC)


def tiled(strip: Image.Image, size: Size) -> Image.Image:
    """A texture: the strip's middle square, mirrored at every edge so that tiles meet without a seam."""
    tile_side = -(-min(size) // TILES)
    tile = ImageOps.fit(strip, (tile_side, tile_side), Image.Resampling.BICUBIC)
    double = Image.new("RGB", (2 * tile_side, 2 * tile_side))
    upper = [tile, ImageOps.mirror(tile)]
    for at, piece in enumerate([*upper, *map(ImageOps.flip, upper)]):
        double.paste(piece, (at % 2 * tile_side, at // 2 * tile_side))
    result = Image.new("RGB", size)
    for left in range(0, size[0], double.width):
        for top in range(0, size[1], double.height):
            result.paste(double, (left, top))
    return result


def ground(kind: GroundKind, size: Size, strips: Sequence[Image.Image], rng: np.random.Generator) -> Image.Image:
    """A ground of a kind; a plain one where there are no strips."""
    if kind == "plain" or not strips:
        return plain(size, rng)
    strip = strips[int(rng.integers(len(strips)))]
    return enlarged(strip, size) if kind == "strip" else tiled(strip, size)
