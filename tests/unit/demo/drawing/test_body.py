"""Joints and outlines of limbs, worked out by hand on limbs that hang straight down or are held out."""

import math
from random import Random

import pytest

from stages.demo.drawing.body import (
    BODIES,
    FOREARM,
    UPPER_ARM,
    Pose,
    across,
    along,
    arm,
    body_for,
    direction,
    leg,
    random_pose,
    tube,
)

STRAIGHT = Pose(((0, 0), (0, 0)), ((0, 0), (0, 0)))
MAN = BODIES["Men"]


@pytest.mark.parametrize(
    ("degrees", "expected"),
    [(0, (0, 1)), (90, (1, 0)), (-90, (-1, 0)), (180, (0, -1)), (30, (0.5, 0.866)), (2, (0.03488, 0.99848))],
)
def test_zero_degrees_hang_down_and_positive_ones_turn_to_the_right(degrees, expected):
    assert direction(degrees) == pytest.approx(expected)


def test_directions_are_those_of_the_sine_to_a_thousandth():
    for degrees in range(-360, 361):
        radians = math.radians(degrees)
        assert direction(degrees) == pytest.approx((math.sin(radians), math.cos(radians)), abs=1e-3), degrees


def test_point_along_a_direction():
    assert along((10, 20), 90, 5) == pytest.approx((15, 20))
    assert along((10, 20), 0, 5) == pytest.approx((10, 25))


def test_build_widens_a_body_and_the_side_shows_less_of_it():
    assert body_for("Boys", "front") == MAN
    assert body_for("Girls", "front") == BODIES["Women"]
    assert body_for("Men", "front", build=110).chest == pytest.approx(103.4)  # 94 * 1.1
    side = body_for("Men", "side")
    assert (side.hip, side.leg) == pytest.approx((70.52, 49.5))  # 86 * 0.82, 45 * 1.1
    assert (MAN.shoulder_joint, MAN.hip_joint) == (104, 43)
    assert (side.shoulder_joint, side.hip_joint) == (14, 12)


def test_joints_of_limbs_that_hang_straight():
    assert arm(MAN, STRAIGHT, -1).joints == ((-104, 202), (-104, 352), (-104, 492))
    assert leg(MAN, STRAIGHT, 1).joints == ((43, 500), (43, 732), (43, 947))


@pytest.mark.parametrize("side", [-1, 1])
def test_positive_angles_lead_outwards_on_both_sides(side):
    limb = arm(MAN, Pose(((90, 0), (90, 0)), ((0, 0), (0, 0))), side)
    elbow, wrist = limb.joints[1:]
    assert elbow == pytest.approx((side * (104 + UPPER_ARM), 202))
    assert wrist == pytest.approx((side * (104 + UPPER_ARM), 202 + FOREARM))


def test_offset_across_a_limb_is_outwards():
    assert across(arm(MAN, STRAIGHT, 1), 0, 0.5, 10) == (114, 277)
    assert across(arm(MAN, STRAIGHT, -1), 0, 0.5, 10) == (-114, 277)
    assert across(arm(MAN, STRAIGHT, 1), 1, 0.5, -10) == (94, 422)


def test_tube_ends_within_the_first_bone_or_goes_on_around_the_joint():
    limb = arm(MAN, STRAIGHT, 1)
    assert tube(limb, 0.5, (20, 99, 10)) == [(124, 202), (114, 277), (94, 277), (84, 202)]
    assert tube(limb, 1.5, (20, 15, 10)) == [(124, 202), (119, 352), (114, 422), (94, 422), (89, 352), (84, 202)]


def test_poses_repeat_with_their_seed_and_swing_only_when_seen_from_the_side():
    for seed in range(40):
        assert random_pose(Random(seed), "front") == random_pose(Random(seed), "front")
        (front, _), (hind, _) = random_pose(Random(seed), "side").legs
        assert front == hind and 3 <= front <= 14  # one stride, the same angle of both thighs
        for thigh, shin in random_pose(Random(seed), "front").legs:
            assert 1 <= thigh <= 7 and -2 <= shin <= 4
