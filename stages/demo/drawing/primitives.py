"""What shapes and details are made of: curves, lines, bands, dots, digits, cuffs, and prints."""

from __future__ import annotations

from random import Random

from stages.demo.drawing.body import Limb, Point, across
from stages.demo.drawing.garments import Garment
from stages.demo.drawing.silhouettes import Trim

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
    """Corners cut twice (Chaikin), so that a few points give a curve; exact in binary fractions."""
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
    """The print of a graphic garment: one of five figures, placed on the chest."""
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
