"""Photos: a person wearing garments, or garments laid flat. Both give the image and the box of each garment as drawn."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import numpy as np
from PIL import Image

from stages.demo.accessories import cap_shape, flip_flop_from_above, rounded_outline, shoe_shape
from stages.demo.body import FLAT_POSE, Body, Pose, across, arm, body_for, leg, random_pose, tube
from stages.demo.canvas import SUPER, Box, Canvas, Frame
from stages.demo.details import lower_trims, torso_trims
from stages.demo.garments import Garment
from stages.demo.palette import HAIRS, RGB, SKINS, scaled
from stages.demo.silhouettes import Shape, clothing

KNEES_UP = 500  # photos that begin below this height show legs and feet only
FOOT_SCALE = 0.34  # body units per shoe unit: a foot of 300 shoe units is 102 body units long


@dataclass(frozen=True)
class Person:
    """Who wears the clothes: the same in every photo of a person."""

    gender: str
    skin: RGB
    hair: RGB
    long_hair: bool
    build: int


@dataclass(frozen=True)
class Photo:
    """A finished picture.

    Attributes:
        image: RGB at the final size.
        boxes: garment index -> box (x0, y0, x1, y1) around its visible pixels, ends exclusive.
        outlines: garment index -> its panels' outlines in final pixels, not clipped to the image.
    """

    image: Image.Image
    boxes: dict[int, Box]
    outlines: dict[int, list[list[tuple[float, float]]]]

    def shows(self, index: int) -> bool:
        """Whether enough of a garment is visible that a person would label it: not a sliver under another one."""
        if index not in self.boxes:
            return False
        x0, y0, x1, y1 = self.boxes[index]
        large = (x1 - x0) * (y1 - y0) * 150 >= self.image.width * self.image.height
        return large and min(x1 - x0, y1 - y0) * 20 >= self.image.width


def random_person(rng: Random, gender: str) -> Person:
    """A person of a gender ("Men" or "Women")."""
    long_hair = rng.random() < (0.08 if gender == "Men" else 0.75)
    return Person(gender, rng.choice(SKINS), rng.choice(HAIRS), long_hair, rng.randint(92, 110))


def plain_background(rng: Random, size: tuple[int, int], white: bool = False) -> Image.Image:
    """A studio wall: almost one colour, brighter in the middle."""
    tone = (
        (250, 250, 250)
        if white
        else rng.choice(((240, 240, 240), (228, 230, 234), (236, 230, 222), (220, 226, 228), (246, 244, 240)))
    )
    fall = 4 if white else rng.randint(8, 22)
    rows = np.abs(np.arange(size[1]) * 200 // size[1] - 90)
    levels = np.array(tone, np.int64)[None, :] - (rows * fall // 100)[:, None]
    return Image.fromarray(np.broadcast_to(levels[:, None, :], (size[1], size[0], 3)).astype(np.uint8))


def scene_background(rng: Random, size: tuple[int, int]) -> Image.Image:
    """A room or a street: wall and floor, with a few plain things in it."""
    wall = rng.choice(
        (
            (196, 206, 214),
            (214, 200, 184),
            (176, 190, 170),
            (150, 160, 172),
            (224, 216, 206),
            (188, 170, 160),
            (204, 212, 196),
        )
    )
    floor = rng.choice(((150, 126, 102), (128, 130, 134), (186, 172, 150), (110, 118, 96), (168, 160, 158)))
    pixels = np.empty((size[1], size[0], 3), np.int64)
    horizon = size[1] * rng.randint(64, 88) // 100
    pixels[:horizon] = np.array(wall) - (np.arange(horizon) * 18 // max(1, horizon))[:, None, None]
    pixels[horizon:] = floor
    for _ in range(rng.randint(1, 4)):
        x, width = rng.randint(-20, size[0]), rng.randint(12, size[0] // 2)
        y = rng.randint(0, horizon // 2)
        bottom = horizon + rng.randint(-horizon // 4, 6)
        tint = np.array([rng.randint(-34, 30) for _ in range(3)])
        pixels[y:bottom, max(0, x) : max(0, x + width)] += tint
    if rng.random() < 0.3:
        pixels[: horizon - 4 : 16] -= 20  # bricks or boards
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


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
        rng: chance of pose, place and light.
        size: width and height of the photo.
        person: who wears them.
        garments: in any order; drawn lower, upper, outer, feet, head. Index in this list = index of boxes.
        view: front, side or back.
        span: body heights (units) at the photo's top and bottom.
        background: a scene by default.
        shift: how far off the middle the person stands, as a share of the width.
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
        layer: [(i, g) for i, g in numbered.items() if g.cut.layer == layer]
        for layer in ("lower", "upper", "outer", "feet", "head")
    }

    if view != "back" and person.long_hair:
        _hair_behind(canvas, frame, person, view)
    if view == "side":  # the far arm, behind the trunk
        _arms(canvas, frame, person, body, Pose(pose.arms[::-1], pose.legs), (-1,))
    _trunk_skin(canvas, frame, person, body, pose)
    feet = layers["feet"] if layers["feet"] else [(0, None)]
    for owner, shoe in feet:
        _feet(canvas, frame, person, body, pose, shoe, owner, view)
    dressed = [*layers["lower"], *layers["upper"], *layers["outer"]]
    shapes = {owner: clothing(garment, body, pose) for owner, garment in dressed}
    for owner, garment in dressed:
        canvas.under(garment, shapes[owner], frame, owner)
        canvas.pieces(garment, shapes[owner].parts, shapes[owner], frame, owner)
        details = torso_trims if garment.cut.family == "torso" else lower_trims
        canvas.trims(garment, details(garment, body, pose), frame, owner)
    sleeved = [(owner, garment) for owner, garment in dressed if garment.sleeve in ("short", "long")]
    _arms(canvas, frame, person, body, pose, (1,) if view == "side" else (-1, 1), bool(sleeved))
    covered = any(garment.cut.layer == "outer" and garment.sleeve == "long" for _, garment in sleeved)
    for owner, garment in sleeved:
        if garment.cut.layer == "outer" or not covered:
            canvas.pieces(garment, shapes[owner].sleeves, shapes[owner], frame, owner)
            canvas.trims(garment, torso_trims(garment, body, pose), frame, owner)
    _head(canvas, frame, person, view)
    for owner, cap in layers["head"]:
        shape = cap_shape(cap, view)
        canvas.whole(cap, shape, frame.within(0, 12, 1.06), owner)
    return _photo(rng, canvas, 3)


def flat_photo(
    rng: Random, size: tuple[int, int], garment: Garment, background: Image.Image | None = None, fill: int | None = None
) -> Photo:
    """One garment alone, as a shop shows it.

    Args:
        rng: chance of place, light and background.
        size: width and height of the photo.
        garment: what to show; its index in the result is 0.
        background: a studio wall by default.
        fill: how much of the photo it takes, in percent of the tighter side.
    """
    background = background or plain_background(rng, size)
    canvas = Canvas(size, background, rng.randint(-40, 40))
    fill = fill or rng.randint(74, 92)
    placements = _flat_shapes(rng, garment)
    points = [(x + dx, y + dy) for shape, dx, dy in placements for panel in _panels(shape) for x, y in panel]
    left, right = min(x for x, _ in points), max(x for x, _ in points)
    top, bottom = min(y for _, y in points), max(y for _, y in points)
    scale = min(size[0] * SUPER * fill / (100 * (right - left)), size[1] * SUPER * fill / (100 * (bottom - top)))
    flip = garment.cut.family in ("shoe", "cap") and rng.random() < 0.5
    centre = (right + left) / 2 * (-1 if flip else 1)
    jitter = [rng.randint(-2, 2) * size[axis] * SUPER / 100 for axis in (0, 1)]
    frame = Frame(
        size[0] * SUPER / 2 - centre * scale + jitter[0],
        size[1] * SUPER / 2 - (top + bottom) / 2 * scale + jitter[1],
        scale,
        flip,
    )
    for shape, dx, dy in placements:
        moved = frame.within(dx, dy, 1)
        _shadow(canvas, shape, moved)
        canvas.whole(garment, shape, moved, 1)
    return _photo(rng, canvas, 2)


def _flat_shapes(rng: Random, garment: Garment) -> list[tuple[Shape, float, float]]:
    """Shapes to place, with their offsets: shoes mostly come in pairs."""
    family = garment.cut.family
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
        *shape.parts,
        *shape.sleeves,
        *(points for points, _ in shape.extras),
        *(points for points, _ in shape.under),
    ]


def _shadow(canvas: Canvas, shape: Shape, frame: Frame) -> None:
    """A soft shadow on the wall behind a flat garment: a flat tone is enough at this size."""
    for points in (*shape.parts, *shape.sleeves):
        outline = [(x + 4, y + 5) for x, y in frame.pixels(points)]
        x, y = min(max(outline[0][0], 0), canvas.wide[0] - 1), min(max(outline[0][1], 0), canvas.wide[1] - 1)
        below = canvas.image.getpixel((0, y if x >= 0 else 0))
        canvas.draw.polygon(outline, fill=scaled(below, 88))


def _photo(rng: Random, canvas: Canvas, noise: int) -> Photo:
    boxes = {owner - 1: box for owner, box in canvas.boxes().items() if owner > 0}
    outlines = {
        owner - 1: [[(x / SUPER, y / SUPER) for x, y in panel] for panel in panels]
        for owner, panels in canvas.outlines.items()
        if owner > 0
    }
    return Photo(canvas.finish(rng, noise), boxes, outlines)


def _trunk_skin(canvas: Canvas, frame: Frame, person: Person, body: Body, pose: Pose) -> None:
    skin = person.skin
    for side in (-1, 1):
        outline = tube(leg(body, pose, side), 2, (body.leg, body.leg * 0.68, body.leg * 0.42))
        canvas.polygon(frame.pixels(outline), scaled(skin, 96), edge=scaled(skin, 84))
    neck = 15 if body.view == "side" else 26
    right = [
        (float(neck), 110.0),
        (neck + 4.0, 160.0),
        (body.shoulder - 6, 186.0),
        (body.chest - 4, 278.0),
        (body.waist - 4, 388.0),
        (body.hip - 4, 500.0),
        (10.0, 560.0),
    ]
    canvas.polygon(frame.pixels([*right, *[(-x, y) for x, y in reversed(right)]]), skin, edge=scaled(skin, 86))


def _arms(
    canvas: Canvas, frame: Frame, person: Person, body: Body, pose: Pose, sides: tuple[int, ...], sleeved: bool = False
) -> None:
    """Arms and hands; under a sleeve only what can come out of it, so that no skin shows at the seam."""
    for side in sides:
        limb = arm(body, pose, side)
        outline = tube(limb, 2, (body.arm, body.arm * 0.8, body.arm * 0.6))
        if sleeved:
            outline[0], outline[-1] = across(limb, 0, 0.4, body.arm * 0.9), across(limb, 0, 0.4, -body.arm * 0.9)
        else:
            canvas.ellipse(frame, limb.joints[0], body.arm * 0.98, body.arm * 0.98, person.skin)
        canvas.polygon(frame.pixels(outline), person.skin, edge=scaled(person.skin, 84))
        hand = limb.joints[2]
        canvas.ellipse(frame, (hand[0], hand[1] + 12), 16, 22, person.skin)


def _feet(
    canvas: Canvas, frame: Frame, person: Person, body: Body, pose: Pose, shoe: Garment | None, owner: int, view: str
) -> None:
    for side in (-1, 1):
        ankle = leg(body, pose, side).joints[2]
        turned = side < 0 and view != "side"
        place = frame.within(ankle[0] + (48 if turned else -48) * FOOT_SCALE, ankle[1] - 6, FOOT_SCALE, turned)
        if shoe is None:
            foot = rounded_outline(
                [(16.0, 96.0), (10.0, 0.0), (84.0, 0.0), (180.0, 58.0), (284.0, 90.0), (280.0, 108.0), (20.0, 108.0)]
            )
            canvas.polygon(place.pixels(foot), scaled(person.skin, 96), edge=scaled(person.skin, 80))
        else:
            canvas.whole(shoe, shoe_shape(shoe, worn=True), place, owner, person.skin)


def _hair_behind(canvas: Canvas, frame: Frame, person: Person, view: str) -> None:
    wide = 50 if view == "front" else 40
    back = -14 if view == "side" else 0
    outline = [
        (-wide + back, 50),
        (-wide - 6 + back, 200),
        (-20 + back, 225),
        (20 + back, 225),
        (wide + 6 + back * 3, 200),
        (wide + back, 50),
    ]
    canvas.polygon(
        frame.pixels(rounded_outline([(float(x), float(y)) for x, y in outline], 1)), scaled(person.hair, 90)
    )


def _head(canvas: Canvas, frame: Frame, person: Person, view: str) -> None:
    skin, hair = person.skin, person.hair
    if view == "back":
        canvas.ellipse(frame, (0, 66), 45, 58, hair)
        if person.long_hair:
            canvas.polygon(
                frame.pixels([(-45.0, 60.0), (45.0, 60.0), (52.0, 210.0), (0.0, 228.0), (-52.0, 210.0)]), hair
            )
        return
    canvas.ellipse(frame, (0, 62), 47, 58, hair)
    if view == "side":
        canvas.polygon(
            frame.pixels(
                [
                    (10.0, 24.0),
                    (42.0, 40.0),
                    (44.0, 62.0),
                    (54.0, 76.0),
                    (44.0, 84.0),
                    (42.0, 106.0),
                    (30.0, 122.0),
                    (-2.0, 112.0),
                    (-8.0, 60.0),
                ]
            ),
            skin,
        )
        canvas.ellipse(frame, (30, 62), 4, 4, (40, 34, 34))
        canvas.ellipse(frame, (-10, 74), 8, 12, scaled(skin, 90))
        return
    canvas.ellipse(frame, (0, 74), 40, 50, skin)
    fringe = [
        (-42.0, 70.0),
        (-40.0, 24.0),
        (0.0, 6.0),
        (40.0, 24.0),
        (42.0, 70.0),
        (30.0, 38.0),
        (-6.0, 32.0),
        (-30.0, 44.0),
    ]
    canvas.polygon(frame.pixels(fringe), hair)
    for side in (-1, 1):
        canvas.ellipse(frame, (side * 16, 70), 5, 4, (40, 34, 34))
    canvas.polygon(frame.pixels([(-12.0, 100.0), (12.0, 100.0), (0.0, 107.0)]), (176, 78, 78))
    canvas.polygon(frame.pixels([(-2.0, 74.0), (4.0, 90.0), (-4.0, 90.0)]), scaled(skin, 88))
