"""Outlines of clothes in body units: pure functions of a garment, a body and a pose that return polygons and trims."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from stages.demo.drawing.body import HIP_Y, SHIN, THIGH, Body, Limb, Point, Pose, across, arm, leg, tube
from stages.demo.drawing.garments import Garment


@dataclass(frozen=True)
class Trim:
    """A detail drawn over the fabric and clipped to it: poly, line (width in units) or dots (radius in units)."""

    shape: str
    points: tuple[Point, ...]
    ink: str
    width: float = 0


@dataclass
class Shape:
    """A garment ready to draw, from the back to the front.

    Attributes:
        under: insides visible in an opening, drawn first; hidden ones do not count in the garment's box.
        panels: of fabric, in order; sleeves come after the arms.
        sleeves: fabric panels that cover the arms.
        extras: solid pieces of another material (soles, straps), with their ink, part of the garment.
        trims: details clipped to the garment.
        anchor: center of the pattern.
        skin: pieces of skin to draw between ``under`` and ``panels`` (a foot in a sandal), only when worn.
    """

    anchor: Point
    panels: list[list[Point]] = field(default_factory=list)
    sleeves: list[list[Point]] = field(default_factory=list)
    under: list[tuple[list[Point], str]] = field(default_factory=list)
    extras: list[tuple[list[Point], str]] = field(default_factory=list)
    trims: list[Trim] = field(default_factory=list)
    skin: list[list[Point]] = field(default_factory=list)


NECK_WIDTH = {"crew": 42, "v": 44, "scoop": 60, "square": 58, "turtle": 36, "collar": 42}
NECK_DEPTH = {"crew": 26, "v": 92, "scoop": 66, "square": 60, "turtle": -14, "collar": 42}
SLEEVE_REACH = {"short": 0.72, "long": 1.95}


def body_half_width(body: Body, y: float) -> float:
    """Half width of the trunk at a height, linear between the measured heights."""
    heights = ((190.0, body.shoulder), (278.0, body.chest), (388.0, body.waist), (500.0, body.hip))
    if y <= heights[0][0]:
        return heights[0][1]
    for (y0, w0), (y1, w1) in pairwise(heights):
        if y <= y1:
            return w0 + (w1 - w0) * (y - y0) / (y1 - y0)
    return body.hip


class Trunk:
    """The trunk of a garment: half widths by height, from the shoulder line down to the hem."""

    def __init__(self, garment: Garment, body: Body) -> None:
        self.garment, self.body = garment, body
        ease = garment.ease
        waist = body.waist + ease * 0.9
        hanging = max(waist, (body.chest + body.hip) / 2 + ease - 10)  # from the chest, instead of following the waist
        if garment.gender == "Men" or garment.kind == "kurta":
            waist = hanging
        elif garment.kind in ("sweatshirt", "jacket", "sweater", "cardigan", "coat"):  # women's: loose, but waisted
            waist += (hanging - waist) * 0.35
        self.sleeveless = garment.sleeve in ("none", "sling")
        self.tip = (body.shoulder - 24, 184.0) if self.sleeveless else (body.shoulder + 3, 190.0)
        self.heights = [(278.0, body.chest + ease), (388.0, waist), (500.0, body.hip + ease)]
        if garment.hem > 500:
            self.heights.append((float(garment.hem), body.hip + ease + garment.flare))

    def half_width(self, y: float) -> float:
        """Half width of the garment at a height below the armpit."""
        heights = self.heights
        for (y0, w0), (y1, w1) in pairwise(heights):
            if y <= y1:
                return w0 + (w1 - w0) * (max(y, y0) - y0) / (y1 - y0)
        return heights[-1][1]

    def side(self) -> list[Point]:
        """The right edge from the shoulder tip to the hem."""
        points = [self.tip]
        if self.sleeveless:
            points += [(self.body.shoulder - 34, 232.0), (self.body.chest - 2, 270.0)]
        points += [(width, y) for y, width in self.heights if y < self.garment.hem]
        return [*points, (self.half_width(self.garment.hem), float(self.garment.hem))]

    def neck(self) -> list[Point]:
        """The neckline from the right shoulder to the left one."""
        garment, view = self.garment, self.body.view
        width = NECK_WIDTH[garment.neckline] * (0.55 if view == "side" else 1)
        depth = NECK_DEPTH[garment.neckline]
        if view == "back":
            depth = min(depth, 12)
        if view == "side":
            depth *= 0.5
        top = 168.0
        if garment.neckline == "v" and view != "back":
            return [(width, top), (0, top + depth), (-width, top)]
        if garment.neckline == "square" and view != "back":
            return [(width, top), (width * 0.85, top + depth), (-width * 0.85, top + depth), (-width, top)]
        low, mid = top + depth, top + depth * 0.78
        return [(width, top), (width * 0.62, mid), (0, low), (-width * 0.62, mid), (-width, top)]


def mirrored(points: list[Point]) -> list[Point]:
    """The points of the other side, in the order that closes an outline."""
    return [(-x, y) for x, y in reversed(points)]


def clothing(garment: Garment, body: Body, pose: Pose) -> Shape:
    """The shape of a torso, legs or skirt garment on a body."""
    family = garment.traits.family
    if family == "legs":
        return legs_shape(garment, body, pose)
    if family == "skirt":
        return skirt_shape(garment, body)
    shape = torso_shape(garment, body, pose)
    if garment.kind == "jumpsuit":
        shape.panels += legs_shape(garment, body, pose, reach=1.9).panels
    return shape


def torso_shape(garment: Garment, body: Body, pose: Pose) -> Shape:
    """Shirts, tops, sweaters, jackets, dresses: a trunk and sleeves."""
    trunk = Trunk(garment, body)
    shape = Shape(anchor=(0.0, 170.0 + (garment.hem - 170) * (0.5 if garment.hem < 620 else 0.58)))
    side, neck = trunk.side(), trunk.neck()
    if garment.sleeve == "sling":
        side = [(body.chest - 12, 246.0), *side[3:]]
        neck = [(body.chest - 40, 232.0), (0.0, 254.0), (-(body.chest - 40), 232.0)]
        for sign in (-1, 1):
            x0, x1 = sign * (body.chest - 42), sign * (body.shoulder * 0.5)
            shape.panels.append([(x0 - 6, 250.0), (x1 - 6, 172.0), (x1 + 6, 172.0), (x0 + 6, 250.0)])
    if garment.opened and body.view in ("front", "flat"):
        width, hem = neck[0][0], float(garment.hem)
        # the opening widens downwards, so that the layer below can be seen
        for panel in ([*side, (34.0, hem), (26.0, 330.0), (width * 0.7, 200.0), (width, 168.0)],):
            shape.panels += [list(panel), mirrored(list(panel))]
        if body.view == "flat":
            shape.under.append(([(-width, 160.0), (width, 160.0), (30.0, hem - 6), (-30.0, hem - 6)], "inside"))
    else:
        shape.panels.append([*side, *mirrored(side), *reversed(neck)])
    if body.view == "flat" and garment.sleeve != "sling":
        width = neck[0][0]
        shape.under.append(([(-width, 170.0), (0.0, 160.0), (width, 170.0), *neck], "inside"))
    if garment.neckline == "turtle":
        shape.panels.append([(-38.0, 128.0), (38.0, 128.0), (44.0, 172.0), (-44.0, 172.0)])
    if not trunk.sleeveless:
        for sign in (-1, 1) if body.view != "side" else (1,):
            shape.sleeves.append(sleeve(garment, body, arm(body, pose, sign)))
    return shape


def sleeve(garment: Garment, body: Body, limb: Limb) -> list[Point]:
    """The outline of a sleeve around an arm, set into the shoulder."""
    reach, ease = SLEEVE_REACH[garment.sleeve], garment.ease * 0.7
    if garment.sleeve == "short" and garment.gender == "Women":
        reach -= 0.16
    flared = 12 if garment.kind in ("blouse", "kurta") else 4
    widths = (body.arm + 10 + ease, body.arm + 4 + ease * 0.7, body.arm - 4 + ease * 0.6)
    if reach <= 1:
        widths = (widths[0], widths[1], body.arm + ease + flared + 2)
    elif garment.kind in ("blouse", "kurta"):
        widths = (widths[0], widths[1], widths[1] + 6)
    outline = tube(limb, reach, widths)
    inside = 0.5 if body.view == "side" else 0.74
    shoulder = (limb.side * body.shoulder * inside, 178.0)
    armpit = (limb.side * (body.chest + garment.ease - 10) * (0.4 if body.view == "side" else 1), 284.0)
    if body.view == "side":
        return [(-14.0, 180.0), *outline]
    # set in below the joint, as sleeves would look padded otherwise
    return [shoulder, across(limb, 0, 0.12, widths[0] * 0.86), *outline[1:-1], armpit]


def legs_shape(garment: Garment, body: Body, pose: Pose, reach: float | None = None) -> Shape:
    """Trousers, jeans, leggings, shorts: two legs that meet in the middle."""
    reach = reach if reach is not None else garment.hem / 100
    womens = garment.gender in ("Women", "Girls")
    waist_y = 390.0 if womens else 420.0
    ease = garment.ease
    waist = body_half_width(body, waist_y) + 2 + ease * 0.2
    narrow = garment.kind == "leggings" or (garment.kind == "jeans" and womens)  # men's jeans are cut straight
    knee = body.leg * (0.78 if narrow else 0.9) + ease * 0.6
    hem = body.leg * (0.58 if narrow else 0.78) + ease * (0.5 if garment.kind != "trousers" else 1.1)
    if garment.kind == "track_pants":
        hem = body.leg * 0.62
    if womens:  # cut closer to the leg
        knee, hem = knee * 0.88, hem * 0.8
    bottom = HIP_Y + THIGH * min(reach, 1) + SHIN * max(reach - 1, 0)
    shape = Shape(anchor=(0.0, (waist_y + bottom) / 2))
    for sign in (-1, 1):
        limb = leg(body, pose, sign)
        hip = (sign * (body.hip + ease * 0.5 + 2), 500.0)
        crotch = (sign * 1.0, 545.0) if body.view != "side" else (-sign * body.hip * 0.7, 520.0)
        waist_inner = (sign * 0.0, waist_y) if body.view != "side" else (-sign * waist, waist_y)
        if reach <= 1:
            wide = body.leg + ease + 2
            lower = [across(limb, 0, reach, wide), across(limb, 0, reach, -wide * 0.86)]
        else:
            lower = [
                across(limb, 0, 1, knee),
                across(limb, 1, reach - 1, hem),
                across(limb, 1, reach - 1, -hem),
                across(limb, 0, 1, -knee * 0.94),
            ]
        shape.panels.append([waist_inner, (sign * waist, waist_y), hip, *lower, crotch])
    return shape


def skirt_shape(garment: Garment, body: Body) -> Shape:
    """A skirt from the waist to the hem, straight or flared."""
    waist = body.waist + 4
    hem_width = body.hip + garment.ease + garment.flare - (10 if garment.flare < 20 else 0)
    edge = [(waist, 390.0), (body.hip + garment.ease + garment.flare * 0.25, 500.0), (hem_width, float(garment.hem))]
    bottom = [(0.0, garment.hem + garment.flare * 0.16)]
    return Shape(anchor=(0.0, (390.0 + garment.hem) / 2), panels=[[*edge, *bottom, *mirrored(edge)]])
