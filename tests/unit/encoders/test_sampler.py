"""Batches: every row once when shuffled; P labels with K rows each, categories in turn, when balanced."""

from collections import Counter

import numpy as np
import pytest

from stages.encoders.examples import epoch_generator, pk_batches, shuffled_batches

LABELS = np.repeat(np.arange(30), 4)  # 30 items with four pictures
GROUPS = np.where(LABELS < 24, 0, np.where(LABELS < 28, 1, 2))  # of three categories: 24, 4 and 2 items


def test_shuffled_batches_hold_each_row_at_most_once():
    batches = shuffled_batches(np.arange(50), 8, epoch_generator(0, 0))
    assert [len(one) for one in batches] == [8] * 6
    rows = np.concatenate([one.numpy() for one in batches])
    assert len(set(rows)) == 48
    assert shuffled_batches(np.arange(5), 8, epoch_generator(0, 0))[0].sort().values.tolist() == [0, 1, 2, 3, 4]


def test_batch_has_k_rows_of_each_label_and_no_row_twice():
    for batch in pk_batches(LABELS, GROUPS, 12, 3, epoch_generator(0, 0)):
        rows = batch.tolist()
        assert len(rows) == len(set(rows)) == 12
        assert set(Counter(LABELS[rows]).values()) == {3}


def test_last_label_of_a_batch_may_be_cut_short():
    batch = pk_batches(LABELS, GROUPS, 10, 4, epoch_generator(0, 0))[0]
    assert sorted(Counter(LABELS[batch]).values()) == [2, 4, 4]


def test_categories_take_turns_however_rare():
    drawn = np.concatenate([LABELS[one] for one in pk_batches(LABELS, GROUPS, 6, 2, epoch_generator(0, 0))])
    share = Counter(GROUPS[np.searchsorted(LABELS, drawn)])
    assert len(drawn) == 120
    # A third each; drawn by rows the rare two would have 16 and 8 of 120.
    assert all(36 <= share[group] <= 44 for group in range(3)), share


def test_rows_of_unknown_label_stand_alone():
    labels = np.array([0, 0, 0, 1, 1, 1, -1, -1, -1, -1])
    groups = np.array([0, 0, 0, 1, 1, 1, 0, 1, -1, -1])
    batches = pk_batches(labels, groups, 5, 3, epoch_generator(0, 0)) + pk_batches(
        labels, groups, 5, 3, epoch_generator(0, 1)
    )
    for batch in batches:
        counts = Counter(labels[batch])
        assert counts[0] <= 3 and counts[1] <= 3
    # Three groups take turns, that of unknown category (rows 8 and 9) as well: each of the four comes up.
    drawn = [pk_batches(labels, groups, 5, 3, epoch_generator(0, epoch)) for epoch in range(20)]
    assert {6, 7, 8, 9} <= {row for batches in drawn for one in batches for row in one.tolist()}


def test_fewer_labels_than_places_are_filled_up_with_other_rows():
    labels = np.repeat([0, 1], 10)
    batch = pk_batches(labels, labels, 12, 3, epoch_generator(0, 0))[0].tolist()
    assert len(set(batch)) == 12
    assert pk_batches(labels, labels, 100, 3, epoch_generator(0, 0))[0].sort().values.tolist() == list(range(20))


@pytest.mark.parametrize("epoch", [0, 7])
def test_epoch_alone_decides_so_that_a_resumed_run_draws_the_same(epoch):
    def draw(seed, number):
        return [one.tolist() for one in pk_batches(LABELS, GROUPS, 12, 3, epoch_generator(seed, number))]

    assert draw(0, epoch) == draw(0, epoch)
    assert draw(0, epoch) != draw(0, epoch + 1)
    assert draw(0, epoch) != draw(1, epoch)
