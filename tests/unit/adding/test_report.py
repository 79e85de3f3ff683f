"""The report of `make add`: what is asked to be checked, told on sources that are counted by hand."""

from collections import Counter
from pathlib import Path

import pytest

from stages.adding.measure import Measured
from stages.adding.profile import LabelTable
from stages.adding.recognized import Recognized
from stages.adding.report import WIDTH, Report, lines
from stages.adding.superclasses import Guess
from stages.contracts.ledger import Account

FITTED = {"simclr": {"batch": 8}, "classifier": {"batch": 16, "epochs": 60}}


def measured(items, **more):
    plain = {
        "account": Account("mine"), "images": Counter(train=6, val=2, test=2), "items": items, "groups": {},
        "upstream": False, "shared": False, "several": False, "box_classes": Counter(), "boxed": Counter(),
        "rejected": Counter(), "examples": {}, "elsewhere": {}, "crossing": 0, "heads": ["type"],
    }  # fmt: skip
    return Measured(**plain | more)


ITEMS = [("Hat", "train"), ("Hat", "test"), ("Shoe", "train"), ("Card", "train"), ("Bag", "test")]
LABELS = LabelTable(
    "",
    {"Hat": "headwear", "Shoe": "footwear", "Card": "", "Bag": "top"},
    {"Hat": Guess("headwear", "hat", True), "Shoe": Guess("footwear", "shoe", False), "Card": Guess("", "card"),
     "Bag": Guess(None)},
    ["Bag"],
)  # fmt: skip


def report(items=ITEMS, labels=LABELS, found=None, detector=None, kept=None, **more):
    found = found or Recognized("catalogue", Path("x"), "a catalogue", {"catalogue": {"group_column": "sender"}})
    return Report(
        "mine", found, measured(items, **more), labels, FITTED, detector, ["profiles/mine.yaml", ""],
        Counter(kept or {"train": 50, "test": 40}), ["a warning"],
    )  # fmt: skip


def told(report):
    """What is said -> its texts, lines joined."""
    result = {}
    for line in lines(report)[1:]:
        what = line[2:10].strip()
        if what:
            last = what
            result.setdefault(last, []).append(line[10:])
        else:
            result[last][-1] += " " + line.strip()
    return result


def test_report_begins_with_the_source_and_fits_a_screen():
    found = lines(report())
    assert found[0] == "Source mine"
    assert max(map(len, found)) <= WIDTH


def test_labels_are_counted_by_superclass_and_those_to_check_are_named():
    said = told(report())
    assert said["labels"][0].startswith("4 in tables/mine_labels.csv; labels by superclass: ")
    assert "guessed from a part of the name: Shoe = footwear" in said["CHECK"]
    assert "no superclass, so left out: Card 1. Give those that are garments one" in said["CHECK"]
    assert said["kept"] == ["superclasses that you chose: Bag"]


def test_labels_that_nothing_learns_or_nothing_asks_for_are_noted():
    notes = told(report())["note"]
    assert "no training photo, so not learned and not scored: Bag 1" in notes
    assert "no test photo, so learned and not scored: Shoe" in notes
    assert not [note for note in notes if "test items ask" in note]
    assert (
        "20 test items ask: one more right moves a figure by 5%" in told(report(kept={"train": 9, "test": 20}))["note"]
    )


def test_one_label_alone_is_no_question():
    one = LabelTable("", {"Hat": "headwear"}, {"Hat": Guess("headwear", "hat", True)}, [])
    said = told(report([("Hat", "train"), ("Hat", "test")], one))
    assert said["CHECK"] == ["one label alone: every answer is right. Figures mean something from two labels on"]


@pytest.mark.parametrize(
    ("options", "more", "said"),
    [
        ({"catalogue": {"group_column": "sender"}}, {}, "by a hash of the group, as the data bring none"),
        ({"catalogue": {}}, {}, "by a hash of the photo, as the data bring none"),
        ({"catalogue": {"splits": "splits.csv"}}, {}, "by data/mine/annotations/splits.csv, as a hash"),
        ({}, {"upstream": True}, "the data's own"),
        (
            {"val_share": 0.2},
            {"upstream": True, "shared": True},
            "their one other split than train is the test, and 20% of",
        ),
        ({"catalogue": {"split_column": "fold"}}, {"upstream": True}, "as your column `fold` says"),
    ],
)
def test_where_the_splits_come_from(options, more, said):
    found = Recognized("catalogue", Path("x"), "a catalogue", options)
    (line,) = told(report(found=found, **more))["splits"]
    assert line.startswith("photos: 6 train, 2 val, 2 test; ") and said in line


def test_boxes_train_a_detector_or_are_too_few_or_none():
    detector = {"superclasses": ["headwear"], "epochs": 20}
    boxed = Recognized("yolo", Path("x"), "YOLO", boxes=True)
    assert told(report(found=boxed, detector=detector, boxed=Counter(train=7, test=2)))["boxes"][0].startswith(
        "9: a detector of headwear is trained for 20 epochs"
    )
    assert told(report(found=boxed))["boxes"][0].startswith("too few for a detector")
    assert told(report())["boxes"][0].startswith("none, so the whole photo is the crop")


def test_rejects_warnings_and_what_was_written_are_told():
    gone, unnamed = ("items", "missing_image"), ("images", "no_annotation")
    said = told(report(rejected=Counter({gone: 3, unnamed: 1}), examples={gone: "a.csv:2: x.jpg", unnamed: "y.jpg"},
                       elsewhere={".jpg outside of what is read": 2}))  # fmt: skip
    assert said["omitted"] == [
        "3 items missing_image (the annotation names an image file that does not exist), such as a.csv:2: x.jpg",
        "1 image no_annotation (an image file that no annotation names), such as y.jpg",
        "2 .jpg outside of the folders that this format reads",
    ]
    assert (said["wrote"], said["WARNING"]) == (["profiles/mine.yaml"], ["a warning"])
    assert "batches of 8 (SimCLR) and 16 (classifier, 60 epochs)" in said["fitted"][0]
    assert said["next"][0].startswith("look at tables/mine_labels.csv; then make repro PROFILE=mine")


def test_format_with_a_policy_of_its_own_has_types_and_heads():
    said = told(report(labels=None, heads=["type", "color"]))
    assert said["labels"] == ["4 types, by the tables of this format (tables/types.csv, ...); heads type, color"]
