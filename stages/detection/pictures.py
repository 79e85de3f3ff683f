"""Sample detections as one picture: truth in white, detections in colour with class and confidence."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

COLUMNS, CELL = 4, 220
COLORS = {
    "outwear": (230, 120, 30),
    "bottom": (40, 110, 220),
    "dress": (200, 50, 160),
    "top": (30, 160, 70),
    "vest": (130, 90, 200),
    "headwear": (210, 40, 40),
    "footwear": (20, 160, 180),
}


def draw_samples(samples: list[tuple[str, np.ndarray, np.ndarray, list[dict[str, Any]]]], path: Path) -> None:
    """Write a grid of pictures.

    Args:
        samples: image id, pixels [height, width, 3], true corners [n, 4], detections.
    """
    rows = (len(samples) + COLUMNS - 1) // COLUMNS
    sheet = Image.new("RGB", (COLUMNS * CELL, max(rows, 1) * CELL), (60, 60, 60))
    for index, (_, image, truth, found) in enumerate(samples):
        cell = _draw(image, truth, found)
        sheet.paste(cell, ((index % COLUMNS) * CELL, (index // COLUMNS) * CELL))
    path.parent.mkdir(parents=True, exist_ok=True)
    # JPEG, not PNG: deflate may pack differently on another CPU, and these files are compared by their bytes.
    sheet.save(path, quality=85)


def _draw(image: np.ndarray, truth: np.ndarray, found: list[dict[str, Any]]) -> Image.Image:
    picture = Image.fromarray(image)
    scale = (CELL - 4) / max(picture.size)
    picture = picture.resize((max(1, round(picture.width * scale)), max(1, round(picture.height * scale))))
    draw = ImageDraw.Draw(picture)
    for box in truth:
        draw.rectangle([float(side) * scale for side in box], outline="white")
    for row in found:
        color = COLORS.get(row["superclass"], (255, 255, 0))
        x1, y1, x2, y2 = (row[side] * scale for side in ("x1", "y1", "x2", "y2"))
        draw.rectangle([x1, y1, x2, y2], outline=color, width=2)
        text = f"{row['superclass']} {row['confidence']:.2f}"
        at = (x1 + 2, max(y1 - 12, 0))
        draw.rectangle(draw.textbbox(at, text), fill=color)
        draw.text(at, text, fill="white")
    return picture
