"""Products that are no garments (bags and watches): they exist to be rejected by the label policy."""

from __future__ import annotations

from random import Random

from PIL import Image

from stages.demo.drawing.backgrounds import plain_background
from stages.demo.drawing.body import Point
from stages.demo.drawing.canvas import SUPER, Canvas, Frame
from stages.demo.drawing.palette import scaled, shade_of


def draw_other(rng: Random, size: tuple[int, int], kind: str, color: str) -> Image.Image:
    """A bag or a watch on a white background."""
    canvas = Canvas(size, plain_background(rng, size, white=True))
    scale = min(size) * SUPER / 120
    frame = Frame(size[0] * SUPER / 2, size[1] * SUPER / 2, scale)
    rgb = shade_of(rng, color)

    def shape(points: list[Point], percent: int) -> None:
        canvas.polygon(frame.pixels(points), scaled(rgb, percent), edge=scaled(rgb, 60))

    if kind == "Bags":
        shape([(-26, -4), (-20, -38), (20, -38), (26, -4), (20, -4), (15, -31), (-15, -31), (-20, -4)], 70)
        shape([(-38, -8), (38, -8), (46, 40), (-46, 40)], 100)
        shape([(-40, -8), (40, -8), (36, 12), (-36, 12)], 88)
    else:
        shape([(-11, -54), (11, -54), (14, 54), (-14, 54)], 100)
        canvas.ellipse(frame, (0, 0), 24, 24, (178, 180, 186))
        canvas.ellipse(frame, (0, 0), 19, 19, (244, 244, 240))
        canvas.polygon(frame.pixels([(-1, 2), (-1, -14), (1, -14), (1, 0), (11, 6), (10, 8)]), (30, 30, 34))
    return canvas.finish(rng, 2)
