"""Rows of tables as vectors: by hand-made pictures, whose vectors are their bytes."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.preprocessing import StandardScaler, normalize

from stages.leakage import rows
from stages.leakage.rows import RowTable, Vectors, embed_rows, read_rows


def table(path, **columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return path


class Bytes:
    """A picture's vector has its bytes; ``asked`` are the pictures that were embedded."""

    def __init__(self):
        self.asked = []

    def __call__(self, data):
        self.asked += data
        return np.array([list(one) for one in data], np.float32)


def test_rows_without_a_picture_are_left_out_and_tables_are_read_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "BATCH", 2)
    path = table(
        tmp_path / "t.parquet",
        row_id=["a", "b", "c", "d", "e"],
        split=["train", "test", "val", "none", "test"],
        bytes=[b"1", None, b"3", b"4", b"5"],
    )
    parts = [[tuple(row) for row in part] for part in read_rows(path, "row_id")]
    assert parts == [[("a", "train", b"1")], [("c", "val", b"3"), ("d", "none", b"4")], [("e", "test", b"5")]]
    assert [row.split for part in read_rows(path, "row_id", "test") for row in part] == ["test"] * 4


@pytest.mark.parametrize("block", [1, 2, 100])
def test_a_picture_is_embedded_once_and_vectors_are_standardized_over_all_pictures(tmp_path, monkeypatch, block):
    """The third byte is 7 in all pictures: it tells nothing."""
    monkeypatch.setattr(rows, "BLOCK", block)
    embed = Bytes()
    vectors = Vectors(tmp_path, embed)
    assert vectors.add([b"\x03\x04\x07", b"\x01\x00\x07", b"\x03\x04\x07"]) == [0, 1, 0]
    assert vectors.add([b"\x00\x02\x07", b"\x01\x00\x07"]) == [2, 1]
    assert vectors.add([]) == []
    assert embed.asked == [b"\x03\x04\x07", b"\x01\x00\x07", b"\x00\x02\x07"]
    expected = normalize(StandardScaler().fit_transform([[3.0, 4, 7], [1, 0, 7], [0, 2, 7]]))
    assert np.allclose(vectors.read(), expected, atol=1e-6)
    assert vectors.read()[:, 2].tolist() == [0, 0, 0]


def test_one_picture_is_a_zero_vector_and_no_picture_no_file_to_map(tmp_path):
    vectors = Vectors(tmp_path, Bytes())
    assert len(vectors.read()) == 0
    vectors.add([b"\x03\x04"])
    assert vectors.read().tolist() == [[0, 0]]


def test_rows_come_to_the_side_of_their_split(tmp_path):
    """Training and validation teach; a row of no split is on no side and is not embedded."""
    train = table(
        tmp_path / "train.parquet",
        row_id=["a", "b", "c"],
        split=["train", "none", "val"],
        bytes=[b"\x01\x00", b"\x05\x05", b"\x00\x01"],
    )
    queries = table(tmp_path / "queries.parquet", row_id=["q", "lost"], bytes=[b"\x01\x00", None])
    pictures = {name: ("shop", f"photo of {name}") for name in ("a", "b", "c", "q", "lost")}
    embed = Bytes()
    sides = embed_rows(
        [RowTable(train, "row_id", pictures), RowTable(queries, "row_id", pictures, "test")], Vectors(tmp_path, embed)
    )
    assert (sides.training.names, sides.training.places) == (["a", "c"], [0, 1])
    assert (sides.held_out.names, sides.held_out.places) == (["q"], [0])
    assert sides.held_out.pictures == [("shop", "photo of q")]
    assert embed.asked == [b"\x01\x00", b"\x00\x01"]
