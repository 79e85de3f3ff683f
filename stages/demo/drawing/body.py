"""The human body in drawing units: 1000 units from the crown to the ground, x = 0 in the middle, y downwards.

Angles are whole degrees, with a table of sines in ten-thousandths, because the last bit of the C library's sine may
differ between machines.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from random import Random

Point = tuple[float, float]

# sin(0), sin(5), ..., sin(90) in ten-thousandths
_SINES = (0, 872, 1736, 2588, 3420, 4226, 5000, 5736, 6428, 7071, 7660, 8192, 8660, 9063, 9397, 9659, 9848, 9962, 10000)


def _sine(degrees: int) -> float:
    degrees %= 360
    if degrees >= 180:
        return -_sine(degrees - 180)
    if degrees > 90:
        degrees = 180 - degrees
    low, rest = divmod(degrees, 5)
    if rest == 0:
        return _SINES[low] / 10000
    return (_SINES[low] * (5 - rest) + _SINES[low + 1] * rest) / 50000


@lru_cache(maxsize=720)
def direction(degrees: int) -> Point:
    """Unit vector of a limb: 0 hangs straight down, positive turns toward +x."""
    return _sine(degrees), _sine(90 - degrees)


def along(start: Point, degrees: int, length: float) -> Point:
    """The point at a distance from start in a direction."""
    dx, dy = direction(degrees)
    return start[0] + dx * length, start[1] + dy * length


@dataclass(frozen=True)
class Body:
    """Half widths (units) of a body seen from one view, and its depth in that view."""

    shoulder: float
    chest: float
    waist: float
    hip: float
    arm: float
    leg: float
    view: str = "front"

    @property
    def shoulder_joint(self) -> float:
        """Half distance between the shoulder joints."""
        return 14 if self.view == "side" else self.shoulder - 18

    @property
    def hip_joint(self) -> float:
        """Half distance between the hip joints."""
        return 12 if self.view == "side" else self.hip * 0.5


@dataclass(frozen=True)
class Pose:
    """Limb angles in degrees, outwards positive: (upper arm, forearm) and (thigh, shin), left then right."""

    arms: tuple[tuple[int, int], tuple[int, int]]
    legs: tuple[tuple[int, int], tuple[int, int]]


BODIES = {"Men": Body(122, 94, 86, 86, 27, 45), "Women": Body(102, 82, 62, 92, 22, 44)}
# A garment laid flat: arms and legs a little apart, both sides alike.
FLAT_POSE = Pose(((24, 14), (24, 14)), ((3, 2), (3, 2)))


def body_for(gender: str, view: str, build: int = 100) -> Body:
    """The body of a gender ("Men" or "Women") seen from a view, build in percent of the mean width."""
    body = BODIES["Men" if gender in ("Men", "Boys") else "Women"]
    widths = {name: getattr(body, name) * build / 100 for name in ("shoulder", "chest", "waist", "hip", "arm", "leg")}
    if view == "side":
        narrower = {"shoulder": 0.58, "chest": 0.74, "waist": 0.80, "hip": 0.82, "arm": 1.0, "leg": 1.1}
        widths = {name: value * narrower[name] for name, value in widths.items()}
    return replace(body, view=view, **widths)


def random_pose(rng: Random, view: str) -> Pose:
    """A standing pose that suits the view; seen from the side the limbs swing forwards and backwards."""
    if view == "side":
        swing, stride = rng.randint(-8, 22), rng.randint(3, 14)
        return Pose(((swing, -swing - 6), (swing + 4, swing + 14)), ((stride, stride + 4), (stride, stride - 3)))
    arms = [_random_arm(rng) for _ in range(2)]
    legs = [(rng.randint(1, 7), rng.randint(-2, 4)) for _ in range(2)]
    return Pose((arms[0], arms[1]), (legs[0], legs[1]))


def _random_arm(rng: Random) -> tuple[int, int]:
    kind = rng.randrange(6)
    if kind == 0:
        return rng.randint(34, 44), rng.randint(-50, -34)  # hand on the hip
    if kind == 1:
        return rng.randint(30, 55), rng.randint(20, 70)  # held away from the body
    return rng.randint(10, 24), rng.randint(2, 16)  # hanging


UPPER_ARM, FOREARM, THIGH, SHIN = 150.0, 140.0, 232.0, 215.0
SHOULDER_Y, HIP_Y = 202.0, 500.0


@dataclass(frozen=True)
class Limb:
    """Three joints of a limb and the directions of its two bones; side is -1 (image left) or 1."""

    joints: tuple[Point, Point, Point]
    degrees: tuple[int, int]
    side: int


def arm(body: Body, pose: Pose, side: int) -> Limb:
    """Shoulder, elbow and wrist of one side."""
    upper, fore = (side * angle for angle in pose.arms[0 if side < 0 else 1])
    shoulder = (side * body.shoulder_joint, SHOULDER_Y)
    elbow = along(shoulder, upper, UPPER_ARM)
    return Limb((shoulder, elbow, along(elbow, fore, FOREARM)), (upper, fore), side)


def leg(body: Body, pose: Pose, side: int) -> Limb:
    """Hip, knee and ankle of one side."""
    thigh, shin = (side * angle for angle in pose.legs[0 if side < 0 else 1])
    hip = (side * body.hip_joint, HIP_Y)
    knee = along(hip, thigh, THIGH)
    return Limb((hip, knee, along(knee, shin, SHIN)), (thigh, shin), side)


def across(limb: Limb, bone: int, reach: float, offset: float) -> Point:
    """A point at a share (0..1) of a bone, offset units outwards (negative: toward the body's middle)."""
    start = limb.joints[bone]
    end = limb.joints[bone + 1]
    dx, dy = direction(limb.degrees[bone])
    x, y = start[0] + (end[0] - start[0]) * reach, start[1] + (end[1] - start[1]) * reach
    return x + dy * limb.side * offset, y - dx * limb.side * offset


def tube(limb: Limb, reach: float, widths: tuple[float, float, float]) -> list[Point]:
    """The outline around a limb down to a reach of 0..2 bones; half widths at the top, the joint and the end."""
    top, middle, end = widths
    if reach <= 1:
        last = top + (end - top)
        return [
            across(limb, 0, 0, top),
            across(limb, 0, reach, last),
            across(limb, 0, reach, -last),
            across(limb, 0, 0, -top),
        ]
    return [
        across(limb, 0, 0, top),
        across(limb, 0, 1, middle),
        across(limb, 1, reach - 1, end),
        across(limb, 1, reach - 1, -end),
        across(limb, 0, 1, -middle),
        across(limb, 0, 0, -top),
    ]
