"""Photos: a person wearing garments, or one garment laid flat; with the box of each garment as drawn; image files."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from random import Random

import numpy as np
from PIL import Image

from stages.demo.drawing.accessories import cap_shape, flip_flop_from_above, shoe_shape
from stages.demo.drawing.body import FLAT_POSE, Pose, body_for, random_pose
from stages.demo.drawing.canvas import SUPER, Box, Canvas, Frame
from stages.demo.drawing.garments import Garment
from stages.demo.drawing.palette import plain_background, scaled, scene_background
from stages.demo.drawing.people import Person, draw_arms, draw_feet, draw_hair_behind, draw_head, draw_trunk_skin
from stages.demo.drawing.silhouettes import Shape, clothing
from stages.demo.drawing.trims import lower_trims, torso_trims

JPEG_QUALITY = 90  # above the range of the training augmentation (40-70), which would change nothing otherwise
NEAR_DUPLICATE_QUALITY = 75


def jpeg_bytes(image: Image.Image, quality: int = JPEG_QUALITY) -> bytes:
    """The image as JPEG; full color resolution, no optional encoder passes."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()


def turned_jpeg_bytes(image: Image.Image) -> bytes:
    """The image as stored by a camera held upright: pixels turned by 90 degrees, with an EXIF tag."""
    buffer, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6  # the tag `Orientation`: to be shown turned by 90 degrees clockwise
    turned = image.transpose(Image.Transpose.ROTATE_90)
    turned.save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0, exif=exif)
    return buffer.getvalue()


def near_duplicate_bytes(image: Image.Image) -> bytes:
    """The same picture two gray levels brighter, at another JPEG quality, as another shop would publish it."""
    return jpeg_bytes(image.point([min(255, level % 256 + 2) for level in range(768)]), NEAR_DUPLICATE_QUALITY)


def png_bytes(image: Image.Image) -> bytes:
    """The image as uncompressed PNG, because the output of deflate may depend on the processor."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=0)
    return buffer.getvalue()


KNEES_UP = 500  # photos that begin below this height show legs and feet only


@dataclass(frozen=True)
class Photo:
    """A finished picture.

    Attributes:
        image: RGB at the final size.
        boxes: garment index -> box (x0, y0, x1, y1) around its visible pixels, ends exclusive.
        outlines: garment index -> its panels' outlines in final pixels, not clipped to the image.
        garments: what was drawn, in the order of the indices; a garment without a box is hidden.
        view: front, side, back or flat.
        owners: uint8 [height, width], garment index + 1 of each pixel, 0 = none.
    """

    image: Image.Image
    boxes: dict[int, Box]
    outlines: dict[int, list[list[tuple[float, float]]]]
    garments: list[Garment]
    view: str
    owners: np.ndarray

    def shows(self, index: int) -> bool:
        """Whether enough of a garment is visible for a person to label it."""
        if index not in self.boxes:
            return False
        x0, y0, x1, y1 = self.boxes[index]
        large = (x1 - x0) * (y1 - y0) * 150 >= self.image.width * self.image.height
        return large and min(x1 - x0, y1 - y0) * 20 >= self.image.width


def worn_photo(
    rng: Random,
    size: tuple[int, int],
    person: Person,
    garments: list[Garment],
    view: str = "front",
    span: tuple[float, float] = (-30, 1030),
    background: Image.Image | None = None,
    shift: float = 0.0,
) -> Photo:
    """A person wearing garments.

    Args:
        rng: for random pose, place and light.
        size: width and height of the photo.
        person: the wearer.
        garments: in any order; drawn lower, upper, outer, feet, head. Index in this list = index of boxes.
        view: front, side or back.
        span: body heights (units) at the photo's top and bottom.
        background: a scene by default.
        shift: distance of the person from the middle, as a share of the width.
    """
    background = background or scene_background(rng, size)
    canvas = Canvas(size, background, rng.randint(-60, 60))
    scale = size[1] * SUPER / (span[1] - span[0])
    middle = size[0] * SUPER * (0.5 + shift + rng.randint(-4, 4) / 100)
    frame = Frame(middle, -span[0] * scale, scale, rng.random() < 0.5)
    body, pose = body_for(person.gender, view, person.build), random_pose(rng, view)
    if span[0] > KNEES_UP:  # a close-up of shoes: both feet in the picture
        pose = Pose(pose.arms, ((3, 1), (2, 0)) if view == "side" else ((0, 1), (1, 0)))
    numbered = {index + 1: garment for index, garment in enumerate(garments)}
    layers = {
        layer: [(i, g) for i, g in numbered.items() if g.traits.layer == layer]
        for layer in ("lower", "upper", "outer", "feet", "head")
    }

    if view != "back" and person.long_hair:
        draw_hair_behind(canvas, frame, person, view)
    if view == "side":  # the far arm, behind the trunk
        draw_arms(canvas, frame, person, body, Pose(pose.arms[::-1], pose.legs), (-1,))
    draw_trunk_skin(canvas, frame, person, body, pose)
    feet = layers["feet"] if layers["feet"] else [(0, None)]
    for owner, shoe in feet:
        draw_feet(canvas, frame, person, body, pose, shoe, owner, view)
    dressed = [*layers["lower"], *layers["upper"], *layers["outer"]]
    shapes = {owner: clothing(garment, body, pose) for owner, garment in dressed}
    for owner, garment in dressed:
        canvas.under(garment, shapes[owner], frame, owner)
        canvas.pieces(garment, shapes[owner].panels, shapes[owner], frame, owner)
        details = torso_trims if garment.traits.family == "torso" else lower_trims
        canvas.trims(garment, details(garment, body, pose), frame, owner)
    sleeved = [(owner, garment) for owner, garment in dressed if garment.sleeve in ("short", "long")]
    draw_arms(canvas, frame, person, body, pose, (1,) if view == "side" else (-1, 1), bool(sleeved))
    covered = any(garment.traits.layer == "outer" and garment.sleeve == "long" for _, garment in sleeved)
    for owner, garment in sleeved:
        if garment.traits.layer == "outer" or not covered:
            canvas.pieces(garment, shapes[owner].sleeves, shapes[owner], frame, owner)
            canvas.trims(garment, torso_trims(garment, body, pose), frame, owner)
    draw_head(canvas, frame, person, view)
    for owner, cap in layers["head"]:
        shape = cap_shape(cap, view)
        canvas.whole(cap, shape, frame.within(0, 12, 1.06), owner)
    return _photo(rng, canvas, 3, garments, view)


def flat_photo(
    rng: Random, size: tuple[int, int], garment: Garment, background: Image.Image | None = None, fill: int | None = None
) -> Photo:
    """One garment alone, as a shop shows it.

    Args:
        rng: for random place, light and background.
        size: width and height of the photo.
        garment: its index in the result is 0.
        background: a studio wall by default.
        fill: size of the garment, in percent of the tighter side of the photo.
    """
    background = background or plain_background(rng, size)
    canvas = Canvas(size, background, rng.randint(-40, 40))
    fill = fill or rng.randint(74, 92)
    placements = _flat_shapes(rng, garment)
    points = [(x + dx, y + dy) for shape, dx, dy in placements for panel in _panels(shape) for x, y in panel]
    left, right = min(x for x, _ in points), max(x for x, _ in points)
    top, bottom = min(y for _, y in points), max(y for _, y in points)
    scale = min(size[0] * SUPER * fill / (100 * (right - left)), size[1] * SUPER * fill / (100 * (bottom - top)))
    flip = garment.traits.family in ("shoe", "cap") and rng.random() < 0.5
    center = (right + left) / 2 * (-1 if flip else 1)
    jitter = [rng.randint(-2, 2) * size[axis] * SUPER / 100 for axis in (0, 1)]
    frame = Frame(
        size[0] * SUPER / 2 - center * scale + jitter[0],
        size[1] * SUPER / 2 - (top + bottom) / 2 * scale + jitter[1],
        scale,
        flip,
    )
    for shape, dx, dy in placements:
        moved = frame.within(dx, dy, 1)
        _shadow(canvas, shape, moved)
        canvas.whole(garment, shape, moved, 1)
    return _photo(rng, canvas, 2, [garment], "flat")


def lit(rng: Random, photo: Photo) -> Photo:
    """The photo in the light of a room: darker or brighter, warmer or colder."""
    gain, tint = rng.randint(78, 112), rng.randint(-10, 10)
    gains = np.array([[gain + tint], [gain + tint // 4], [gain - tint]])
    levels = np.minimum(255, np.arange(256) * gains // 100)
    return replace(photo, image=photo.image.point(levels.ravel().tolist()))


def _flat_shapes(rng: Random, garment: Garment) -> list[tuple[Shape, float, float]]:
    """Shapes to place, with their offsets: shoes mostly come in pairs."""
    family = garment.traits.family
    if family == "cap":
        view = rng.choice(("flat", "flat", "front"))
        return [(cap_shape(garment, view), 0, 0)]
    if family == "shoe":
        if garment.kind == "flip_flop":
            shape = flip_flop_from_above(garment)
            return [(shape, 0, -62), (shape, 14, 62)]
        shape = shoe_shape(garment, worn=False)
        return [(shape, 0, 0)] if rng.random() < 0.4 else [(shape, 34, -58), (shape, 0, 0)]
    body = body_for(garment.gender, "flat")
    shape = clothing(garment, body, FLAT_POSE)
    trims = torso_trims if family == "torso" else lower_trims
    shape.trims += trims(garment, body, FLAT_POSE)
    return [(shape, 0, 0)]


def _panels(shape: Shape) -> list[list[tuple[float, float]]]:
    return [
        *shape.panels,
        *shape.sleeves,
        *(points for points, _ in shape.extras),
        *(points for points, _ in shape.under),
    ]


def _shadow(canvas: Canvas, shape: Shape, frame: Frame) -> None:
    """A shadow of one tone on the wall behind a flat garment."""
    for points in (*shape.panels, *shape.sleeves):
        outline = [(x + 4, y + 5) for x, y in frame.pixels(points)]
        x, y = min(max(outline[0][0], 0), canvas.wide[0] - 1), min(max(outline[0][1], 0), canvas.wide[1] - 1)
        below = canvas.image.getpixel((0, y if x >= 0 else 0))
        canvas.draw.polygon(outline, fill=scaled(below, 88))


def _photo(rng: Random, canvas: Canvas, noise: int, garments: list[Garment], view: str) -> Photo:
    boxes = {owner - 1: box for owner, box in canvas.boxes().items() if owner > 0}
    outlines = {
        owner - 1: [[(x / SUPER, y / SUPER) for x, y in panel] for panel in panels]
        for owner, panels in canvas.outlines.items()
        if owner > 0
    }
    owners = np.asarray(canvas.owner)[::SUPER, ::SUPER]
    return Photo(canvas.finish(rng, noise), boxes, outlines, garments, view, owners)
