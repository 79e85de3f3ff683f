"""The look of cloth: a pattern tile in garment units times fabric grain, folds and light, in integers.

A tile has few colors and brightness few levels, so pixels are looked up in a table of both.
"""

from __future__ import annotations

from functools import lru_cache
from random import Random

import numpy as np
from PIL import Image, ImageDraw

from stages.demo.drawing.garments import Garment
from stages.demo.drawing.palette import RGB

GRAIN = 256  # period of the weave in pixels of the canvas
SLANT = 10  # bands of the height in which folds move
BLOCK = 2048  # height of the color-block tile in units, taller than any garment


LEVELS = 640  # of brightness; 256 is neutral, and grain, shade and folds together stay between 40 and 600


Tile = tuple[np.ndarray, list[RGB]]  # uint8 [height, width], places in the list of colors


@lru_cache(maxsize=64)
def pattern_tile(pattern: str, colors: tuple[RGB, ...], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The repeating pattern, one texel per body unit.

    Returns:
        int32 [height, width]: position of the texel's color in the table; uint32 [colors * LEVELS]: the table of each
        color at each level of brightness, with bytes R, G, B and one byte of padding.
    """
    tile, palette = _drawn_tile(pattern, colors, Random(seed))
    level = np.arange(LEVELS)[None, :, None]
    lifted = (level - 256) >> 3  # dark cloth shows its texture by reflection, not by multiplication
    table = np.zeros((len(palette), LEVELS, 4), np.uint8)
    table[:, :, :3] = np.clip((np.array(palette)[:, None, :] * level >> 8) + lifted, 0, 255)
    return tile.astype(np.int32) * LEVELS, table.view(np.uint32).reshape(-1)


def _drawn_tile(pattern: str, colors: tuple[RGB, ...], rng: Random) -> Tile:
    if pattern == "striped":
        return _stripes(rng, colors)
    if pattern == "lattice":
        return _lattice(rng, colors)
    if pattern == "floral":
        return _floral(rng, colors)
    if pattern == "color block":
        return _blocks(rng, colors)
    return np.zeros((1, 1), np.uint8), [colors[0]]


def _stripes(rng: Random, colors: tuple[RGB, ...]) -> Tile:
    period = rng.choice((32, 40, 48, 60))
    share = rng.randint(32, 44)
    if len(colors) == 4:
        line = np.repeat(np.arange(4, dtype=np.uint8), period // 2)
    else:
        line = np.zeros(period, np.uint8)
        line[: period * share // 100] = 1
    vertical = rng.random() < 0.35
    return (line[None, :] if vertical else line[:, None]), list(colors)


def _lattice(rng: Random, colors: tuple[RGB, ...]) -> Tile:
    period = rng.choice((44, 56, 68))
    wide = period * rng.randint(30, 40) // 100
    thread = np.zeros(period, np.uint8)
    thread[:wide] = 1
    tile = thread[:, None] + thread[None, :]  # crossing threads mix, as in woven checks
    middle = (period + wide) // 2
    tile[middle : middle + 5] = 3
    tile[:, middle : middle + 5] = 3
    mixed = _mean(colors[0], colors[1])
    return tile, [colors[0], mixed, _mean(mixed, colors[1]), colors[2]]


def _mean(first: RGB, second: RGB) -> RGB:
    red, green, blue = ((left + right) // 2 for left, right in zip(first, second, strict=True))
    return red, green, blue


def _floral(rng: Random, colors: tuple[RGB, ...]) -> Tile:
    size = 192
    image = Image.new("L", (size, size))
    draw = ImageDraw.Draw(image)
    petals = ((0, -10), (10, -3), (6, 8), (-6, 8), (-10, -3))
    leaf, middle = len(colors), len(colors) + 1
    for index in range(9):
        x = index % 3 * 64 + 32 + rng.randint(-14, 14)
        y = index // 3 * 64 + 32 + rng.randint(-14, 14)
        radius = rng.randint(7, 10)
        petal = 1 + index % (len(colors) - 1)
        for dx, dy in ((-size, 0), (0, 0), (size, 0), (0, -size), (0, size)):
            px, py = x + dx, y + dy
            if not (-34 < px < size + 34 and -34 < py < size + 34):
                continue  # the repeated flower does not reach into the tile
            draw.ellipse((px + 10, py + 10, px + 24, py + 18), fill=leaf)
            for ox, oy in petals:
                draw.ellipse((px + ox - radius, py + oy - radius, px + ox + radius, py + oy + radius), fill=petal)
            draw.ellipse((px - 5, py - 5, px + 5, py + 5), fill=middle)
    return np.asarray(image), [*colors, (60, 130, 70) if colors[0][1] < 150 else (38, 92, 48), (246, 206, 70)]


def _blocks(rng: Random, colors: tuple[RGB, ...]) -> Tile:
    tile = np.zeros((BLOCK, 1), np.uint8)
    middle = BLOCK // 2
    edge = middle + rng.randint(10, 40)
    tile[edge:] = 1  # below the middle, so that the named color keeps the larger part
    if len(colors) == 4 or rng.random() < 0.4:
        tile[edge : edge + rng.randint(26, 44)] = 2
    if len(colors) == 4:
        tile[: middle - rng.randint(60, 90)] = 3
    return tile, list(colors)


@lru_cache(maxsize=48)
def fabric_grain(fabric: str, step: int, repeats: int) -> np.ndarray:
    """Brightness of the weave, int16 [repeats * GRAIN, repeats * GRAIN], 256 is neutral.

    It is indexed by pixels of the supersampled canvas; a thread is ``step`` pixels wide.
    """
    y, x = np.mgrid[0:GRAIN, 0:GRAIN] // step % 128
    noise = np.random.default_rng([7, len(fabric)]).integers(-10, 11, (128, 128))[y, x]
    if fabric == "denim":
        grain = np.where((x + y) % 8 < 4, 26, -26) + noise * 2
    elif fabric == "knitted":
        zigzag = (y + np.abs(x % 8 - 4)) % 8
        grain = np.where(zigzag < 3, -44, 22) + np.where(x % 16 < 2, -30, 0)
    elif fabric == "furry":
        coarse = np.random.default_rng(11).integers(-70, 71, (64, 64)).repeat(2, 0).repeat(2, 1)
        grain = coarse[y, x] + noise * 3
    elif fabric == "leather":
        grain = noise // 2
    elif fabric == "chiffon":
        grain = np.where((x % 6 < 3) == (y % 6 < 3), 6, -6)
    else:
        grain = noise
    return np.tile((grain + 256).astype(np.int16), (repeats, repeats))


@lru_cache(maxsize=256)
def _folds(fabric: str, seed: int) -> np.ndarray:
    """Brightness of the folds across a panel, int64 [64 + SLANT], added to the grain; the end equals the beginning."""
    rng = Random(seed + 1)
    depth = {"chiffon": 34, "leather": 16, "denim": 12, "knitted": 8, "furry": 6}.get(fabric, 14)
    knots = [rng.randint(-depth, depth) for _ in range(9)]
    steps = np.arange(64 + SLANT) % 64
    index, rest = steps // 8, steps % 8
    points = np.array(knots, np.int64)
    return (points[index] * (8 - rest) + points[index + 1] * rest) // 8


def fill(
    garment: Garment, box: tuple[int, int, int, int], anchor: tuple[int, int], scale: int, light: int
) -> np.ndarray:
    """The garment's cloth over a pixel box of the supersampled canvas.

    Args:
        garment: with colors, pattern and fabric.
        box: x0, y0, x1, y1 in pixels, the panel's bounding box.
        anchor: the pixel on which the pattern is centered.
        scale: pixels per body unit, in 1/1024.
        light: where light comes from, -1 (left) to 1 (right) in hundredths.

    Returns:
        uint8 [y1 - y0, x1 - x0, 4]: RGB and a byte of padding.
    """
    x0, y0, x1, y1 = box
    xs, ys = np.arange(x0, x1), np.arange(y0, y1)
    width, height = max(x1 - x0, 1), max(y1 - y0, 1)
    across = (xs - x0) * 200 // width - 100 - light // 2  # -100..100 over the panel
    shade = 14 - across * across * 62 // 10000
    if garment.fabric == "leather":  # a narrow bright reflection between darker flanks
        offset = np.abs(across + 30)
        shade = shade - 18 + np.maximum(0, 34 - offset) * 5
    columns = (xs - x0) * 63 // width
    folds = _folds(garment.fabric, garment.seed)
    # Folds are slightly slanted: they move by one place from band to band of the height.
    bands = (shade + folds[columns + np.arange(SLANT)[:, None]]).astype(np.int16)
    left, top = x0 % GRAIN, y0 % GRAIN
    repeats = 1 << ((max(left + width, top + height) - 1) // GRAIN).bit_length()  # few sizes, so that they are cached
    grain = fabric_grain(garment.fabric, 1 if scale < 900 else 2, repeats)[top : top + height, left : left + width]
    places = grain + bands[(ys - y0) * SLANT // height]

    tile, table = pattern_tile(garment.pattern, garment.colors, garment.seed)
    if tile.size > 1:
        places = places + _texels(garment, tile, (xs - anchor[0]) * 1024 // scale, (ys - anchor[1]) * 1024 // scale)
    return table.take(places).view(np.uint8).reshape(height, width, 4)


def _texels(garment: Garment, tile: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The texels at columns u and rows v, in units from the anchor; a single row or column if all are equal."""
    v = v + (BLOCK // 2 if garment.pattern == "color block" else 0)
    column = tile[:, u % tile.shape[1]] if tile.shape[1] > 1 else tile
    return column[v % tile.shape[0]] if tile.shape[0] > 1 else column
