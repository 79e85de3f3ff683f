"""Outlines of caps, in body units around a head."""

from __future__ import annotations

from random import Random

from stages.demo.drawing.garments import Garment
from stages.demo.drawing.primitives import band, digit, dots, line, motif, rounded_outline
from stages.demo.drawing.silhouettes import Shape, Trim


def cap_shape(garment: Garment, view: str) -> Shape:
    """A cap in body units around a head whose crown is at y = 8: from the front, the side (brim to +x) or the back."""
    tall = 0 if garment.gender == "Women" else -10
    rng = Random(garment.seed + 4)
    shape = Shape(anchor=(0.0, 0.0))
    if view in ("side", "flat"):
        crown = [(-52.0, 56.0), (-54.0, 16.0), (-30.0, -14.0 + tall), (18.0, -16.0 + tall), (48.0, 14.0), (54.0, 56.0)]
        brim = [(34.0, 44.0), (70.0, 44.0), (112.0, 58.0), (118.0, 68.0), (60.0, 62.0), (34.0, 60.0)]
        shape.parts += [brim, rounded_outline(crown, 1)]
        shape.trims += [
            line("seam", 3, (4, -26), (10, 20), (14, 60)),
            dots("dark", 5, (-2, -18 + tall)),
            line("dark", 5, (-56, 54), (54, 54)),
        ]
        center = -18.0
    else:
        crown = [(-50.0, 50.0), (-52.0, 14.0), (-28.0, -16.0 + tall), (28.0, -16.0 + tall), (52.0, 14.0), (50.0, 50.0)]
        shape.parts.append(rounded_outline(crown, 1))
        shape.trims += [
            line("seam", 3, (0, -26), (0, 46)),
            line("seam", 3, (-24, -14), (-30, 46)),
            line("seam", 3, (24, -14), (30, 46)),
        ]
        if view == "front":
            brim = [
                (-54.0, 44.0),
                (-30.0, 38.0),
                (30.0, 38.0),
                (54.0, 44.0),
                (58.0, 60.0),
                (30.0, 70.0),
                (-30.0, 70.0),
                (-58.0, 60.0),
            ]
            shape.parts.append(rounded_outline(brim, 1))
            shape.trims.append(line("seam", 3, (-46, 58), (0, 66), (46, 58)))
        center = 0.0
    if garment.gender == "Women":  # a ribbon above the brim
        shape.trims += [band("second", 32, 46)]
    if garment.pattern == "graphic":
        shape.trims += [_shrunk(trim, center) for trim in motif(garment)]
    if garment.usage == "Sports":
        shape.trims += [
            line("contrast", 8, (-50, 34), (-36, -30)),
            *digit("contrast", rng.randint(1, 9), center - 8, -6, 8),
        ]
    elif garment.usage == "Ethnic":
        shape.trims += [band("gold", 34, 48), dots("contrast", 4, *[(float(x), 41.0) for x in range(-48, 52, 14)])]
    elif garment.usage == "Formal":
        shape.trims += [band("black", 36, 48), line("light", 4, (-34, -6), (-38, 30))]
    return shape


def _shrunk(trim: Trim, center: float) -> Trim:
    """A chest print brought to the size of a cap's front."""
    points = tuple((center + x * 0.42, 14 + (y - 318) * 0.42) for x, y in trim.points)
    return Trim(trim.shape, points, trim.ink, trim.width * 0.42)
