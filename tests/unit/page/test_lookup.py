"""Rows by id, and the nearest ids of one that is not there."""

import pytest

from stages.core.errors import StageError
from stages.page.lookup import Profile, named_by, nearest_ids, unknown


def test_profile_that_was_not_ingested_is_one_message(tmp_path):
    with pytest.raises(StageError, match="run `dvc repro`"):
        Profile(tmp_path)


@pytest.mark.parametrize(("key", "names"), [
    ("styles.csv:12", {"styles.csv:12", "styles.csv", "12"}),
    ("images/a/b.jpg", {"images/a/b.jpg", "a/b.jpg", "b.jpg", "b"}),
    ("1163", {"1163"}),
])  # fmt: skip
def test_keys_of_ledgers_name_ids(key, names):
    assert names <= named_by(key)


def test_nearest_ids_hold_the_wanted_or_are_spelled_alike(tmp_path):
    known = ["shoes:1", "shoes:12", "hats:7"]
    assert nearest_ids("oes:1", known)[:2] == ["shoes:1", "shoes:12"]
    assert "Nearest: shoes:1" in str(unknown("crop", "shoos:1", known, tmp_path))
    assert "none, the table is empty" in str(unknown("crop", "x", [], tmp_path))
