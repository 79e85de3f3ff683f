"""Photos of one item for retrieval: nothing but the item itself is the same in two of them.

Who wears it, what else is worn, the pose, the background and the light are drawn anew for every photo, so that only
what the garment is (kind, cut, colors, pattern, fabric, details) leads from one photo to the other.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from PIL import Image

from stages.demo.drawing.backgrounds import plain_background, scene_background
from stages.demo.drawing.canvas import Box
from stages.demo.drawing.encoding import jpeg_bytes
from stages.demo.drawing.garments import Garment, companions
from stages.demo.drawing.people import random_person
from stages.demo.drawing.photo import Photo, flat_photo, lit, worn_photo
from stages.demo.sources.shared import write_bytes
from stages.demo.truth import Named, Row, garment_rows

Size = tuple[int, int]
WHOLE = (-30, 1030)  # body heights (units) at top and bottom: the whole person
# What a photo shows of a person who wears a garment of a layer, so that the garment stays in the picture.
SPANS: dict[str, tuple[tuple[int, int], ...]] = {
    "upper": ((-20, 780), (-24, 900), (40, 640)),
    "outer": ((-20, 800), (-24, 900), (40, 700)),
    "lower": ((380, 1020), (180, 1020), (60, 1030)),
}
LONG = ("dress", "jumpsuit", "kurta", "coat")  # kinds that reach below the hips
CLOSE_UP = {"upper": (120, 520), "outer": (120, 560), "lower": (440, 900)}


@dataclass(frozen=True)
class Shot:
    """One image file.

    Attributes:
        path: below img/, without suffix.
        item: what it shows; the same garment is in every photo of this name.
        status: the split that upstream's lists give it.
        garment: the item, which is garment 0 of the photo.
        box: of its visible pixels; None where it is hidden.
        content: the file's bytes.
        rows: the ground truth.
    """

    path: str
    item: str
    status: str
    garment: Garment
    box: Box | None
    content: bytes
    rows: list[Row]


def about(photo: Photo, path: str, item: str, view: str | None = None) -> dict[str, Any]:
    """What a ``Shot`` has of its photo and of its names; ``view`` as the truth names it, the photo's own by default."""
    return {
        "path": path,
        "item": item,
        "garment": photo.garments[0],
        "box": photo.boxes.get(0),
        "content": jpeg_bytes(photo.image),
        "rows": garment_rows(path, photo, {0: Named(item, path)}, view=view),
    }


def write_images(folder: Path, shots: Sequence[Shot], missing: Collection[int] = ()) -> list[Row]:
    """The image files below ``folder``, but for the indices in ``missing``, and the ground truth of those written."""
    rows: list[Row] = []
    for index, shot in enumerate(shots):
        if index not in missing:
            write_bytes(folder / f"{shot.path}.jpg", shot.content)
            rows += shot.rows
    return rows


def span_of(rng: Random, garment: Garment, close_up: bool = False) -> tuple[int, int]:
    """Body heights for a photo of a garment; a close-up shows part of it."""
    if close_up:
        return CLOSE_UP[garment.traits.layer]
    return rng.choice((WHOLE, (-24, 960)) if garment.kind in LONG else SPANS[garment.traits.layer])


def studio_photo(rng: Random, size: Size, garment: Garment, view: str, span: tuple[int, int]) -> Photo:
    """The item worn before a studio wall; its index is 0."""
    return _worn(rng, size, garment, view, span, plain_background(rng, size), 0.0)


def street_photo(rng: Random, size: Size, garment: Garment, view: str, span: tuple[int, int]) -> Photo:
    """The item as a customer wears it: a room or a street with things in it, off the middle, in another light."""
    photo = _worn(rng, size, garment, view, span, scene_background(rng, size), rng.choice((-16, -8, 0, 8, 16)) / 100)
    return lit(rng, photo)


def laid_photo(rng: Random, size: Size, garment: Garment, white: bool = False) -> Photo:
    """The item alone, flat."""
    return flat_photo(rng, size, garment, plain_background(rng, size, white), rng.randint(66, 94))


def _worn(
    rng: Random,
    size: Size,
    garment: Garment,
    view: str,
    span: tuple[int, int],
    background: Image.Image,
    shift: float,
) -> Photo:
    gender = garment.gender
    clothes = [garment, *companions(rng, garment, gender)]
    return worn_photo(rng, size, random_person(rng, gender), clothes, view, span, background, shift)
