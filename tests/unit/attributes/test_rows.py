"""Rows and batches: every row once, one source a batch."""

import numpy as np
import pandas as pd
import pytest
import torch

from stages.classifier.training.batches import UNKNOWN, interleaved_batches, prepare


def batches(counts, size, seed=0):
    sources = np.array([name for name, count in counts.items() for _ in range(count)], dtype=object)
    sources = sources[np.random.default_rng(1).permutation(len(sources))]
    return sources, interleaved_batches(sources, size, "batches", torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("counts", [{"a": 20, "b": 7}, {"a": 3}, {"a": 16, "b": 16, "c": 5}])
def test_every_row_comes_once_and_each_batch_has_one_source(counts):
    sources, parts = batches(counts, 4)
    assert sorted(torch.cat(parts).tolist()) == list(range(len(sources)))
    assert all(len(set(sources[part.numpy()])) == 1 for part in parts)


@pytest.mark.parametrize("count", [5, 9, 13])
def test_single_last_row_joins_the_batch_before_it(count):
    _, parts = batches({"a": count}, 4)
    assert sorted(len(part) for part in parts) == [4] * (count // 4 - 1) + [5]


def test_source_of_one_row_makes_no_batch_of_one():
    """BatchNorm cannot train on a single row; the docstring promises that there is none."""
    for counts in ({"a": 8, "b": 1}, {"a": 1, "b": 1, "c": 1}):
        sources, parts = batches(counts, 4)
        assert min(len(part) for part in parts) > 1
        assert sorted(torch.cat(parts).tolist()) == list(range(len(sources)))


@pytest.mark.parametrize("within", ["batches", "rows"])
def test_no_batch_is_smaller_than_the_least(within):
    """Four processes with two rows each, the least that BatchNorm takes."""
    sources = np.array(["a"] * 19 + ["b"] * 13 + ["c"] * 3)
    parts = interleaved_batches(sources, 8, within, torch.Generator().manual_seed(0), 8)
    assert sorted(torch.cat(parts).tolist()) == list(range(35))
    assert min(map(len, parts)) >= 8


def test_sources_are_spread_over_the_epoch():
    sources, parts = batches({"a": 80, "b": 16}, 4)
    places = [place for place, part in enumerate(parts) if sources[part[0]] == "b"]
    # Four batches of b among 24: one in each quarter.
    assert [place // 6 for place in places] == [0, 1, 2, 3]


def test_mixed_batches_hold_every_source_in_proportion():
    sources = np.array(["a"] * 30 + ["b"] * 10)
    parts = interleaved_batches(sources, 8, "rows", torch.Generator().manual_seed(0))
    assert sorted(torch.cat(parts).tolist()) == list(range(40))
    assert [int((sources[part.numpy()] == "b").sum()) for part in parts] == [2, 2, 2, 2, 2]


def test_order_is_random_but_repeats_with_the_seed():
    _, first = batches({"a": 40}, 4, seed=1)
    _, again = batches({"a": 40}, 4, seed=1)
    _, other = batches({"a": 40}, 4, seed=2)
    assert torch.equal(torch.cat(first), torch.cat(again))
    assert not torch.equal(torch.cat(first), torch.cat(other))
    assert torch.cat(first).tolist() != sorted(torch.cat(first).tolist())


def test_next_epoch_has_another_order():
    generator = torch.Generator().manual_seed(0)
    sources = np.array(["a"] * 40)
    first, second = (torch.cat(interleaved_batches(sources, 4, "batches", generator)) for _ in range(2))
    assert not torch.equal(first, second)


def test_names_become_positions_and_unknown_stays_unknown(crops, params, superclasses):
    frame = pd.DataFrame({
        "bytes": crops[:4], "source": ["a", "a", "b", "b"], "detected_class": ["top", "none", None, "outwear"],
        "type": ["shirt", None, "dress", "kimono"], "color": ["red", "blue", None, np.nan],
    })  # fmt: skip
    rows = prepare(frame, {"type": ["dress", "shirt"], "color": ["blue", "red"]}, superclasses, params())
    assert rows.targets["type"].tolist() == [1, UNKNOWN, 0, UNKNOWN]  # the kimono has no training row
    assert rows.targets["color"].tolist() == [1, 0, UNKNOWN, UNKNOWN]
    assert rows.detected.flatten().tolist() == pytest.approx([3 / 7, 1, 1, 0])
    assert len(rows.pictures) == 4
    assert list(rows.sources) == ["a", "a", "b", "b"]
