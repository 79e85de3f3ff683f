"""Which rows a recipe learns from, and in which batches."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from stages.contracts.tables import BENCHMARK_TRAIN, CROPS, write_rows
from stages.core.errors import StageError
from stages.encoders.examples import (
    codes,
    epoch_generator,
    input_files,
    pk_batches,
    read_examples,
    shuffled_batches,
    vocabulary,
)
from stages.encoders.recipes import LearnsFrom


def source(**changes):
    values = {
        "table": "tiny",
        "category": "type",
        "same_colorway": True,
        "labels": [],
        "max_train": None,
        "max_val": None,
    }
    return LearnsFrom.model_validate(values | changes)


@pytest.fixture
def benchmark(tmp_path, train_rows):
    write_rows(tmp_path / "tiny/train.parquet", BENCHMARK_TRAIN, train_rows)
    return tmp_path


def crop(number, split, **values):
    row = dict.fromkeys(CROPS.names) | {"crop_id": f"c{number}", "split": split, "source": "s", "bytes": b"x"}
    return row | values


@pytest.fixture
def dataset(tmp_path):
    rows = [
        crop(2, "train", instance="a", colorway="1", type="dress", superclass="dress", color="Red"),
        crop(1, "train", instance="a", colorway="2", type="dress", superclass="dress"),
        crop(3, "train", type="tee", superclass="top", color="Blue"),
        crop(4, "val", instance="b", colorway="1", superclass="top"),
        crop(5, "test", instance="c", colorway="1", type="tee", superclass="top"),
    ]
    write_rows(tmp_path / "dataset/shard-0000.parquet", CROPS, rows)
    return tmp_path / "dataset"


def test_benchmark_rows_come_by_split_and_id(benchmark, train_rows):
    train, val = read_examples(source(), benchmark / "tiny")
    assert len(train) == 24 and len(val) == 15
    assert train.ids == sorted(row["row_id"] for row in train_rows if row["split"] == "train")
    assert train.items[0] == "item00" and train.items[-1] is None
    assert train.labels[3] == ["shirt", "warm"]
    assert input_files(source(), benchmark / "tiny") == [benchmark / "tiny/train.parquet"]


def test_item_of_a_crop_is_source_instance_and_colorway(dataset, tmp_path):
    train, val = read_examples(source(table="dataset", labels=["type", "color"]), dataset)
    assert train.ids == ["c1", "c2", "c3"] and val.ids == ["c4"]  # the test split is not read
    assert train.items.tolist() == ["s/a/2", "s/a/1", None]
    assert train.categories.tolist() == ["dress", "dress", "tee"]
    assert train.labels == [["type=dress"], ["type=dress", "color=Red"], ["type=tee", "color=Blue"]]
    assert val.categories.tolist() == [None]


def test_colorways_of_a_garment_may_count_as_one_item(dataset, tmp_path):
    train, val = read_examples(source(table="dataset", same_colorway=False, category="superclass"), dataset)
    assert train.items.tolist() == ["s/a", "s/a", None]
    assert val.categories.tolist() == ["top"]
    assert train.labels == [[], [], []]


def test_limit_draws_the_same_rows_whatever_else_is_there(benchmark, train_rows, tmp_path):
    few, _ = read_examples(source(max_train=6), benchmark / "tiny")
    assert len(few) == 6 and few.ids == sorted(few.ids)
    kept = [
        row for row in train_rows if row["row_id"] in few.ids or row["split"] == "val" or row["row_id"].endswith("1")
    ]
    write_rows(tmp_path / "fewer/train.parquet", BENCHMARK_TRAIN, kept)
    again, _ = read_examples(source(table="fewer", max_train=6), tmp_path / "fewer")
    assert again.ids == few.ids


def test_item_in_both_splits_is_refused(tmp_path, train_rows):
    leaking = [*train_rows, train_rows[0] | {"row_id": "leak", "split": "val"}]
    write_rows(tmp_path / "tiny/train.parquet", BENCHMARK_TRAIN, leaking)
    with pytest.raises(StageError, match="items in train and in val: item00"):
        read_examples(source(), tmp_path / "tiny")


def test_id_twice_in_a_split_is_refused(tmp_path, train_rows):
    write_rows(tmp_path / "tiny/train.parquet", BENCHMARK_TRAIN, [*train_rows, train_rows[0]])
    with pytest.raises(StageError, match="row ids found twice in split train: train-00-0"):
        read_examples(source(), tmp_path / "tiny")


def test_missing_table_foreign_columns_and_empty_split_are_one_message(tmp_path, train_rows):
    with pytest.raises(StageError, match=r"tiny/train.parquet: no such file. `learns_from.table` must be"):
        read_examples(source(), tmp_path / "tiny")
    write_rows(tmp_path / "tiny/train.parquet", pa.schema([("row_id", pa.string())]), [{"row_id": "a"}])
    with pytest.raises(StageError, match="not the expected columns"):
        read_examples(source(), tmp_path / "tiny")
    write_rows(tmp_path / "tiny/train.parquet", BENCHMARK_TRAIN, [row for row in train_rows if row["split"] == "train"])
    with pytest.raises(StageError, match="24 training and 0 validation rows"):
        read_examples(source(), tmp_path / "tiny")
    write_rows(tmp_path / "tiny/train.parquet", BENCHMARK_TRAIN, [row | {"bytes": None} for row in train_rows])
    with pytest.raises(StageError, match="39 rows have no picture"):
        read_examples(source(), tmp_path / "tiny")


def test_label_that_is_no_head_is_refused(dataset, tmp_path):
    with pytest.raises(StageError, match="`learns_from.labels` has color, expected some of: color"):
        read_examples(source(table="dataset", labels=["color"]), dataset)


def test_codes_are_positions_and_minus_one_for_the_unknown(examples):
    train, _ = examples
    names = vocabulary(train.categories)
    assert names == ["shirt", "skirt"]
    assert codes(train.categories[:6], names).tolist() == [1, 1, 1, 0, 0, 0]
    assert codes(train.items[-3:], vocabulary(train.items)).tolist() == [-1, -1, -1]


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
