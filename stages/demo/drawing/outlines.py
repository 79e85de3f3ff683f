"""Curves out of a few points."""

from __future__ import annotations

from stages.demo.drawing.body import Point


def rounded_outline(points: list[Point], rounds: int = 2) -> list[Point]:
    """Corners cut twice (Chaikin), so that a few points give a curve; exact in binary fractions."""
    for _ in range(rounds):
        cut: list[Point] = []
        for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1], strict=True):
            cut += [(x0 * 0.75 + x1 * 0.25, y0 * 0.75 + y1 * 0.25), (x0 * 0.25 + x1 * 0.75, y0 * 0.25 + y1 * 0.75)]
        points = cut
    return points
