"""Details drawn over the cloth: collars, buttons, zips, and marks of usage (Sports, Formal, Ethnic).

They consist of curves, lines, bands, dots, digits, cuffs and prints, which other shapes use as well.
"""

from __future__ import annotations

from random import Random

from stages.demo.drawing.body import Body, Limb, Point, Pose, across, arm, leg
from stages.demo.drawing.garments import Garment
from stages.demo.drawing.silhouettes import NECK_DEPTH, NECK_WIDTH, SLEEVE_REACH, Trim, Trunk, body_half_width

# The seven bars of a digit in a box 2 wide and 4 high, and which are lit.
_BARS = (
    ((0, 0), (2, 0)),
    ((0, 0), (0, 2)),
    ((2, 0), (2, 2)),
    ((0, 2), (2, 2)),
    ((0, 2), (0, 4)),
    ((2, 2), (2, 4)),
    ((0, 4), (2, 4)),
)
_LIT = ("1110111", "0010010", "1011101", "1011011", "0111010", "1101011", "1101111", "1010010", "1111111", "1111011")


def rounded_outline(points: list[Point], rounds: int = 2) -> list[Point]:
    """A curve through a few points by Chaikin's corner cutting, twice; exact in binary fractions."""
    for _ in range(rounds):
        corners: list[Point] = []
        for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1], strict=True):
            corners += [(x0 * 0.75 + x1 * 0.25, y0 * 0.75 + y1 * 0.25), (x0 * 0.25 + x1 * 0.75, y0 * 0.25 + y1 * 0.75)]
        points = corners
    return points


def line(ink: str, width: float, *points: Point) -> Trim:
    """A line through points, width in units."""
    return Trim("line", tuple(points), ink, width)


def poly(ink: str, *points: Point) -> Trim:
    """A filled polygon."""
    return Trim("poly", tuple(points), ink)


def dots(ink: str, radius: float, *points: Point) -> Trim:
    """Round dots."""
    return Trim("dots", tuple(points), ink, radius)


def band(ink: str, y0: float, y1: float, reach: float = 400.0) -> Trim:
    """A horizontal band across the garment (it is clipped to the cloth)."""
    return poly(ink, (-reach, y0), (reach, y0), (reach, y1), (-reach, y1))


def digit(ink: str, value: int, left: float, top: float, size: float) -> list[Trim]:
    """A seven-bar digit, size units per half width."""
    bars = [bar for bar, lit in zip(_BARS, _LIT[value], strict=True) if lit == "1"]
    return [line(ink, size * 0.62, *[(left + x * size, top + y * size) for x, y in bar]) for bar in bars]


def along_limb(ink: str, width: float, limb: Limb, reach: float, offset: float) -> Trim:
    """A stripe down the outer side of a sleeve or a leg."""
    points = [across(limb, 0, 0, offset), across(limb, 0, min(reach, 1), offset)]
    if reach > 1:
        points.append(across(limb, 1, reach - 1, offset * 0.8))
    return line(ink, width, *points)


def limb_end(ink: str, limb: Limb, reach: float, depth: float) -> Trim:
    """A cuff around the end of a sleeve or a leg."""
    bone, share = (0, reach) if reach <= 1 else (1, reach - 1)
    return poly(
        ink,
        *[across(limb, bone, share - d, w) for d, w in ((0.02 * -1, 90), (depth, 90), (depth, -60), (0.02 * -1, -60))],
    )


def motif(garment: Garment) -> list[Trim]:
    """The print of a graphic garment: one of five shapes on the chest."""
    rng = Random(garment.seed + 2)
    size, x, y = rng.randint(34, 46), 0.0, 318.0
    kind = rng.randrange(5)
    if kind == 0:
        star = ((0, -10), (3, -3), (10, -3), (4, 2), (6, 10), (0, 5), (-6, 10), (-4, 2), (-10, -3), (-3, -3))
        return [poly("second", *[(x + px * size / 10, y + py * size / 10) for px, py in star])]
    if kind == 1:
        return [dots("second", size * 0.9, (x, y)), dots("third", size * 0.5, (x, y))]
    if kind == 2:
        rows = [
            line("second", 11, (x - size, y + step), (x + size * share, y + step))
            for step, share in ((-24, 1.0), (0, 0.6), (24, 0.9))
        ]
        return [*rows, dots("third", 12, (x + size * 0.8, y))]
    if kind == 3:
        return [
            poly("second", (x, y - size), (x + size, y + size * 0.8), (x - size, y + size * 0.8)),
            poly("third", (x, y - size * 0.2), (x + size * 0.4, y + size * 0.5), (x - size * 0.4, y + size * 0.5)),
        ]
    lobes = dots("second", size * 0.52, (x - size * 0.45, y - size * 0.3), (x + size * 0.45, y - size * 0.3))
    return [lobes, poly("second", (x - size * 0.92, y - size * 0.1), (x + size * 0.92, y - size * 0.1), (x, y + size))]


def torso_trims(garment: Garment, body: Body, pose: Pose) -> list[Trim]:
    """The trims of a torso garment by kind and usage, in drawing order."""
    trunk, front = Trunk(garment, body), body.view in ("front", "flat")
    squeeze = 0.5 if body.view == "side" else 1.0
    hem, kinds = float(garment.hem), garment.traits.trims
    depth, width = NECK_DEPTH[garment.neckline], NECK_WIDTH[garment.neckline] * squeeze
    arms = [] if trunk.sleeveless else [arm(body, pose, side) for side in ((-1, 1) if body.view != "side" else (1,))]
    reach = SLEEVE_REACH.get(garment.sleeve, 0)
    trims: list[Trim] = []
    if garment.pattern == "graphic" and not garment.opened:
        trims += motif(garment)
    if "ribs" in kinds:
        trims += [band("dark", hem - 20, hem + 10), *[limb_end("dark", limb, reach, 0.12) for limb in arms]]
    if (
        garment.neckline in ("crew", "scoop", "v")
        and garment.kind in ("tshirt", "sweater", "sweatshirt", "tank", "cardigan")
        and front
    ):
        trims.append(_neck_rim(garment.neckline, width, depth))
    if "pouch" in kinds and front:
        trims += [line("seam", 4, (-52, 505), (-40, 440), (40, 440), (52, 505))]
    if "zip" in kinds and front and not garment.opened:
        trims += [line("metal", 5, (0, 190), (0, hem))]
    if "pockets" in kinds and front:
        y = min(hem - 40, 470)
        trims += [line("seam", 6, (side * 34, y - 26), (side * 64, y)) for side in (-1, 1)]
    if "buttons" in kinds and front and not garment.opened:
        step = (hem - 215) / 6
        trims += [
            line("seam", 3, (9, 190), (9, hem)),
            dots("button", 6, *[(0.0, 222 + index * step) for index in range(6)]),
        ]
    if "lapels" in kinds and front:
        trims += _lapels(garment, width)
    if ("collar" in kinds or garment.neckline == "collar") and "lapels" not in kinds:
        trims += _collar(width, front)
    if "placket" in kinds and front:
        trims += [line("seam", 20, (0, 180), (0, 340)), dots("button", 5, (0, 230), (0, 270), (0, 310))]
        trims += [
            line("seam", 5, (side * (trunk.half_width(hem) - 12), hem), (side * (trunk.half_width(560) - 8), 560))
            for side in (-1, 1)
        ]
    if "ruffle" in kinds and front:
        trims += [
            line("light", 9, (-34, 190), (-10, 250), (10, 300)),
            line("seam", 5, (34, 190), (10, 250), (-10, 300)),
        ]
    if "waist" in kinds:
        trims += [band("dark", 380, 394)]
        trims += [line("fold", 4, (x * 0.5, 396), (x, hem)) for x in (-60, -20, 24, 64) if hem > 620]
    if "belt" in kinds:
        trims += [band("dark", 388, 412)] + (
            [poly("metal", (-12, 386), (12, 386), (12, 414), (-12, 414))] if front else []
        )
    return trims + _torso_usage(garment, trunk, arms, reach, front, hem)


def _neck_rim(neckline: str, width: float, depth: float) -> Trim:
    top = 166.0
    if neckline == "v":
        return line("dark", 13, (width, top), (0, top + depth), (-width, top))
    low, mid = top + depth, top + depth * 0.78
    return line("dark", 13, (width, top), (width * 0.62, mid), (0, low), (-width * 0.62, mid), (-width, top))


def _collar(width: float, front: bool) -> list[Trim]:
    if not front:
        return [band("light", 150, 184, width + 8)]
    return [
        trim
        for side in (-1, 1)
        for trim in (
            poly("light", (side * width, 160), (side * (width + 14), 186), (side * 32, 246), (0, 204)),
            line("seam", 3, (side * (width + 14), 186), (side * 32, 246), (0, 204)),
        )
    ]


def _lapels(garment: Garment, width: float) -> list[Trim]:
    trims = []
    for side in (-1, 1):
        edge = [(side * width, 160), (side * (width + 26), 214), (side * 44, 250), (side * 58, 258), (side * 2, 352)]
        trims += [poly("light" if garment.rgb[1] < 90 else "dark", *edge), line("seam", 3, *edge)]
    if not garment.opened:
        trims += [line("seam", 3, (0, 352), (0, garment.hem)), dots("button", 7, (0, 372), (0, 424))]
    return trims


def _torso_usage(garment: Garment, trunk: Trunk, arms: list[Limb], reach: float, front: bool, hem: float) -> list[Trim]:
    rng = Random(garment.seed + 3)
    if garment.usage == "Sports":
        trims = [along_limb("contrast", 10, limb, reach, 24) for limb in arms]
        edge = [(trunk.half_width(y) - 12, y) for y in (285.0, 388.0, min(hem, 500.0), hem)]
        trims += [line("contrast", 12, *[(side * x, y) for x, y in edge]) for side in (-1, 1)]
        number = rng.randint(1, 9)
        return trims + (
            digit("contrast", number, -22, 270, 22) if garment.pattern != "graphic" and not garment.opened else []
        )
    if garment.usage == "Formal":
        trims = [line("light", 5, (-84, 300), (-70, 480)), line("light", 5, (80, 300), (68, 480))]  # ironed sheen
        trims += [limb_end("light", limb, reach, 0.1) for limb in arms if reach > 1]
        if front and not garment.opened:
            trims += _collar(34, True)
            trims += [dots("button", 6, *[(0.0, 230 + index * 42) for index in range(6) if 230 + index * 42 < hem])]
            if "lapels" not in garment.traits.trims:
                trims += [line("seam", 3, (34, 300), (70, 300), (70, 344), (34, 344), (34, 300))]
        return trims
    if garment.usage == "Ethnic":
        trims = embroidery(hem - 34, hem - 4, 300)
        trims += [limb_end("gold", limb, reach, 0.1) for limb in arms]
        if front:
            trims += [
                line("gold", 24, (0, 186), (0, 300)),
                dots("contrast", 6, *[(0.0, 205.0 + step * 24) for step in range(4)]),
            ]
        return trims
    return []


def embroidery(top: float, bottom: float, reach: float) -> list[Trim]:
    """A gold hem band with a row of dots."""
    middle = (top + bottom) / 2
    points = [(float(x), middle) for x in range(-int(reach), int(reach), 22)]
    return [band("gold", top, bottom), dots("contrast", 6, *points), band("dark", top - 5, top)]


def lower_trims(garment: Garment, body: Body, pose: Pose) -> list[Trim]:
    """The trims of trousers, shorts and skirts by kind and usage."""
    kinds, front = garment.traits.trims, body.view in ("front", "flat")
    if garment.traits.family == "skirt":
        return _skirt_trims(garment, body)
    reach = garment.hem / 100
    legs = [leg(body, pose, side) for side in (-1, 1)]
    top = 390.0 if garment.gender in ("Women", "Girls") else 420.0
    wide = body_half_width(body, top)
    trims = [band("dark", top - 4, top + 18)]
    if "fly" in kinds and front:
        trims += [line("seam", 4, (10, top + 16), (12, top + 84), (2, top + 96)), dots("metal", 7, (0, top + 10))]
        trims += [line("seam", 4, (side * wide * 0.6, top + 18), (side * wide * 0.98, top + 62)) for side in (-1, 1)]
    if "fly" in kinds and body.view == "back":
        trims += [
            line("seam", 4, *[(s * x, y) for x, y in ((22, 470), (66, 470), (62, 520), (26, 520), (22, 470))])
            for s in (-1, 1)
        ]
    if "seams" in kinds:
        trims += [along_limb("stitch", 3, limb, reach, -6 + body.leg * 0.85) for limb in legs]
        trims += [limb_end("seam", limb, reach, 0.04) for limb in legs]
    if "drawstring" in kinds and front:
        trims += [
            line("contrast", 5, (-6, top + 14), (-16, top + 66)),
            line("contrast", 5, (6, top + 14), (14, top + 60)),
        ]
    if "cuffs" in kinds:
        trims += [limb_end("dark", limb, reach, 0.08) for limb in legs]
    if garment.usage == "Sports":
        trims += [along_limb("contrast", 11, limb, reach, body.leg * 0.72) for limb in legs]
        trims += digit("contrast", Random(garment.seed + 3).randint(1, 9), wide * 0.34, 520, 9)
    elif garment.usage == "Formal":
        trims += [along_limb("light", 5, limb, reach, 2) for limb in legs]  # ironed crease
        trims += [
            line("black", 16, (-wide - 8, top + 8), (wide + 8, top + 8)),
            poly("metal", (-11, top), (11, top), (11, top + 17), (-11, top + 17)),
        ]
    elif garment.usage == "Ethnic":
        trims += [limb_end("gold", limb, reach, 0.13) for limb in legs]
        bone, share = (0, reach - 0.07) if reach <= 1 else (1, reach - 1.07)
        trims += [dots("contrast", 5, *[across(limb, bone, share, x) for x in (-36, -12, 12, 36)]) for limb in legs]
    return trims


def _skirt_trims(garment: Garment, body: Body) -> list[Trim]:
    hem = float(garment.hem)
    trims = [band("dark", 386, 408)]
    if garment.flare > 20:
        trims += [line("fold", 5, (x * 0.5, 410), (x, hem)) for x in (-84, -44, 0, 44, 84)]
    if garment.usage == "Sports":
        trims += [
            line("contrast", 13, (side * (body.waist - 4), 400), (side * (body.hip + garment.flare * 0.7), hem))
            for side in (-1, 1)
        ]
        trims += digit("contrast", Random(garment.seed + 3).randint(1, 9), 26, 500, 10)
    elif garment.usage == "Formal":
        trims += [
            line("black", 16, (-120, 398), (120, 398)),
            poly("metal", (-11, 390), (11, 390), (11, 407), (-11, 407)),
        ]
        trims += [line("seam", 5, (30, hem - 90), (30, hem + 20)), line("light", 5, (-50, 440), (-56, hem))]
    elif garment.usage == "Ethnic":
        trims += embroidery(hem - 38, hem + garment.flare * 0.1, 300)
    return trims
