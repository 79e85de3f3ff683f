"""Examples come in one shape, from the data set or from a benchmark's own train split."""

import pyarrow as pa
import pytest

from stages.contracts.tables import BENCHMARK_TRAIN, CROPS, write_rows
from stages.core.errors import StageError
from stages.encoders.examples import codes, input_files, read_examples, vocabulary
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
