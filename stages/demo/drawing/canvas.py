"""A canvas at twice the final size that draws shapes and stores the garment of each pixel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from random import Random

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from stages.demo.drawing.body import Point
from stages.demo.drawing.garments import Garment
from stages.demo.drawing.palette import GOLD, RGB, luminance, scaled
from stages.demo.drawing.silhouettes import Shape, Trim
from stages.demo.drawing.textures import fill

SUPER = 2
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Frame:
    """Maps body units to the canvas: pixel = origin + unit * scale; ``flip`` mirrors left and right."""

    x: float
    y: float
    scale: float
    flip: bool = False

    def pixel(self, point: Point) -> tuple[int, int]:
        """The supersampled pixel of a point."""
        x = -point[0] if self.flip else point[0]
        return round(self.x + x * self.scale), round(self.y + point[1] * self.scale)

    def pixels(self, points: list[Point]) -> list[tuple[int, int]]:
        """The supersampled pixels of an outline."""
        return [self.pixel(point) for point in points]

    def within(self, x: float, y: float, scale: float, flip: bool = False) -> Frame:
        """A frame with other units, placed at a point of this frame."""
        px, py = self.pixel((x, y))
        return Frame(px, py, self.scale * scale, self.flip != flip)


class Canvas:
    """Image, owner map and the drawing of garments; everything in supersampled pixels until `finish`."""

    def __init__(self, size: tuple[int, int], background: Image.Image, light: int = 0) -> None:
        self.size = size
        self.light = light
        self.wide = (size[0] * SUPER, size[1] * SUPER)
        self.image = background.resize(self.wide, Image.Resampling.NEAREST)
        self.owner = Image.new("L", self.wide)
        self.draw = ImageDraw.Draw(self.image)
        self.owner_draw = ImageDraw.Draw(self.owner)
        self.outlines: dict[int, list[list[tuple[int, int]]]] = {}

    def polygon(self, points: list[tuple[int, int]], color: RGB, owner: int = 0, edge: RGB | None = None) -> None:
        """A plain polygon (skin, hair, soles); its pixels belong to ``owner``, or to no garment."""
        self.draw.polygon(points, fill=color)
        self.owner_draw.polygon(points, fill=owner)
        if edge:
            self.draw.line([*points, points[0]], fill=edge, width=2)

    def ellipse(self, frame: Frame, center: Point, rx: float, ry: float, color: RGB) -> None:
        """A plain ellipse in the frame's units."""
        x, y = frame.pixel(center)
        box = (
            x - round(rx * frame.scale),
            y - round(ry * frame.scale),
            x + round(rx * frame.scale),
            y + round(ry * frame.scale),
        )
        self.draw.ellipse(box, fill=color)
        self.owner_draw.ellipse(box, fill=0)

    def panel(
        self, garment: Garment, points: list[tuple[int, int]], anchor: tuple[int, int], scale: float, owner: int
    ) -> None:
        """One piece of cloth: textured, shaded, with a darker edge."""
        self.outlines.setdefault(owner, []).append(points)
        box = self._clip(points)
        if box is None:
            return
        x0, y0, x1, y1 = box
        mask = Image.new("1", (x1 - x0, y1 - y0))
        pen = ImageDraw.Draw(mask)
        local = [(x - x0, y - y0) for x, y in points]
        pen.polygon(local, fill=1)
        if garment.fabric == "furry":
            self._tufts(pen, local, garment.seed, max(2, round(4 * scale)))
        pixels = fill(garment, box, anchor, max(1, round(scale * 1024)), self.light)
        cloth = Image.frombuffer("RGB", mask.size, pixels, "raw", "RGBX", 0, 1)
        edge = scaled(garment.rgb, 62) if luminance(garment.rgb) > 50 else scaled(garment.rgb, 122)
        ImageDraw.Draw(cloth).line([*local, local[0]], fill=edge, width=2)
        cover = mask.convert("L").point(_SHEER) if garment.fabric == "chiffon" else mask
        self.image.paste(cloth, box, cover)
        self.owner.paste(owner, box, mask)

    def trims(self, garment: Garment, trims: list[Trim], frame: Frame, owner: int) -> None:
        """Details, clipped to the pixels that belong to the garment."""
        if not trims:
            return
        inks = inks_of(garment)
        cloth = self._clip([point for outline in self.outlines.get(owner, []) for point in outline])
        if cloth is None:
            return
        own_pixels = Image.fromarray(np.asarray(self.owner.crop(cloth)) == owner)
        for ink, group in _runs(trims):
            drawn = [(trim, frame.pixels(list(trim.points)), max(1, round(trim.width * frame.scale))) for trim in group]
            # Draw only on the pixels that these details reach.
            box = self._clip([p for _, points, _ in drawn for p in points], 8 + max(size for *_, size in drawn))
            box = _overlap(box, cloth)
            if box is None:
                continue
            x0, y0, x1, y1 = box
            mask = Image.new("1", (x1 - x0, y1 - y0))
            pen = ImageDraw.Draw(mask)
            for trim, points, size in drawn:
                local = [(x - x0, y - y0) for x, y in points]
                if trim.shape == "poly":
                    pen.polygon(local, fill=1)
                elif trim.shape == "line":
                    pen.line(local, fill=1, width=max(2, size))
                else:
                    for x, y in local:
                        pen.ellipse((x - size, y - size, x + size, y + size), fill=1)
            inside = own_pixels.crop((x0 - cloth[0], y0 - cloth[1], x1 - cloth[0], y1 - cloth[1]))
            self.image.paste(inks[ink], box, ImageChops.logical_and(mask, inside))

    def under(self, garment: Garment, shape: Shape, frame: Frame, owner: int) -> None:
        """The inside of a garment that shows at its opening; it counts as the garment."""
        for points, ink in shape.under:
            outline = frame.pixels(points)
            self.polygon(outline, inks_of(garment)[ink], owner)
            self.outlines.setdefault(owner, []).append(outline)

    def pieces(self, garment: Garment, panels: list[list[Point]], shape: Shape, frame: Frame, owner: int) -> None:
        """Several panels of one garment."""
        anchor = frame.pixel(shape.anchor)
        for points in panels:
            self.panel(garment, frame.pixels(points), anchor, frame.scale, owner)

    def whole(self, garment: Garment, shape: Shape, frame: Frame, owner: int, skin: RGB | None = None) -> None:
        """Draw a whole garment: inside, skin, cloth, soles, details."""
        self.under(garment, shape, frame, owner)
        for points in shape.skin if skin else []:
            self.polygon(frame.pixels(points), skin or (0, 0, 0))
        self.pieces(garment, shape.panels + shape.sleeves, shape, frame, owner)
        for points, ink in shape.extras:
            outline = frame.pixels(points)
            self.polygon(outline, inks_of(garment)[ink], owner, edge=(70, 70, 72))
            self.outlines.setdefault(owner, []).append(outline)
        self.trims(garment, shape.trims, frame, owner)

    def boxes(self) -> dict[int, Box]:
        """Final-size boxes (x0, y0, x1, y1, exclusive ends) around the visible pixels of each garment."""
        owners = np.asarray(self.owner)
        by_owner: dict[int, Box] = {}
        for owner in sorted(self.outlines):
            mask = owners == owner
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            if len(rows):
                by_owner[owner] = (
                    int(columns[0]) // SUPER,
                    int(rows[0]) // SUPER,
                    -(-int(columns[-1] + 1) // SUPER),
                    -(-int(rows[-1] + 1) // SUPER),
                )
        return by_owner

    def finish(self, rng: Random, noise: int = 3) -> Image.Image:
        """The image at its final size, lit and with a little sensor noise."""
        warm, gain = rng.randint(-4, 4), rng.randint(94, 106)
        tints = np.array([[gain + warm // 2], [gain], [gain - warm // 2]])
        lit = self.image.reduce(SUPER).point(np.minimum(255, np.arange(256) * tints // 100).ravel().tolist())
        pixels = np.asarray(lit).astype(np.int16)
        count = pixels.shape[0] * pixels.shape[1]
        shift = rng.randrange(NOISE_PIXELS - count)
        pixels += _noise(noise)[shift : shift + count].reshape(*pixels.shape[:2], 1)
        return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))

    def _clip(self, points: list[tuple[int, int]], margin: int = 8) -> Box | None:
        """The box around points with a margin in pixels, clipped to the canvas."""
        xs, ys = [x for x, _ in points], [y for _, y in points]
        box = (min(xs) - margin, min(ys) - margin, max(xs) + margin + 1, max(ys) + margin + 1)
        return _overlap(box, (0, 0, *self.wide))

    @staticmethod
    def _tufts(pen: ImageDraw.ImageDraw, points: list[tuple[int, int]], seed: int, size: int) -> None:
        """Small discs along the outline, as fur has no straight edge."""
        rng = Random(seed)
        for (xa, ya), (xb, yb) in zip(points, points[1:] + points[:1], strict=True):
            steps = max(abs(xb - xa), abs(yb - ya)) // (size + 1) + 1
            for step in range(steps):
                x, y = xa + (xb - xa) * step // steps, ya + (yb - ya) * step // steps
                r = rng.randint(1, size)
                pen.ellipse((x - r, y - r, x + r, y + r), fill=1)


_SHEER = [value * 200 // 255 for value in range(256)]
NOISE_PIXELS = 1 << 19


@lru_cache(maxsize=8)
def _noise(level: int) -> np.ndarray:
    """Sensor noise, int16 [NOISE_PIXELS], from -level to level."""
    noise = np.random.default_rng(20240).integers(-8, 9, NOISE_PIXELS)
    return (noise * level // 8).astype(np.int16)


def _overlap(first: Box | None, second: Box) -> Box | None:
    if first is None:
        return None
    (a0, b0, a1, b1), (c0, d0, c1, d1) = first, second
    box = max(a0, c0), max(b0, d0), min(a1, c1), min(b1, d1)
    return box if box[0] < box[2] and box[1] < box[3] else None


@lru_cache(maxsize=64)
def inks_of(garment: Garment) -> dict[str, RGB]:
    """The colors of a garment's details, all taken from its own colors."""
    base = garment.rgb
    bright = luminance(base) > 128
    contrast = (
        garment.colors[1]
        if abs(luminance(garment.colors[1]) - luminance(base)) > 50
        else ((30, 30, 34) if bright else (244, 244, 244))
    )
    return {
        "dark": scaled(base, 72) if luminance(base) > 45 else scaled(base, 114),
        "light": scaled(base, 134),
        "seam": scaled(base, 58) if luminance(base) > 60 else scaled(base, 128),
        "fold": scaled(base, 84) if luminance(base) > 60 else scaled(base, 112),
        "inside": scaled(base, 52),
        "second": garment.colors[1],
        "third": garment.colors[2],
        "contrast": contrast,
        "stitch": (214, 160, 84),
        "button": (250, 248, 240) if not bright else scaled(base, 40),
        "metal": (196, 198, 204),
        "gold": GOLD if abs(luminance(base) - luminance(GOLD)) > 30 else (150, 30, 50),
        "black": (26, 26, 30),
        "sole": (44, 36, 32) if luminance(base) > 60 else (120, 90, 66),
        "rubber": (240, 240, 238) if luminance(base) < 215 else (90, 92, 98),
        "lace": (246, 246, 246) if luminance(base) < 200 else (70, 70, 76),
    }


def _runs(trims: list[Trim]) -> list[tuple[str, list[Trim]]]:
    """Group neighbors with the same ink, in order."""
    runs: list[tuple[str, list[Trim]]] = []
    for trim in trims:
        if runs and runs[-1][0] == trim.ink:
            runs[-1][1].append(trim)
        else:
            runs.append((trim.ink, [trim]))
    return runs
