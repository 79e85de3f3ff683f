"""Shoes, caps, and bags and watches, which are no garments and which the label policy must reject.

A shoe is drawn from the side in its own units: heel at x = 0, toe at x = 300, ground at y = 120. A cap is drawn in
body units around a head.
"""

from __future__ import annotations

from random import Random

from PIL import Image

from stages.demo.drawing.body import Point
from stages.demo.drawing.canvas import SUPER, Canvas, Frame
from stages.demo.drawing.garments import Garment
from stages.demo.drawing.palette import plain_background, scaled, shade_of
from stages.demo.drawing.silhouettes import Shape, Trim
from stages.demo.drawing.trims import band, digit, dots, line, motif, poly, rounded_outline

_LOW = [
    (6, 98),
    (4, 40),
    (12, 14),
    (30, 16),
    (92, 22),
    (128, 34),
    (190, 52),
    (262, 66),
    (296, 88),
    (296, 104),
    (6, 104),
]
_FLAT = [(6, 106), (4, 50), (12, 36), (36, 46), (90, 68), (160, 74), (196, 56), (262, 66), (300, 90), (300, 108)]
_BOOT = [(6, 98), (14, 30), (6, -150), (110, -150), (112, 10), (170, 40), (262, 60), (296, 86), (296, 104), (6, 104)]
_HEEL = [
    (8, 34),
    (2, -22),
    (12, -44),
    (36, -30),
    (84, 26),
    (146, 66),
    (190, 58),
    (250, 78),
    (302, 112),
    (200, 117),
    (130, 110),
    (52, 62),
]
_FOOT = [(16, 96), (10, 40), (20, -40), (84, -40), (98, 22), (180, 58), (268, 78), (292, 98), (280, 106), (20, 106)]
_HEEL_FOOT = [
    (12, 36),
    (14, -90),
    (78, -90),
    (84, -10),
    (130, 40),
    (200, 78),
    (282, 100),
    (280, 112),
    (180, 110),
    (60, 60),
]


def shoe_shape(garment: Garment, worn: bool) -> Shape:
    """One shoe seen from its outer side."""
    kind, shape = garment.kind, Shape(anchor=(150.0, 70.0))
    if kind in ("sandal", "flip_flop"):
        return _open_shoe(garment, shape, worn)
    outline = {"boot": _BOOT, "heel": _HEEL, "flat": _FLAT}.get(kind, _LOW)
    if garment.gender == "Women":  # slimmer and lower cut
        outline = [(x, y + (104 - y) * 0.22 if y > 0 else y) for x, y in outline]
    if kind not in ("heel", "flat", "boot"):
        shape.under.append((rounded_outline([(10, 40), (16, 12), (96, 18), (110, 60)], 1), "inside"))
    shape.panels.append(rounded_outline([(float(x), float(y)) for x, y in outline]))
    if kind in ("heel", "flat", "loafer") and worn:
        shape.skin.append(rounded_outline([(float(x), float(y)) for x, y in (_HEEL_FOOT if kind == "heel" else _FOOT)]))
    shape.extras += _sole(garment)
    shape.trims += _shoe_trims(garment) + _shoe_usage(garment)
    return shape


def _sole(garment: Garment) -> list[tuple[list[Point], str]]:
    kind = garment.kind
    tall = 8 if garment.gender == "Women" else 0
    if kind == "heel":
        return [
            ([(10.0, 38.0), (40.0, 54.0), (24.0, 120.0), (12.0, 120.0)], "sole"),
            ([(130.0, 108.0), (200.0, 113.0), (300.0, 110.0), (296.0, 120.0), (190.0, 121.0)], "sole"),
        ]
    if kind in ("formal_shoe", "loafer", "boot"):
        heel = [(6.0, 100.0), (88.0, 100.0), (82.0, 124.0), (6.0, 124.0)]
        return [([(6.0, 100.0), (298.0, 100.0), (298.0, 111.0), (6.0, 111.0)], "sole"), (heel, "sole")]
    if kind == "flat":
        return [([(8.0, 103.0), (298.0, 104.0), (294.0, 113.0), (10.0, 113.0)], "sole")]
    if kind == "soccer_shoe":
        studs = [
            ([(x, 108.0), (x + 26, 108.0), (x + 20, 128.0), (x + 6, 128.0)], "contrast")
            for x in (10.0, 52.0, 160.0, 204.0, 250.0)
        ]
        return [([(4.0, 98.0), (298.0, 98.0), (296.0, 110.0), (6.0, 110.0)], "contrast"), *studs]
    if kind == "sports_shoe":
        wedge = [
            (0.0, 86.0),
            (60.0, 94.0),
            (180.0, 98.0),
            (300.0, 92.0),
            (302.0, 104.0),
            (270.0, 122.0),
            (4.0, 124.0 - tall),
        ]
        return [(wedge, "rubber"), ([(4.0, 116.0), (270.0, 116.0), (260.0, 124.0), (8.0, 124.0)], "contrast")]
    return [([(2.0, 96.0), (300.0, 96.0), (300.0, 118.0), (4.0, 118.0)], "rubber")]


def _laces() -> list[Trim]:
    return [line("lace", 7, (x, y), (x + 22, y - 16)) for x, y in ((104, 50), (128, 58), (152, 66), (176, 74))]


def _shoe_trims(garment: Garment) -> list[Trim]:
    kind = garment.kind
    if kind == "sports_shoe":
        stripes = [line("contrast", 10, (x, 92), (x + 34, 44)) for x in (96, 124, 152)]
        return [*_laces(), *stripes, line("dark", 9, (8, 30), (8, 100))]
    if kind == "sneaker":
        return [
            *_laces(),
            line("seam", 5, (84, 26), (96, 98)),
            poly("light", (232, 50), (310, 50), (310, 100), (246, 100)),
        ]
    if kind == "soccer_shoe":
        return [*_laces(), line("contrast", 12, (90, 90), (150, 70), (230, 84))]
    if kind == "formal_shoe":
        return [
            line("seam", 4, (226, 50), (216, 104)),
            line("light", 7, (242, 74), (286, 90)),
            *_laces()[:3],
            line("seam", 4, (92, 22), (120, 80), (190, 96)),
        ]
    if kind == "loafer":
        return [
            line("dark", 18, (150, 34), (168, 104)),
            line("light", 5, (230, 76), (282, 88)),
            line("seam", 4, (130, 42), (230, 66), (262, 92)),
        ]
    if kind == "boot":
        return [
            line("light", 8, (36, -140), (40, 40)),
            line("dark", 10, (0, -146), (120, -146)),
            line("seam", 4, (16, 30), (110, 10)),
            line("metal", 7, (92, -120), (96, -20)),
        ]
    if kind == "flat":
        return [dots("contrast", 9, (232, 80)), line("dark", 5, (40, 62), (100, 84), (180, 84), (220, 68))]
    return [line("light", 6, (210, 84), (280, 98))]


def _shoe_usage(garment: Garment) -> list[Trim]:
    if garment.usage == "Ethnic":
        return [
            line("gold", 12, (120, 88), (290, 96)),
            dots("gold", 7, (30, 60), (60, 66), (90, 72), (200, 74), (240, 80)),
        ]
    if garment.usage == "Formal":
        return [line("light", 6, (24, 78), (120, 88)), line("light", 5, (250, 74), (290, 92))]
    if garment.usage == "Sports":
        return [line("contrast", 9, (60, 92), (84, 50)), line("contrast", 9, (36, 88), (58, 46))]
    return []


def _open_shoe(garment: Garment, shape: Shape, worn: bool) -> Shape:
    if worn:
        shape.skin.append(rounded_outline([(float(x), float(y)) for x, y in _FOOT]))
    thick = 14 if garment.gender == "Women" else 18
    sole = [(2.0, 100.0), (120.0, 98.0), (298.0, 100.0), (298.0, 102.0 + thick), (4.0, 102.0 + thick)]
    strap = 14 if garment.gender == "Women" else 22
    shape.panels.append(rounded_outline(sole, 1))
    if garment.kind == "flip_flop":
        shape.panels += _bars([[(96.0, 100.0), (120.0, 70.0), (180.0, 52.0), (236.0, 74.0), (250.0, 100.0)]], strap)
    else:
        back = [(14.0, 100.0), (12.0, 44.0), (60.0, 22.0), (96.0, 26.0), (110.0, 100.0)]
        front = [(180.0, 100.0), (196.0, 58.0), (232.0, 66.0), (256.0, 100.0)]
        shape.panels += _bars([back, front], strap)
        shape.trims += [dots("metal", 8, (74, 26))]
    if garment.usage == "Ethnic":
        shape.trims += [
            dots("gold", 7, *[(20.0 + step * 32, 108.0) for step in range(9)]),
            line("gold", 8, (180, 100), (196, 58), (232, 66), (256, 100)),
        ]
    elif garment.usage == "Formal":
        shape.trims += [line("light", 5, (10, 104), (290, 104))]
    elif garment.usage == "Sports":
        shape.trims += [line("contrast", 7, (10, 112), (290, 112)), dots("contrast", 8, (206, 62), (50, 28))]
    return shape


def _bars(paths: list[list[Point]], width: float) -> list[list[Point]]:
    """Straps as polygons: each path with a width, downwards and inwards."""
    return [[*path, *[(x + (2 if x < 60 else -2), y + width) for x, y in reversed(path)]] for path in paths]


def flip_flop_from_above(garment: Garment) -> Shape:
    """A flip flop seen from above: the sole and the Y of its strap."""
    wide = 0.86 if garment.gender == "Women" else 1.0
    sole = [(0, -40), (40, -52), (150, -40), (240, -60), (300, -36), (300, 30), (240, 52), (150, 40), (40, 50), (0, 38)]
    shape = Shape(anchor=(150.0, 0.0), panels=[rounded_outline([(float(x), y * wide) for x, y in sole])])
    shape.trims += [line("contrast", 15, (128, -46 * wide), (236, 0), (128, 44 * wide)), dots("dark", 9, (236, 0))]
    if garment.usage == "Ethnic":
        shape.trims += [dots("gold", 7, (60, 0), (150, -34), (150, 32), (40, -20), (40, 20))]
    elif garment.usage == "Sports":
        shape.trims += [line("contrast", 9, (20, -30), (90, -30)), line("contrast", 9, (20, 30), (90, 30))]
    return shape


def cap_shape(garment: Garment, view: str) -> Shape:
    """A cap in body units around a head whose crown is at y = 8: from the front, the side (brim to +x) or the back."""
    tall = 0 if garment.gender == "Women" else -10
    rng = Random(garment.seed + 4)
    shape = Shape(anchor=(0.0, 0.0))
    if view in ("side", "flat"):
        crown = [(-52.0, 56.0), (-54.0, 16.0), (-30.0, -14.0 + tall), (18.0, -16.0 + tall), (48.0, 14.0), (54.0, 56.0)]
        brim = [(34.0, 44.0), (70.0, 44.0), (112.0, 58.0), (118.0, 68.0), (60.0, 62.0), (34.0, 60.0)]
        shape.panels += [brim, rounded_outline(crown, 1)]
        shape.trims += [
            line("seam", 3, (4, -26), (10, 20), (14, 60)),
            dots("dark", 5, (-2, -18 + tall)),
            line("dark", 5, (-56, 54), (54, 54)),
        ]
        center = -18.0
    else:
        crown = [(-50.0, 50.0), (-52.0, 14.0), (-28.0, -16.0 + tall), (28.0, -16.0 + tall), (52.0, 14.0), (50.0, 50.0)]
        shape.panels.append(rounded_outline(crown, 1))
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
            shape.panels.append(rounded_outline(brim, 1))
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
    """A chest print scaled to a cap's front."""
    points = tuple((center + x * 0.42, 14 + (y - 318) * 0.42) for x, y in trim.points)
    return Trim(trim.shape, points, trim.ink, trim.width * 0.42)


def draw_accessory(rng: Random, size: tuple[int, int], kind: str, color: str) -> Image.Image:
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
