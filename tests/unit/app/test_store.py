"""The files of the store: what a crash leaves, what is written anew, what is damaged."""

import numpy as np
import pytest

from stages.app.store import COMPACT_FROM, KEPT_KEYS, Busy, File, PhotoGarments, Roots, Store, below
from stages.core.errors import StageError


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def photo_garments(name, garments=1):
    """A photo with that many garments, whose rows hold its name's first letter."""
    rows = np.full((garments, 3), ord(name[0]), np.float32)
    return PhotoGarments(name, (10, 20), [("top", 0.5, (1, 2, 3, 4))] * garments, rows)


def test_garments_and_their_rows_come_back(store):
    results = store.results("key")
    results.append([photo_garments("a"), photo_garments("b", 2)])
    results.append(
        [
            PhotoGarments("c", (0, 0), [], None, "truncated"),
            PhotoGarments("d", (5, 5), [("none", None, None)], np.ones((1, 3))),
        ]
    )
    table, rows = results.read()
    columns = table.to_pydict()
    assert columns["sha256"] == ["a", "b", "b", "c", "d"] and columns["number"] == [0, 0, 1, None, 0]
    assert columns["reason"] == [None, None, None, "truncated", None]
    assert columns["x1"] == [1, 1, 1, None, None] and columns["row"] == [0, 1, 2, None, 3]
    assert rows.tolist() == [[97.0] * 3, [98.0] * 3, [98.0] * 3, [1.0] * 3]
    assert results.known() == {"a", "b", "c", "d"}


def test_rows_that_a_killed_process_left_are_written_over(store):
    results = store.results("key")
    results.append([photo_garments("a")])
    (vectors,) = results.folder.glob("vectors-*")
    with vectors.open("ab") as stream:
        stream.write(b"half a row")
    results.append([photo_garments("b")])
    assert results.read()[1].tolist() == [[97.0] * 3, [98.0] * 3]
    assert vectors.stat().st_size == 2 * 3 * 4


def test_vectors_are_written_anew_when_most_are_of_no_use(store):
    results = store.results("key")
    results.append([photo_garments("a", 5), photo_garments("b", COMPACT_FROM + 10), photo_garments("c", 2)])
    held = results.read()[1]
    results.keep_only({"a", "c"})
    table, rows = results.read()
    assert rows[:, 0].tolist() == [97.0] * 5 + [99.0] * 2
    assert table["row"].to_pylist() == list(range(7))
    assert [path.name for path in results.folder.glob("vectors-*")] == ["vectors-1.f32"]
    assert held[0, 0] == 97  # a reader of the old state still has it
    results.append([photo_garments("d")])
    assert results.read()[1][-1].tolist() == [100.0] * 3


def test_few_rows_of_no_use_stay_where_they_are(store):
    results = store.results("key")
    results.append([photo_garments("a"), photo_garments("b"), photo_garments("c")])
    results.keep_only({"a", "c"})
    table, rows = results.read()
    assert table["row"].to_pylist() == [0, 2] and len(rows) == 3


def test_files_and_roots_with_names_that_are_no_text_come_back(store):
    files = [File("/x/caf\udce9.jpg", (1, 2, 3), "a"), File("/x/b\n.jpg", (4, 5, 6), None, "Permission denied", False)]
    store.write_files(files)
    assert store.files() == {one.path: one for one in files}
    roots = Roots(["/x/caf\udce9"], ["/x/b\n.jpg"])
    store.write_roots(roots)
    assert store.roots() == roots


def test_writer_that_does_not_wait_is_told_that_another_one_writes(store):
    with store.writing(), pytest.raises(Busy), Store(store.folder).writing(wait=False):
        pass
    with Store(store.folder).writing(wait=False):
        pass


def test_what_a_killed_writer_left_is_cleared_and_photos_with_such_names_stay(store):
    store.results("key").append([photo_garments("a")])
    left = [store.folder / "files.parquet.1.new", store.folder / "key" / "garments.parquet.1.new"]
    kept = store.folder / "photos" / "jeans.new"
    kept.parent.mkdir()
    for path in (*left, kept):
        path.touch()
    with store.writing():
        pass
    assert not any(path.exists() for path in left) and kept.exists()


def test_models_that_were_used_last_are_remembered(store):
    import os

    for number in range(KEPT_KEYS + 3):
        results = store.results(f"key{number}")
        results.append([photo_garments("a")])
        os.utime(results.table, (number, number))
    store.delete_other_results("key0")
    left = sorted(path.name for path in store.folder.glob("key*"))
    assert left == ["key0", *(f"key{number}" for number in range(3, KEPT_KEYS + 3))]


@pytest.mark.parametrize("name", ["garments.parquet", "vectors-0.f32"])
def test_damaged_file_is_one_message_that_says_what_to_do(store, name):
    results = store.results("key")
    results.append([photo_garments("a")])
    path = results.folder / name
    path.write_bytes(path.read_bytes()[:9])
    with pytest.raises(StageError, match="damaged .* Delete the folder .*key; it is made again"):
        results.read()


def test_below_goes_by_whole_names():
    assert below("/a/b/c", "/a/b") and below("/a/b", "/a/b") and below("/x", "/")
    assert not below("/a/bc", "/a/b") and not below("/a", "/a/b")
