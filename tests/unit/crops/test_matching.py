"""Every branch of the choice between detections."""

import itertools

import pytest

from stages.crops.matching import Item, Match, area, choose, choose_among, needed_detectors
from stages.crops.params import CropParams

BASE = {
    "boxes": "detectors", "agreement": "required", "assignment": "each_alone", "confidence": 0.3, "several": "highest_confidence", "no_detection": "reject",
    "padding": 0.0, "shape": "box", "background": "photo", "max_side": 256, "min_side": 16, "jpeg_quality": 92, "batch": 4, "shards": 1,
}  # fmt: skip
TOPWEAR = ["top", "outwear", "vest"]
SIZE = (60, 60)


def params(**changes):
    return CropParams.model_validate(BASE | changes)


def box(superclass, confidence=0.5, corners=(0, 0, 10, 10), detector="deepfashion2"):
    return {
        "detector": detector,
        "superclass": superclass,
        "confidence": confidence,
        **dict(zip(("x1", "y1", "x2", "y2"), corners, strict=True)),
    }


SMALL_SURE = box("top", 0.9, (0, 0, 10, 10))
LARGE_UNSURE = box("outwear", 0.6, (0, 0, 30, 30))
SKIRT = box("bottom", 0.95, (0, 0, 50, 50))


def test_no_detection_is_its_own_reason():
    assert choose([], TOPWEAR, SIZE, params()) == Match("no_detection", 0, 0)


def test_detections_of_other_classes_are_a_mismatch():
    assert choose([SKIRT, box("dress")], TOPWEAR, SIZE, params()) == Match("mismatch", 2, 0)


def test_single_agreeing_detection_is_matched_whatever_else_is_there():
    assert choose([SKIRT, SMALL_SURE], TOPWEAR, SIZE, params()) == Match("matched", 2, 1, SMALL_SURE)


def test_topwear_agrees_with_each_of_its_classes():
    for name in TOPWEAR:
        assert choose([box(name)], TOPWEAR, SIZE, params()).outcome == "matched"


@pytest.mark.parametrize(
    ("several", "expected"),
    [("highest_confidence", SMALL_SURE), ("largest", LARGE_UNSURE), ("most_central", LARGE_UNSURE), ("drop", None)],
)
def test_several_agreeing_detections_follow_the_policy(several, expected):
    match = choose([SMALL_SURE, SKIRT, LARGE_UNSURE], TOPWEAR, SIZE, params(several=several))
    assert match.detection == expected
    assert match.outcome == ("matched" if expected else "several")
    assert (match.candidates, match.agreeing) == (3, 2)


COAT, SHIRT = box("outwear", 0.9, (0, 0, 30, 30)), box("top", 0.3, (10, 0, 20, 30))
COAT_ITEM, SHIRT_ITEM = Item("coat", ["outwear", "top"], "outwear"), Item("shirt", TOPWEAR, "top")


def test_alone_the_shirt_takes_the_surer_box_of_the_coat():
    assert choose([COAT, SHIRT], TOPWEAR, SIZE, params()).detection == COAT


def test_each_item_of_a_photo_takes_a_box_of_its_own_class():
    for items in ([COAT_ITEM, SHIRT_ITEM], [SHIRT_ITEM, COAT_ITEM]):
        matches = choose_among([COAT, SHIRT], items, SIZE, params(), 0.7)
        assert matches == {"coat": Match("matched", 2, 2, COAT), "shirt": Match("matched", 2, 2, SHIRT)}


def test_shirt_under_a_coat_that_alone_was_found_gets_no_box():
    matches = choose_among([COAT], [COAT_ITEM, SHIRT_ITEM], SIZE, params(), 0.7)
    assert matches == {"coat": Match("matched", 1, 1, COAT), "shirt": Match("taken", 1, 1)}


# The coat seen once more, as a top: an intersection over union of .9 with its own box.
COAT_AS_TOP = box("top", 0.6, (0, 0, 30, 27))


def test_coat_that_is_also_seen_as_a_top_is_not_the_shirt_below_it():
    """Suppression for each class leaves both boxes; the shirt's own is the less sure one."""
    for items in ([COAT_ITEM, SHIRT_ITEM], [SHIRT_ITEM, COAT_ITEM]):
        matches = choose_among([COAT, COAT_AS_TOP, SHIRT], items, SIZE, params(), 0.7)
        assert (matches["coat"].detection, matches["shirt"].detection) == (COAT, SHIRT)
        assert choose_among([COAT, COAT_AS_TOP], items, SIZE, params(), 0.7)["shirt"] == Match("taken", 2, 2)


def test_boxes_that_overlap_less_are_of_two_garments():
    matches = choose_among([COAT, COAT_AS_TOP], [COAT_ITEM, SHIRT_ITEM], SIZE, params(), 0.95)
    assert matches["shirt"].detection == COAT_AS_TOP


def test_surest_box_is_served_first():
    """The sweater is surely there; what looks a little like a coat in the same place is not a second garment."""
    sweater, phantom = box("top", 0.9, (0, 0, 30, 30)), box("outwear", 0.2, (0, 0, 30, 28))
    matches = choose_among([phantom, sweater], [COAT_ITEM, SHIRT_ITEM], SIZE, params(), 0.7)
    assert matches == {"coat": Match("taken", 2, 2), "shirt": Match("matched", 2, 2, sweater)}


def test_only_item_of_a_photo_may_take_a_box_that_merely_agrees():
    assert choose_among([COAT, SKIRT], [SHIRT_ITEM], SIZE, params(), 0.7)["shirt"] == Match("matched", 2, 1, COAT)


def test_second_box_of_a_class_is_left_for_who_merely_agrees():
    second = box("outwear", 0.4, (40, 40, 60, 60))
    matches = choose_among([COAT, second], [COAT_ITEM, SHIRT_ITEM], SIZE, params(), 0.7)
    assert (matches["coat"].detection, matches["shirt"].detection) == (COAT, second)


def test_photo_without_agreeing_boxes_has_the_outcomes_of_items_alone():
    matches = choose_among([SKIRT], [COAT_ITEM, SHIRT_ITEM], SIZE, params(), 0.7)
    assert {match.outcome for match in matches.values()} == {"mismatch"}
    assert choose_among([], [SHIRT_ITEM], SIZE, params(), 0.7)["shirt"] == Match("no_detection", 0, 0)


def test_whole_image_stands_in_for_a_box_that_is_taken():
    matches = choose_among([COAT], [COAT_ITEM, SHIRT_ITEM], SIZE, params(no_detection="whole_image"), 0.7)
    assert matches["shirt"] == Match("whole_image", 1, 1)


def test_several_boxes_of_the_own_class_follow_the_policy_in_a_photo_too():
    other = box("top", 0.8, (0, 0, 10, 10))
    assert choose_among([SHIRT, other], [SHIRT_ITEM], SIZE, params(), 0.7)["shirt"].detection == other
    assert choose_among([SHIRT, other], [SHIRT_ITEM], SIZE, params(several="drop"), 0.7)["shirt"].outcome == "several"


def test_drop_keeps_a_single_agreeing_detection():
    assert choose([SMALL_SURE, SKIRT], TOPWEAR, SIZE, params(several="drop")).detection == SMALL_SURE


@pytest.mark.parametrize("detections", [[], [SKIRT]])
def test_whole_image_where_params_say_so(detections):
    assert choose(detections, TOPWEAR, SIZE, params(no_detection="whole_image")) == Match(
        "whole_image", len(detections), 0
    )


def test_agreement_ignored_takes_the_best_of_all():
    ignored = params(agreement="ignored")
    assert choose([SMALL_SURE, SKIRT], TOPWEAR, SIZE, ignored) == Match("matched", 2, 2, SKIRT)
    assert choose([], TOPWEAR, SIZE, ignored).outcome == "no_detection"


def test_choice_without_labels_does_not_depend_on_the_label():
    ignored = params(agreement="ignored")
    for agrees in (TOPWEAR, ["footwear"], []):
        assert choose([SMALL_SURE, SKIRT, LARGE_UNSURE], agrees, SIZE, ignored).detection == SKIRT


@pytest.mark.parametrize("several", ["highest_confidence", "largest"])
def test_ties_do_not_depend_on_the_order_of_detections(several):
    tied = [box("top", 0.5, (x, y, x + 10, y + 10)) for x, y in ((5, 1), (1, 5), (1, 2))]
    chosen = {
        choose(list(order), TOPWEAR, SIZE, params(several=several)).detection["y1"]
        for order in itertools.permutations(tied)
    }
    assert chosen == {2}  # leftmost, then topmost


def test_ties_that_only_the_class_breaks_do_not_depend_on_order_either():
    """Two detectors may find the same box with the same confidence."""
    tied = [box("top", detector="a"), box("vest", detector="b")]
    chosen = {
        choose(list(order), TOPWEAR, SIZE, params()).detection["superclass"] for order in itertools.permutations(tied)
    }
    assert len(chosen) == 1


def test_equal_confidence_is_decided_by_area_and_equal_area_by_confidence():
    large, sure = box("top", 0.5, (0, 0, 20, 20)), box("top", 0.8, (5, 5, 15, 15))
    assert choose([box("top", 0.5), large], TOPWEAR, SIZE, params()).detection == large
    assert choose([box("top", 0.5), sure], TOPWEAR, SIZE, params(several="largest")).detection == sure
    assert area(large) == 400


class Found:
    def __init__(self, *names):
        self.names = list(names)


def test_label_picks_the_detectors_that_can_find_it():
    detectors = {"deepfashion2": Found("top", "dress"), "shoes": Found("footwear"), "headwear": Found("headwear")}
    assert needed_detectors(detectors, ["footwear"], params()) == ["shoes"]
    assert needed_detectors(detectors, ["top", "vest"], params()) == ["deepfashion2"]
    assert needed_detectors(detectors, ["footwear"], params(agreement="ignored")) == list(detectors)
