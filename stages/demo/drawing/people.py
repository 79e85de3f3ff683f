"""People: their looks, and the drawing of their skin and hair."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from stages.demo.drawing.accessories import shoe_shape
from stages.demo.drawing.body import Body, Pose, across, arm, leg, tube
from stages.demo.drawing.canvas import Canvas, Frame
from stages.demo.drawing.garments import Garment
from stages.demo.drawing.palette import HAIRS, RGB, SKINS, scaled
from stages.demo.drawing.trims import rounded_outline

FOOT_SCALE = 0.34  # body units per shoe unit: a foot of 300 shoe units is 102 body units long


@dataclass(frozen=True)
class Person:
    """The looks of a person, the same in every photo of the person."""

    gender: str
    skin: RGB
    hair: RGB
    long_hair: bool
    build: int


def random_person(rng: Random, gender: str) -> Person:
    """A person of a gender ("Men" or "Women")."""
    long_hair = rng.random() < (0.08 if gender == "Men" else 0.75)
    return Person(gender, rng.choice(SKINS), rng.choice(HAIRS), long_hair, rng.randint(92, 110))


def draw_trunk_skin(canvas: Canvas, frame: Frame, person: Person, body: Body, pose: Pose) -> None:
    """Legs, neck and trunk."""
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


def draw_arms(
    canvas: Canvas, frame: Frame, person: Person, body: Body, pose: Pose, sides: tuple[int, ...], sleeved: bool = False
) -> None:
    """Arms and hands; under a sleeve only the skin below it, so that no skin shows at the seam."""
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


def draw_feet(
    canvas: Canvas, frame: Frame, person: Person, body: Body, pose: Pose, shoe: Garment | None, owner: int, view: str
) -> None:
    """Both feet, in shoes or bare."""
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


def draw_hair_behind(canvas: Canvas, frame: Frame, person: Person, view: str) -> None:
    """Long hair that falls behind the shoulders; drawn before everything else."""
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


def draw_head(canvas: Canvas, frame: Frame, person: Person, view: str) -> None:
    """Head, face and hair."""
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
