"""Walls and rooms behind the photos."""

from __future__ import annotations

from random import Random

import numpy as np
from PIL import Image


def plain_background(rng: Random, size: tuple[int, int], white: bool = False) -> Image.Image:
    """A studio wall: almost one color, brighter in the middle."""
    tone = (
        (250, 250, 250)
        if white
        else rng.choice(((240, 240, 240), (228, 230, 234), (236, 230, 222), (220, 226, 228), (246, 244, 240)))
    )
    fall = 4 if white else rng.randint(8, 22)
    rows = np.abs(np.arange(size[1]) * 200 // size[1] - 90)
    levels = np.array(tone, np.int16)[None, :] - (rows * fall // 100)[:, None]
    return Image.fromarray(levels[:, None, :].astype(np.uint8)).resize(size, Image.Resampling.NEAREST)


def scene_background(rng: Random, size: tuple[int, int]) -> Image.Image:
    """A room or a street: wall and floor, with a few plain things in it."""
    wall = rng.choice(
        (
            (196, 206, 214),
            (214, 200, 184),
            (176, 190, 170),
            (150, 160, 172),
            (224, 216, 206),
            (188, 170, 160),
            (204, 212, 196),
        )
    )
    floor = rng.choice(((150, 126, 102), (128, 130, 134), (186, 172, 150), (110, 118, 96), (168, 160, 158)))
    pixels = np.empty((size[1], size[0], 3), np.int16)
    horizon = size[1] * rng.randint(64, 88) // 100
    pixels[:horizon] = np.array(wall) - (np.arange(horizon) * 18 // max(1, horizon))[:, None, None]
    pixels[horizon:] = floor
    for _ in range(rng.randint(1, 4)):
        x, width = rng.randint(-20, size[0]), rng.randint(12, size[0] // 2)
        y = rng.randint(0, horizon // 2)
        bottom = horizon + rng.randint(-horizon // 4, 6)
        tint = np.array([rng.randint(-34, 30) for _ in range(3)])
        pixels[y:bottom, max(0, x) : max(0, x + width)] += tint
    if rng.random() < 0.3:
        pixels[: horizon - 4 : 16] -= 20  # bricks or boards
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
