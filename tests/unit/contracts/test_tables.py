"""Parquet tables: same rows, same bytes; splits and shards by id; wrong columns are one message."""

import hashlib
import weakref
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages.contracts import tables
from stages.contracts.tables import (
    BENCHMARK,
    REJECTS,
    SHARES,
    hash_split,
    iter_shards,
    read_shards,
    read_table,
    shard_name,
    shard_of,
    unit_hash,
    write_rows,
    write_shards,
)
from stages.core.errors import StageError


def rows(count=20):
    return [
        {"row_id": f"r{n:02}", "item": "i", "category": "top", "detected_class": None, "bytes": bytes([n])}
        for n in range(count)
    ]


def test_same_rows_give_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_rows(tmp_path / name, BENCHMARK, rows())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_shards_hold_each_row_once_by_its_id_sorted(tmp_path):
    write_shards(tmp_path, BENCHMARK, reversed(rows()), "row_id", 3)
    seen = []
    for number in range(3):
        ids = pq.read_table(tmp_path / shard_name(number))["row_id"].to_pylist()
        assert ids == sorted(ids)
        assert {shard_of(row_id, 3) for row_id in ids} <= {number}
        seen += ids
    assert sorted(seen) == [row["row_id"] for row in rows()]


def test_shard_bytes_do_not_depend_on_row_order(tmp_path):
    write_shards(tmp_path / "a", BENCHMARK, rows(), "row_id", 2)
    write_shards(tmp_path / "b", BENCHMARK, reversed(rows()), "row_id", 2)
    for number in range(2):
        assert (tmp_path / "a" / shard_name(number)).read_bytes() == (tmp_path / "b" / shard_name(number)).read_bytes()


def test_rows_that_waited_on_disk_give_the_bytes_of_those_in_memory(tmp_path, monkeypatch):
    """And no more than WAITING rows of a shard are held while a generator gives them."""

    class Row(dict):
        __hash__ = object.__hash__

    alive, most = weakref.WeakSet(), 0

    def given():
        nonlocal most
        for row in reversed(rows(100)):
            alive.add(one := Row(row))
            most = max(most, len(alive))
            yield one
            del one

    monkeypatch.setattr(tables, "WAITING", 4)
    assert write_shards(tmp_path / "a", BENCHMARK, given(), "row_id", 3) == 100
    assert most <= 3 * 4 + 2
    for number in range(3):
        mine = [row for row in rows(100) if shard_of(row["row_id"], 3) == number]
        write_rows(tmp_path / "b", BENCHMARK, mine)
        assert (tmp_path / "a" / shard_name(number)).read_bytes() == (tmp_path / "b").read_bytes()
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [shard_name(number) for number in range(3)]


def test_new_row_leaves_the_other_shards_alone(tmp_path):
    write_shards(tmp_path / "a", BENCHMARK, rows(20), "row_id", 4)
    write_shards(tmp_path / "b", BENCHMARK, rows(21), "row_id", 4)
    changed = [
        n
        for n in range(4)
        if (tmp_path / "a" / shard_name(n)).read_bytes() != (tmp_path / "b" / shard_name(n)).read_bytes()
    ]
    assert changed == [shard_of("r20", 4)]


def test_all_shards_are_read_at_once_or_one_by_one(tmp_path):
    write_shards(tmp_path, BENCHMARK, rows(), "row_id", 2)
    assert read_shards(tmp_path).num_rows == 20
    assert sum(table.num_rows for table in iter_shards(tmp_path, ["row_id"])) == 20
    assert read_shards(tmp_path, ["row_id", "bytes"]).column_names == ["row_id", "bytes"]


def test_folder_without_shards_is_one_message(tmp_path):
    with pytest.raises(StageError, match="no shard-"):
        read_shards(tmp_path)


def test_missing_table_is_one_message(tmp_path):
    with pytest.raises(StageError, match="no such file.*dvc repro"):
        read_table(tmp_path / "boxes.parquet")


def test_table_with_other_columns_is_refused(tmp_path):
    write_rows(tmp_path / "t.parquet", REJECTS, [])
    with pytest.raises(StageError, match="not the expected columns.*row_id"):
        read_table(tmp_path / "t.parquet", BENCHMARK)


def test_table_with_another_type_is_refused(tmp_path):
    pq.write_table(pa.table({name: pa.array([], pa.int64()) for name in REJECTS.names}), tmp_path / "t.parquet")
    with pytest.raises(StageError, match="not the expected columns"):
        read_table(tmp_path / "t.parquet", REJECTS)


def test_value_of_the_wrong_type_is_not_written(tmp_path):
    with pytest.raises((pa.ArrowInvalid, pa.ArrowTypeError)):
        write_rows(tmp_path / "t.parquet", BENCHMARK, [rows()[0] | {"item": 3}])


KEYS = [f"group-{number}" for number in range(4000)]


def test_unit_hash_is_the_head_of_sha256():
    # 13 hex digits of sha256 over the key and a closing zero byte, as a share of 16^13.
    head = hashlib.sha256(b"sender 7\0").hexdigest()[:13]
    assert unit_hash("sender 7") == int(head, 16) / 2**52
    assert all(0 <= unit_hash(key) < 1 for key in KEYS)


@pytest.mark.parametrize("shares", [SHARES, (0.5, 0.25, 0.25)])
def test_shares_are_met(shares):
    counts = Counter(hash_split(key, shares) for key in KEYS)
    # Four standard deviations of a binomial with 4,000 draws are at most 3.2 %.
    for split, share in zip(("train", "val", "test"), shares, strict=True):
        assert counts[split] / len(KEYS) == pytest.approx(share, abs=0.032)


def test_split_depends_on_the_key_alone():
    alone = {key: hash_split(key) for key in KEYS[:50]}
    assert {key: hash_split(key) for key in reversed(KEYS)}.items() >= alone.items()


def test_larger_train_share_moves_groups_only_into_train():
    for key in KEYS[:500]:
        if hash_split(key, (0.6, 0.2, 0.2)) == "train":
            assert hash_split(key, (0.7, 0.15, 0.15)) == "train"


def test_shards_are_even_and_independent_of_the_split():
    counts = Counter((shard_of(key, 2), hash_split(key)) for key in KEYS)
    train = [counts[shard, "train"] for shard in (0, 1)]
    assert train[0] / sum(train) == pytest.approx(0.5, abs=0.04)
