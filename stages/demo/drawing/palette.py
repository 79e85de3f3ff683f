"""The colors of the demo: an RGB value for each color name, skin and hair tones, shade variation; walls and rooms.

All arithmetic is on integers, so that a color is the same on every machine.
"""

from __future__ import annotations

from random import Random

import numpy as np
from PIL import Image

RGB = tuple[int, int, int]

NAMED_COLORS: dict[str, RGB] = {
    "Black": (34, 34, 38),
    "White": (244, 244, 244),
    "Blue": (42, 92, 190),
    "Navy Blue": (28, 38, 88),
    "Teal": (14, 120, 130),
    "Turquoise Blue": (48, 190, 205),
    "Beige": (208, 182, 142),
    "Brown": (112, 68, 38),
    "Mushroom Brown": (150, 124, 104),
    "Tan": (188, 130, 78),
    "Taupe": (134, 116, 100),
    "Coffee Brown": (76, 50, 36),
    "Green": (40, 136, 62),
    "Fluorescent Green": (124, 250, 52),
    "Lime Green": (148, 208, 44),
    "Olive": (98, 106, 48),
    "Sea Green": (52, 156, 118),
    "Charcoal": (66, 68, 74),
    "Grey": (136, 138, 142),
    "Grey Melange": (168, 170, 174),
    "Steel": (112, 122, 134),
    "Metallic": (152, 158, 164),
    "Silver": (192, 196, 202),
    "Cream": (248, 236, 202),
    "Nude": (234, 202, 180),
    "Off White": (240, 234, 222),
    "Skin": (238, 208, 182),
    "Multi": (206, 84, 96),
    "Orange": (240, 124, 28),
    "Rust": (180, 76, 32),
    "Magenta": (206, 28, 128),
    "Peach": (252, 178, 144),
    "Pink": (240, 128, 172),
    "Rose": (230, 92, 126),
    "Lavender": (184, 160, 224),
    "Mauve": (168, 122, 172),
    "Purple": (112, 46, 142),
    "Burgundy": (104, 16, 40),
    "Maroon": (126, 20, 32),
    "Red": (208, 28, 36),
    "Gold": (206, 164, 56),
    "Khaki": (182, 166, 104),
    "Mustard": (214, 166, 30),
    "Yellow": (250, 218, 50),
    "Bronze": (150, 106, 54),
    "Copper": (178, 104, 62),
}

# Approximate shares of upstream's rows (docs/datasets.md), flattened so that rare names occur in a small demo.
NAME_WEIGHTS: dict[str, int] = {
    "Black": 14, "White": 11, "Blue": 11, "Navy Blue": 6, "Teal": 2, "Turquoise Blue": 2,
    "Brown": 7, "Beige": 4, "Tan": 2, "Mushroom Brown": 1, "Taupe": 1, "Grey": 8, "Charcoal": 2, "Grey Melange": 2,
    "Steel": 1, "Red": 9, "Maroon": 3, "Burgundy": 1, "Green": 8, "Olive": 3, "Sea Green": 1, "Lime Green": 1,
    "Pink": 8, "Peach": 2, "Magenta": 2, "Rose": 1, "Purple": 7, "Lavender": 2, "Mauve": 1, "Yellow": 6, "Mustard": 2,
    "Gold": 1, "Khaki": 2, "Orange": 6, "Rust": 2, "Off White": 3, "Cream": 4, "Nude": 1, "Skin": 2, "Multi": 5,
}  # fmt: skip

BRIGHT: tuple[RGB, ...] = (
    (208, 28, 36), (240, 124, 28), (250, 218, 50), (40, 136, 62), (42, 92, 190),
    (112, 46, 142), (240, 128, 172), (48, 190, 205),
)  # fmt: skip
NEUTRALS: tuple[RGB, ...] = ((244, 244, 244), (34, 34, 38), (248, 236, 202), (28, 38, 88), (136, 138, 142))

SKINS: tuple[RGB, ...] = ((250, 218, 194), (236, 190, 156), (208, 154, 116), (160, 108, 76), (104, 68, 48))
HAIRS: tuple[RGB, ...] = ((32, 26, 24), (70, 44, 28), (126, 82, 44), (206, 168, 96), (146, 62, 32), (150, 150, 152))
GOLD: RGB = (218, 176, 72)


def clamp(value: int) -> int:
    """The value clamped to 0..255."""
    return 0 if value < 0 else 255 if value > 255 else value


def scaled(color: RGB, percent: int) -> RGB:
    """A darker (percent < 100) or lighter shade; lighter moves toward white, so that black changes as well."""
    if percent <= 100:
        return tuple(c * percent // 100 for c in color)  # type: ignore[return-value]
    return tuple(clamp(c + (255 - c) * (percent - 100) // 100) for c in color)  # type: ignore[return-value]


def luminance(color: RGB) -> int:
    """Perceived brightness, 0..255 (ITU-R BT.601 weights in thousandths)."""
    return (299 * color[0] + 587 * color[1] + 114 * color[2]) // 1000


def distance(first: RGB, second: RGB) -> int:
    """Squared Euclidean distance of two colors."""
    return sum((left - right) ** 2 for left, right in zip(first, second, strict=True))


def shade_of(rng: Random, name: str) -> RGB:
    """One item's shade of a named color: the name's RGB with a little variation in brightness and hue."""
    percent = rng.randint(93, 107)
    base = scaled(NAMED_COLORS[name], percent)
    return tuple(clamp(c + rng.randint(-6, 6)) for c in base)  # type: ignore[return-value]


def contrasting(rng: Random, color: RGB) -> RGB:
    """A second color that contrasts with the first: more often neutral than bright, as in real prints."""
    pool = [c for c in NEUTRALS * 2 + BRIGHT if abs(luminance(c) - luminance(color)) > 60]
    return rng.choice(pool or list(NEUTRALS))


def pick_name(rng: Random) -> str:
    """A color name, drawn with the demo's weights."""
    names = list(NAME_WEIGHTS)
    return rng.choices(names, weights=list(NAME_WEIGHTS.values()))[0]


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
    """A room or a street: wall and floor, with a few plain objects."""
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
