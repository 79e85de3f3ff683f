"""Files of vectors: both formats, rows in the order that is asked for, one clear message for each defect."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages.core.errors import StageError
from stages.retrieval.vectors import open_vectors, read_vectors, write_vectors

IDS = ["a", "b", "c"]
VECTORS = np.array([[1, 2], [3, 4], [5, 6]], np.float32)


def as_parquet(folder, ids=IDS, kind=None, values=None):
    column = pa.array(VECTORS.tolist() if values is None else values, kind or pa.list_(pa.float32(), 2))
    path = folder / "x.parquet"
    pq.write_table(pa.table({"row_id": ids, "vector": column}), path)
    return path


def as_numpy(folder, array=VECTORS, text="a\nb\nc\n", suffix=".txt"):
    path = folder / "x.npy"
    np.save(path, array)
    if text is not None:
        path.with_suffix(suffix).write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "kind", [pa.list_(pa.float32(), 2), pa.list_(pa.float64()), pa.large_list(pa.float32()), pa.list_(pa.float16(), 2)]
)
def test_parquet_lists_of_any_kind_are_read_as_float32(tmp_path, kind):
    ids, vectors, metric = read_vectors(as_parquet(tmp_path, kind=kind))
    assert ids == IDS and metric is None
    assert vectors.dtype == np.float32 and vectors.tolist() == VECTORS.tolist()


def test_written_vectors_come_back_to_the_bit_without_a_dictionary_of_numbers(tmp_path):
    vectors = np.random.default_rng(0).normal(size=(500, 64)).astype(np.float32)
    path = tmp_path / "x.parquet"
    write_vectors(path, [f"r{n}" for n in range(500)], vectors, "cosine")
    ids, read, metric = read_vectors(path)
    assert ids[:2] == ["r0", "r1"] and metric == "cosine" and np.array_equal(read, vectors)
    column = pq.ParquetFile(path).metadata.row_group(0).column(1)
    assert "BYTE_STREAM_SPLIT" in column.encodings and not column.has_dictionary_page


@pytest.mark.parametrize("array", [VECTORS, VECTORS.astype(np.float64), np.asfortranarray(VECTORS)])
@pytest.mark.parametrize(("suffix", "text"), [(".txt", "a\nb\nc\n"), (".csv", "n,row_id\n1,a\n2,b\n3,c\n")])
def test_numpy_takes_its_ids_from_the_file_beside_it(tmp_path, array, suffix, text):
    ids, vectors, _ = read_vectors(as_numpy(tmp_path, array, text, suffix))
    assert ids == IDS and vectors.dtype == np.float32 and vectors.tolist() == VECTORS.tolist()


@pytest.mark.parametrize("make", [as_parquet, as_numpy])
def test_rows_come_in_the_order_asked_for_and_zero_where_none_is_wanted(tmp_path, make):
    file = open_vectors(make(tmp_path))
    aligned = file.aligned(pa.array(["c", "unseen", "a"]), np.array([True, False, True]))
    assert aligned.tolist() == [[5, 6], [0, 0], [1, 2]]


def test_many_rows_are_aligned_across_batches(tmp_path):
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(5000, 3)).astype(np.float32)
    order = generator.permutation(5000)
    write_vectors(tmp_path / "x.parquet", [f"r{i}" for i in order], vectors[order], "cosine")
    asked = pa.array([f"r{i}" for i in range(5000)])
    assert (open_vectors(tmp_path / "x.parquet").aligned(asked, np.ones(5000, bool)) == vectors).all()


def test_numpy_rows_that_are_in_order_stay_in_the_file(tmp_path):
    file = open_vectors(as_numpy(tmp_path))
    assert isinstance(file.aligned(pa.array(["b", "c"]), np.ones(2, bool)), np.memmap)
    assert not isinstance(file.aligned(pa.array(["c", "b"]), np.ones(2, bool)), np.memmap)


def test_integer_ids_of_a_parquet_file_are_taken_as_text_exactly(tmp_path):
    ids = [2**24, 2**24 + 1, 2**53 + 1]
    assert read_vectors(as_parquet(tmp_path, ids))[0] == [str(one) for one in ids]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda f: f / "none.npy", "none.npy: no such file"),
        (lambda f: as_numpy(f).rename(f / "x.bin"), "expected a .parquet or a .npy file, found .bin"),
        (lambda f: as_numpy(f, text=None), "no row ids. Put x.txt .* or x.csv .* beside it"),
        (lambda f: as_numpy(f, text="a\nb\n"), "x.txt: 2 row ids for the 3 vectors"),
        (lambda f: as_numpy(f, text="a\nb\na\n"), "1 row ids occur more than once: a"),
        (lambda f: as_numpy(f, text="id\na\nb\nc\n", suffix=".csv"), "x.csv: columns id, expected row_id"),
        (lambda f: as_numpy(f, VECTORS[0]), r"\[2\] of float32, expected floats \[rows, dimensions\]"),
        (lambda f: as_numpy(f, VECTORS.astype(int)), "of int64, expected floats"),
        (lambda f: as_numpy(f, np.array([[{}]])), "not a NumPy array"),
        (lambda f: as_parquet(f, ["a", "b", "b"]), "1 row ids occur more than once: b"),
        (lambda f: as_parquet(f, ["a", None, "b"]), "1 of 3 row ids are missing"),
        (lambda f: as_parquet(f, [0.5, 1.5, 2.5]), "column row_id holds double, expected strings or integers"),
        (lambda f: as_parquet(f, kind=pa.float32(), values=[1, 2, 3]), "column vector holds float, expected lists"),
        (lambda f: as_parquet(f, kind=pa.list_(pa.string()), values=[["x"]] * 3), "expected lists of numbers"),
        (lambda f: as_parquet(f, kind=pa.list_(pa.float32()), values=[[1, 2], [3], [4, 5]]), "a vector has 1 dimensions"),
        (lambda f: as_parquet(f, kind=pa.list_(pa.float32()), values=[[1, 2], None, [4, 5]]), r"a vector has -1 dimensions \(-1: none\)"),
        (lambda f: as_parquet(f, values=[[1, 2], None, [4, 5]]), "its vectors cannot be read: Expected all lists to be of size=2"),
    ],
)  # fmt: skip
def test_defects_are_refused_with_what_was_found(tmp_path, make, message):
    with pytest.raises(StageError, match=message):
        read_vectors(make(tmp_path))


def test_archive_named_npy_and_ids_in_another_encoding_are_refused(tmp_path):
    with (tmp_path / "x.npy").open("wb") as stream:
        np.savez(stream, VECTORS)
    with pytest.raises(StageError, match=r"x\.npy: not a NumPy array but an archive"):
        open_vectors(tmp_path / "x.npy")
    path = as_numpy(tmp_path)
    path.with_suffix(".txt").write_bytes("a\nb\nü\n".encode("latin-1"))
    with pytest.raises(StageError, match=r"x\.txt: not UTF-8 text .* at byte 4"):
        open_vectors(path)


def test_text_named_parquet_and_other_columns_are_refused(tmp_path):
    path = tmp_path / "x.parquet"
    path.write_text("row_id,vector\n")
    with pytest.raises(StageError, match="x.parquet: not a Parquet file"):
        open_vectors(path)
    pq.write_table(pa.table({"id": IDS}), path)
    with pytest.raises(StageError, match="columns id, expected row_id and vector"):
        open_vectors(path)


def test_rows_without_a_vector_are_named(tmp_path):
    with pytest.raises(StageError, match="no vector for 2 of 3 rows: x, y"):
        open_vectors(as_parquet(tmp_path)).aligned(pa.array(["a", "x", "y"]), np.ones(3, bool))
