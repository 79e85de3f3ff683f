"""What the suspects of `leakage` are worth by the truth, worked out by hand."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages.contracts.tables import unit_hash
from stages.core.errors import StageError
from stages.report.item_leaks import (
    LeakScores,
    Nearest,
    Placed,
    as_markdown,
    compare,
    items_of,
    joined,
    judge,
    planted,
    smallest_threshold,
)

PAIRS = Nearest(
    cosine=np.array([0.9, 0.8, 0.7, 0.6, 0.5]),
    right=np.array([True, False, True, False, False]),
    leaked=np.array([True, False, True, True, False]),
    random=np.array([0.1, 0.0, 0.1, 0.3, 0.0]),
)


def test_precision_counts_pairs_recall_counts_leaked_rows():
    score = judge(PAIRS, 0.6)
    assert score == LeakScores(rows=5, leaked=3, listed=4, right=2, alarms=1, random=pytest.approx(0.5))
    assert (score.precision, score.recall, score.false_alarms) == (0.5, pytest.approx(2 / 3), 0.5)
    assert score.chance == pytest.approx(0.1)


def test_the_threshold_itself_is_listed_and_above_all_pairs_nothing_is():
    assert judge(PAIRS, 0.9).listed == 1
    none = judge(PAIRS, 0.91)
    assert (none.listed, none.precision, none.recall, none.false_alarms) == (0, 0, 0, 0)


def test_no_rows_have_no_share():
    empty = Nearest(*(np.zeros(0, kind) for kind in (float, bool, bool, float)))
    score = judge(empty, 0)
    assert (score.precision, score.recall, score.false_alarms, score.chance) == (0, 0, 0, 0)


def test_the_smallest_threshold_that_keeps_the_false_alarms_is_the_default():
    """Rows without a leak have .8 and .5: half of them are listed up to .8, all up to .5, none above .8."""
    thresholds = [0.85, 0.5, 0.55, 0.8]
    assert smallest_threshold(PAIRS, thresholds, 0.5) == 0.55
    assert smallest_threshold(PAIRS, thresholds, 0.4) == 0.85
    assert smallest_threshold(PAIRS, thresholds, 1) == 0.5
    assert smallest_threshold(PAIRS, [0.5], 0.5) is None


def test_a_part_of_the_items_is_planted_with_all_its_photos():
    items = [f"item {number}" for number in range(20)]
    expected = {item for item in items if unit_hash(item) < 0.5}
    queries, gallery = planted([None, *items], [*items, *items, None])
    assert queries == list(range(1, 21))
    assert 4 < len(expected) < 16
    assert gallery == [row for row in range(40) if items[row % 20] in expected]
    assert planted(items, items, 0)[1] == [] and planted(items, items, 1)[1] == list(range(20))


def test_queries_find_the_planted_photo_of_their_item_or_a_wrong_training_row():
    """``in`` is planted and ``out`` is not; both look most like the photo of ``in``, which is no training row before."""
    names = [f"item {number}" for number in range(20)]
    inside = next(name for name in names if unit_hash(name) < 0.5)
    outside = next(name for name in names if unit_hash(name) >= 0.5)
    vectors = np.array([[1, 0], [0.8, 0.6], [0, 1]], np.float32)
    found = compare(
        Placed([inside, outside, None], [0, 0, 0]),
        Placed([inside, outside], [1, 0]),
        Placed([None, "other"], [2, 2]),
        vectors,
    )
    assert found.cosine == pytest.approx([0.8, 0.8], abs=1e-6)
    assert (found.right.tolist(), found.leaked.tolist()) == ([True, False], [True, False])
    assert found.random == pytest.approx([1 / 3, 0])


def test_benchmarks_are_joined_row_by_row_and_the_table_has_a_line_for_each_and_for_all():
    both = joined([PAIRS, PAIRS])
    assert judge(both, 0.6) == LeakScores(10, 6, 8, 4, 2, pytest.approx(1))
    text = as_markdown({"shop": PAIRS, "street": PAIRS}, 0.6)
    assert "| shop | 5 | 3 | 4 | 50.0% | 66.7% | 50.0% | 10.0% |" in text
    assert "| all | 10 | 6 | 8 | 50.0% | 66.7% | 50.0% | 10.0% |" in text
    assert "| any | 10 | 6 | 10 | 40.0% | 66.7% | 100.0% | 10.0% |" in text
    assert "0.81 is the smallest with at most 5% of false alarms" in text


def test_truth_names_the_garment_of_each_annotated_item(tmp_path):
    with pytest.raises(StageError, match=r"garments\.parquet: no ground truth"):
        items_of(tmp_path)
    pq.write_table(
        pa.table({"item": ["a", None, "b"], "instance": ["coat", "shoe", "coat"]}), tmp_path / "garments.parquet"
    )
    assert items_of(tmp_path) == {"a": "coat", "b": "coat"}
