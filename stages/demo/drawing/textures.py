"""How cloth looks: a pattern tile in garment units, times a fabric grain, folds and light, all in integers."""

from __future__ import annotations

from functools import lru_cache
from random import Random

import numpy as np
from PIL import Image, ImageDraw

from stages.demo.drawing.garments import Garment
from stages.demo.drawing.palette import RGB

BLOCK = 2048  # height of the colour-block tile in units: taller than any garment, so that it never repeats


@lru_cache(maxsize=64)
def pattern_tile(pattern: str, colours: tuple[RGB, ...], seed: int) -> np.ndarray:
    """The repeating pattern as uint8 [height, width, 3], one texel per body unit."""
    rng = Random(seed)
    if pattern == "striped":
        return _stripes(rng, colours)
    if pattern == "lattice":
        return _lattice(rng, colours)
    if pattern == "floral":
        return _floral(rng, colours)
    if pattern == "color block":
        return _blocks(rng, colours)
    return np.full((1, 1, 3), colours[0], np.uint8)


def _stripes(rng: Random, colours: tuple[RGB, ...]) -> np.ndarray:
    period = rng.choice((32, 40, 48, 60))
    share = rng.randint(32, 44)
    order = colours if len(colours) == 4 else colours[:2]
    line = np.empty((period * len(order) // 2, 3), np.uint8)
    if len(order) == 4:
        for index, colour in enumerate(order):
            line[index * period // 2 : (index + 1) * period // 2] = colour
    else:
        line[:] = order[0]
        line[: period * share // 100] = order[1]
    vertical = rng.random() < 0.35
    return line[None, :, :] if vertical else line[:, None, :]


def _lattice(rng: Random, colours: tuple[RGB, ...]) -> np.ndarray:
    period = rng.choice((44, 56, 68))
    wide = period * rng.randint(30, 40) // 100
    tile = np.empty((period, period, 3), np.int64)
    tile[:] = colours[0]
    second = np.array(colours[1], np.int64)
    tile[:wide] = (tile[:wide] + second) // 2  # crossing threads mix, as in woven checks
    tile[:, :wide] = (tile[:, :wide] + second) // 2
    middle = (period + wide) // 2
    tile[middle : middle + 5] = colours[2]
    tile[:, middle : middle + 5] = colours[2]
    return tile.astype(np.uint8)


def _floral(rng: Random, colours: tuple[RGB, ...]) -> np.ndarray:
    size = 192
    image = Image.new("RGB", (size, size), colours[0])
    draw = ImageDraw.Draw(image)
    petals = ((0, -10), (10, -3), (6, 8), (-6, 8), (-10, -3))
    cells = [(x, y) for y in range(3) for x in range(3)]
    for index, (cx, cy) in enumerate(cells):
        x = cx * 64 + 32 + rng.randint(-14, 14)
        y = cy * 64 + 32 + rng.randint(-14, 14)
        radius = rng.randint(7, 10)
        petal = colours[1 + index % (len(colours) - 1)]
        leaf = (60, 130, 70) if colours[0][1] < 150 else (38, 92, 48)
        for dx, dy in ((-size, 0), (0, 0), (size, 0), (0, -size), (0, size)):
            px, py = x + dx, y + dy
            draw.ellipse((px + 10, py + 10, px + 24, py + 18), fill=leaf)
            for ox, oy in petals:
                draw.ellipse((px + ox - radius, py + oy - radius, px + ox + radius, py + oy + radius), fill=petal)
            draw.ellipse((px - 5, py - 5, px + 5, py + 5), fill=(246, 206, 70))
    return np.asarray(image)


def _blocks(rng: Random, colours: tuple[RGB, ...]) -> np.ndarray:
    tile = np.empty((BLOCK, 1, 3), np.uint8)
    middle = BLOCK // 2
    tile[:] = colours[0]
    edge = middle + rng.randint(10, 40)
    tile[edge:] = colours[1]  # below the middle, so that the named colour keeps the larger part
    if len(colours) == 4 or rng.random() < 0.4:
        tile[edge : edge + rng.randint(26, 44)] = colours[2]
    if len(colours) == 4:
        tile[: middle - rng.randint(60, 90)] = colours[3]
    return tile


@lru_cache(maxsize=16)
def fabric_grain(fabric: str) -> np.ndarray:
    """Brightness of the weave, int64 [128, 128], 256 is neutral; indexed by pixels of the supersampled canvas."""
    y, x = np.mgrid[0:128, 0:128]
    noise = np.random.default_rng([7, len(fabric)]).integers(-10, 11, (128, 128))
    if fabric == "denim":
        return 256 + np.where((x + y) % 8 < 4, 26, -26) + noise * 2
    if fabric == "knitted":
        zigzag = (y + np.abs(x % 8 - 4)) % 8
        return 256 + np.where(zigzag < 3, -44, 22) + np.where(x % 16 < 2, -30, 0)
    if fabric == "furry":
        coarse = np.random.default_rng(11).integers(-70, 71, (64, 64)).repeat(2, 0).repeat(2, 1)
        return 256 + coarse + noise * 3
    if fabric == "leather":
        return 256 + noise // 2
    if fabric == "chiffon":
        return 256 + np.where((x % 6 < 3) == (y % 6 < 3), 6, -6)
    return 256 + noise


@lru_cache(maxsize=256)
def _folds(fabric: str, seed: int) -> np.ndarray:
    """Brightness of the folds across a panel, int64 [64], added to the grain."""
    rng = Random(seed + 1)
    depth = {"chiffon": 34, "leather": 16, "denim": 12, "knitted": 8, "furry": 6}.get(fabric, 14)
    knots = [rng.randint(-depth, depth) for _ in range(9)]
    steps = np.arange(64)
    index, rest = steps // 8, steps % 8
    points = np.array(knots, np.int64)
    return (points[index] * (8 - rest) + points[index + 1] * rest) // 8


def fill(
    garment: Garment, box: tuple[int, int, int, int], anchor: tuple[int, int], scale: int, light: int
) -> np.ndarray:
    """The garment's cloth over a pixel box of the supersampled canvas.

    Args:
        garment: whose colours, pattern and fabric are drawn.
        box: x0, y0, x1, y1 in pixels, the panel's bounding box.
        anchor: the pixel on which the pattern is centred.
        scale: pixels per body unit, in 1/1024.
        light: where light comes from, -1 (left) to 1 (right) in hundredths.

    Returns:
        uint8 [y1 - y0, x1 - x0, 3].
    """
    x0, y0, x1, y1 = box
    xs, ys = np.arange(x0, x1), np.arange(y0, y1)
    tile = pattern_tile(garment.pattern, garment.colours, garment.seed)
    u = (xs - anchor[0]) * 1024 // scale
    v = (ys - anchor[1]) * 1024 // scale + (BLOCK // 2 if garment.pattern == "color block" else 0)
    cloth = tile[(v % tile.shape[0])[:, None], (u % tile.shape[1])[None, :]].astype(np.int32)
    width, height = max(x1 - x0, 1), max(y1 - y0, 1)
    across = (xs - x0) * 200 // width - 100 - light // 2  # -100..100 over the panel
    shade = 14 - across * across * 62 // 10000
    if garment.fabric == "leather":  # a narrow bright reflection beside darker flanks
        offset = np.abs(across + 30)
        shade = shade - 18 + np.maximum(0, 34 - offset) * 5
    slant = (ys - y0) * 10 // height
    columns = (xs - x0) * 63 // width
    folds = _folds(garment.fabric, garment.seed)[(columns[None, :] + slant[:, None]) % 64]
    step = 1 if scale < 900 else 2
    grain = fabric_grain(garment.fabric)[(ys // step % 128)[:, None], (xs // step % 128)[None, :]]
    factor = (grain + shade[None, :] + folds).astype(np.int32)
    lifted = (factor - 256) >> 3  # dark cloth shows its texture by reflection, not by multiplication
    return np.clip(((cloth * factor[:, :, None]) >> 8) + lifted[:, :, None], 0, 255).astype(np.uint8)
