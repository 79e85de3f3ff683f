"""Suspects by hand-made vectors whose cosines are known."""

import io

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from stages.leakage import same_item
from stages.leakage.rows import Side, Sides
from stages.leakage.same_item import LeakageParams, Suspect, features, find, nearest, suspects_of

# Cosines with the first one: 1, .8, .6, 0, -1, 0.
VECTORS = np.array([[1, 0], [0.8, 0.6], [0.6, 0.8], [0, 1], [-1, 0], [0, 0]], np.float32)


def png(color):
    stream = io.BytesIO()
    Image.new("RGB", (40, 30), color).save(stream, "PNG")
    return stream.getvalue()


def places(*numbers):
    return np.array(numbers, np.int64)


def side(**rows):
    """``rows``: name -> place of its vector; the picture has the name of the row's first letter."""
    return Side(list(rows), [("shop", name[0]) for name in rows], list(rows.values()))


def test_the_most_similar_training_row_and_its_cosine():
    positions, cosines = nearest(places(0, 3), places(4, 2, 1), VECTORS)
    assert positions.tolist() == [2, 1]
    assert cosines == pytest.approx([0.8, 0.8], abs=1e-6)


def test_of_equal_ones_the_first_counts_in_one_block_and_over_blocks(monkeypatch):
    for block in (10, 1, 2):
        monkeypatch.setattr(same_item, "TRAINING", block)
        positions, cosines = nearest(places(0), places(3, 1, 1, 2, 1), VECTORS)
        assert positions.tolist() == [1]
        assert cosines == pytest.approx([0.8], abs=1e-6)


def test_blocks_of_any_size_give_what_a_comparison_of_all_pairs_gives(monkeypatch):
    vectors = np.random.default_rng(0).standard_normal((40, 5)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    expected = vectors[:17] @ vectors[17:].T
    for held_out, training in ((1, 1), (3, 4), (17, 23), (100, 100)):
        monkeypatch.setattr(same_item, "HELD_OUT", held_out)
        monkeypatch.setattr(same_item, "TRAINING", training)
        positions, cosines = nearest(np.arange(17), np.arange(17, 40), vectors)
        assert positions.tolist() == expected.argmax(axis=1).tolist()
        assert cosines == pytest.approx(expected.max(axis=1), abs=1e-6)


def test_without_rows_on_a_side_nothing_is_found():
    assert [part.tolist() for part in nearest(places(), places(1), VECTORS)] == [[], []]
    assert [part.tolist() for part in nearest(places(0, 1), places(), VECTORS)] == [[-1, -1], [-1, -1]]
    assert suspects_of(side(a=0), side(), (), VECTORS, -1) == []
    assert suspects_of(side(), side(a=0), (), VECTORS, -1) == []
    assert find({}, {}, VECTORS[:0], 0) == []


def test_a_picture_without_features_is_similar_to_nothing():
    assert suspects_of(side(a=5), side(b=0, c=5), (), VECTORS, 0.1) == []


def test_pairs_from_the_threshold_on_are_suspects_and_near_duplicates_are_not():
    held_out, training = side(a=1, b=2, c=4), side(x=0, y=3)
    assert suspects_of(held_out, training, (), VECTORS, 0.7) == [
        (0, 0, pytest.approx(0.8, abs=1e-6)),
        (1, 1, pytest.approx(0.8, abs=1e-6)),
    ]
    assert suspects_of(held_out, training, (), VECTORS, 0.81) == []
    known = {("shop", "a")}  # the picture of row a is a training picture
    assert [row for row, *_ in suspects_of(held_out, training, known, VECTORS, 0.7)] == [1]


def test_every_held_out_set_is_compared_with_every_training_set_and_the_most_similar_come_first():
    sides = {
        "one": Sides(training=side(r=0), held_out=side(h=2)),
        "two": Sides(training=side(s=1), held_out=side(k=1)),
        "taught": Sides(training=side(t=3)),
    }
    seen = {"one": {"two": {("shop", "h")}}, "two": {}}
    found = find(sides, seen, VECTORS, 0.75)
    assert found == [
        Suspect("two", "k", "two", "s", 1.0),
        Suspect("one", "h", "taught", "t", 0.8),
        Suspect("two", "k", "one", "r", 0.8),
    ]


@pytest.mark.parametrize("wrong", [{"cosine": 1.1}, {"image_size": 0}, {"pooling": "middle"}, {"distance": 1}])
def test_params_that_make_no_sense_are_refused(wrong):
    right = {"backbone": "tf_efficientnet_lite0", "pooling": "last", "image_size": 64, "fit": "pad", "cosine": 0.9}
    LeakageParams(**right)
    with pytest.raises(ValidationError):
        LeakageParams(**right | wrong)


@pytest.mark.slow
def test_features_of_a_picture_do_not_depend_on_the_pictures_beside_it():
    options = LeakageParams(
        backbone="tf_efficientnet_lite0", pooling="stages_colors", image_size=64, fit="pad", cosine=0.9
    )
    pictures = [png("red"), png("navy"), png("red")]
    together, alone = (features(options)(data) for data in (pictures, pictures[:1]))
    assert together.shape[0] == 3 and together.dtype == np.float32
    assert together[0] == pytest.approx(alone[0], abs=1e-4)
    assert together[2] == pytest.approx(together[0], abs=1e-4)
    assert abs(together[1] - together[0]).max() > 0.1
