"""What a reader finds in a small source, counted by hand; groups shared out where a hash leaves a split empty."""

from collections import Counter

import pytest
from own_data import picture
from places import TABLES

from profiles import FOLDER
from stages.adding.measure import balanced, measure
from stages.contracts.tables import hash_split
from stages.core.errors import StageError
from stages.profiles.compose import read_profile

CATALOGUE = {"table": "images.csv", "images": ".", "image_column": "image", "group_column": "sender",
             "item_columns": ["label"]}  # fmt: skip


@pytest.fixture
def measured(tmp_path):
    """``read(options, rows)``: photos p0.jpg to p3.jpg and a table, as the reader counts them."""
    for number in range(4):
        (tmp_path / f"p{number}.jpg").write_bytes(picture(number))

    def read(rows, label="label", **options):
        (tmp_path / "images.csv").write_text("image,sender,label\n" + "".join(f"{row}\n" for row in rows))
        tree = read_profile("demo", FOLDER)
        tree["ingest"]["mine"] = {"reader": "catalogue", "catalogue": CATALOGUE | options}
        return measure("mine", tmp_path, tmp_path / "annotations", TABLES, tree, label)

    return read


def test_rows_are_counted_by_label_and_split_of_their_group(measured):
    found = measured(["p0.jpg,ann,Hat", "p1.jpg,ann, Hat ", "p2.jpg,bob,Shoe", "gone.jpg,bob,Shoe"])
    ann, bob = hash_split("ann"), hash_split("bob")
    assert found.by_label() == {"Hat": Counter({ann: 2}), "Shoe": Counter({bob: 1})}
    assert found.images == Counter([ann, ann, bob])
    assert found.groups == {"ann": ["p0", "p1"], "bob": ["p2"]}
    assert found.rejected == {("items", "missing_image"): 1, ("images", "no_annotation"): 1}  # no row names p3.jpg
    assert found.examples["items", "missing_image"] == "images.csv:5: ./gone.jpg"
    assert (found.upstream, found.shared, found.several, found.heads) == (False, False, False, ["type"])


def test_photo_with_two_rows_has_several_items_when_boxes_are_the_items(measured, tmp_path):
    (tmp_path / "boxes.csv").write_text("image,label,x1,y1,x2,y2\np0.jpg,Hat,1,1,20,20\np0.jpg,Shoe,30,30,60,40\n")
    found = measured(["p0.jpg,ann,-", "p1.jpg,bob,-"], boxes="boxes.csv")
    assert found.box_classes == {"Hat": 1, "Shoe": 1}
    assert found.boxed == {hash_split("ann"): 2}
    assert not found.several  # two boxes, but one row for each photo is an item


def test_source_without_a_usable_image_is_one_message(measured):
    with pytest.raises(StageError, match=r"no usable image \(.*missing_image"):
        measured(["gone.jpg,ann,Hat"])


def test_groups_go_whole_to_where_most_is_missing_the_largest_first():
    groups = {"a": ["1"] * 6, "b": ["2"] * 2, "c": ["3"], "d": ["4"]}
    # Ten images in shares of 6, 2 and 2. a fills train; b goes to one of the two that lack 2 each, c and d to the other.
    found = balanced(groups, (0.6, 0.2, 0.2))
    assert found["a"] == "train"
    assert {found["b"], found["c"]} == {"val", "test"} and found["c"] == found["d"]


def test_train_comes_first_where_splits_lack_the_same():
    assert balanced({"a": ["1"]}, (1 / 3, 1 / 3, 1 / 3)) == {"a": "train"}
