"""Line charts as plain numbers: a panel for each curve's name, lines told apart by color and by dashes."""

from collections.abc import Callable
from math import ceil, floor, isfinite, log10
from pathlib import Path
from typing import Any

from stages.page.lookup import csv_rows

Row = dict[str, Any]
WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 320, 190, 46, 26, 8
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#56b4e9", "#1b1f23", "#e69f00")
DASHES = ("", "6 3", "2 3", "8 3 2 3", "1 4", "10 4", "4 2 1 2", "3 1")


def panels(path: Path, wanted: Callable[[str], bool]) -> list[Row]:
    """The wanted panels of a table of curves (panel, line, x, y), each drawn; none where there is no table.

    A value that is no number, as of a training that diverged, is left out of its line.
    """
    result: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for row in csv_rows(path):
        if wanted(row["panel"]) and row["y"] and isfinite(float(row["y"])):
            result.setdefault(row["panel"], {}).setdefault(row["line"], []).append((float(row["x"]), float(row["y"])))
    return [chart(name, lines) for name, lines in result.items()]


def by_loss(panels_of_losses: list[Row]) -> list[Row]:
    """Panels called "encoder, loss" as one for each loss, with every encoder's lines."""
    result: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for panel in panels_of_losses:
        encoder, _, loss = panel["name"].partition(", ")
        result.setdefault(loss, {}).update({f"{encoder}, {line['name']}": line["points"] for line in panel["lines"]})
    return [chart(loss, lines) for loss, lines in result.items()]


def chart(name: str, lines: dict[str, list[tuple[float, float]]]) -> Row:
    """Places of lines [x, y] in a drawing of WIDTH x HEIGHT, with ticks."""
    xs = [x for points in lines.values() for x, _ in points]
    ys = [y for points in lines.values() for _, y in points]
    (x0, x1), (y0, y1, step) = (min(xs), max(xs)), nice(min(ys), max(ys))
    wide, high = WIDTH - LEFT - 8, HEIGHT - BOTTOM - TOP

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            round(LEFT + wide * ((x - x0) / (x1 - x0) if x1 > x0 else 0.5), 1),
            round(TOP + high * (1 - (y - y0) / (y1 - y0)), 1),
        )

    drawn = []
    for number, (line, points) in enumerate(lines.items()):
        places = [place(*point) for point in sorted(points)]
        drawn.append({
            "name": line, "points": points, "path": " ".join(f"{x:g},{y:g}" for x, y in places), "dots": places,
            "color": COLORS[number % len(COLORS)], "dash": DASHES[(number + number // len(COLORS)) % len(DASHES)],
            "last": f"{sorted(points)[-1][1]:.3f}",
        })  # fmt: skip
    ticks = [y0 + step * number for number in range(round((y1 - y0) / step) + 1)]
    return {
        "name": name, "lines": drawn, "width": WIDTH, "height": HEIGHT, "left": LEFT, "base": HEIGHT - BOTTOM,
        "right": WIDTH - 8,
        "y_ticks": [{"y": place(x0, value)[1], "text": f"{value:g}"} for value in ticks],
        "x_ticks": [{"x": place(value, y0)[0], "text": f"{value:g}"} for value in dict.fromkeys((x0, x1))],
    }  # fmt: skip


def nice(low: float, high: float) -> tuple[float, float, float]:
    """Ends of an axis and the step between its ticks: round numbers that hold both values."""
    if high <= low:
        low, high = low - 0.5, high + 0.5
    rough = (high - low) / 4
    power = 10.0 ** floor(log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    return round(step * floor(low / step), 10), round(step * ceil(high / step), 10), step
