"""Files of the store: replaced as a whole; a damaged one says what to do."""

import pyarrow as pa
import pytest

from stages.app.store_files import read_whole_table, stat_of, write_whole, write_whole_table
from stages.core.errors import StageError

SCHEMA = pa.schema([("path", pa.string()), ("size", pa.int64())])
TABLE = pa.table({"path": ["a.jpg"], "size": [3]}, schema=SCHEMA)


def test_table_that_was_written_is_read_and_a_missing_one_is_empty(tmp_path):
    path = tmp_path / "files.parquet"
    assert read_whole_table(path, SCHEMA).num_rows == 0
    write_whole_table(path, TABLE)
    assert read_whole_table(path, SCHEMA).equals(TABLE)


def test_open_file_keeps_its_content_when_it_is_replaced(tmp_path):
    path = tmp_path / "card.json"
    write_whole(path, b"old")
    with path.open("rb") as reader:
        write_whole(path, b"new")
        assert reader.read() == b"old"
    assert path.read_bytes() == b"new"
    assert [file.name for file in tmp_path.iterdir()] == ["card.json"]


def test_error_while_writing_leaves_the_old_content(tmp_path):
    path = tmp_path / "card.json"
    write_whole(path, b"old")
    with pytest.raises(TypeError):
        write_whole(path, "not bytes")
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("content", [b"", b"PAR1 and no more"])
def test_damaged_table_is_named_with_what_to_do(tmp_path, content):
    path = tmp_path / "files.parquet"
    path.write_bytes(content)
    with pytest.raises(StageError, match=r"files\.parquet: damaged .* Delete the folder"):
        read_whole_table(path, SCHEMA)


def test_table_with_other_columns_is_damaged(tmp_path):
    path = tmp_path / "files.parquet"
    write_whole_table(path, TABLE.drop_columns(["size"]))
    with pytest.raises(StageError, match="not the expected columns"):
        read_whole_table(path, SCHEMA)


def test_state_of_a_file_changes_when_it_is_replaced_by_equal_bytes(tmp_path):
    path = tmp_path / "card.json"
    assert stat_of(path) == (0, 0, 0)
    write_whole(path, b"same")
    before = stat_of(path)
    assert before[0] == 4
    with path.open("rb"):  # the old file's inode cannot be taken again
        write_whole(path, b"same")
        assert stat_of(path) != before
