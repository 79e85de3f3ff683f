"""Files are the same bytes for the same content; last-bit noise does not show."""

import hashlib
import json

import numpy as np
import pytest

from stages.core.errors import StageError
from stages.core.files import digest, file_digest, fresh_folder, listing, read_json, rounded, write_csv, write_json


def test_floats_are_rounded_to_six_digits_at_any_depth():
    assert rounded({"a": [0.1234564999, (1, 2.00000049)], "b": "x", 3: None}) == {
        "a": [0.123456, [1, 2.0]],
        "b": "x",
        "3": None,
    }


def test_numpy_values_become_plain_ones():
    value = rounded({"f": np.float32(0.1), "i": np.int64(7), "b": np.bool_(True)})
    assert value == {"f": 0.1, "i": 7, "b": True}
    assert [type(inner) for inner in value.values()] == [float, int, bool]


def test_noise_around_zero_has_no_sign():
    """Two machines that compute +1e-17 and -1e-17 must write the same byte."""
    assert json.dumps(rounded(-1e-17)) == json.dumps(rounded(1e-17)) == "0.0"


def test_json_has_sorted_keys_rounded_floats_and_a_closing_newline(tmp_path):
    write_json(tmp_path / "deep" / "a.json", {"b": 1 / 3, "a": "Größe"})
    assert (tmp_path / "deep" / "a.json").read_text(encoding="utf-8") == '{\n  "a": "Größe",\n  "b": 0.333333\n}\n'


def test_json_bytes_do_not_depend_on_key_order_or_last_bits(tmp_path):
    write_json(tmp_path / "a.json", {"x": 0.1 + 0.2, "y": 1})
    write_json(tmp_path / "b.json", {"y": 1, "x": 0.3})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_nan_is_refused_in_json(tmp_path):
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", {"x": float("nan")})


def test_missing_or_damaged_json_is_one_message(tmp_path):
    with pytest.raises(StageError, match="no such file.*dvc repro"):
        read_json(tmp_path / "a.json")
    (tmp_path / "a.json").write_text("{oops")
    with pytest.raises(StageError, match="a.json: not valid JSON"):
        read_json(tmp_path / "a.json")


def test_csv_is_rounded_with_unix_newlines(tmp_path):
    write_csv(tmp_path / "a.csv", ["x", "y"], [[1, 1 / 3], ["a,b", None]])
    assert (tmp_path / "a.csv").read_bytes() == b'x,y\n1,0.333333\n"a,b",\n'


def test_fresh_folder_is_empty(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").write_text("x")
    assert list(fresh_folder(tmp_path / "out").iterdir()) == []


def test_fresh_folder_that_was_a_link_leaves_alone_what_it_led_to(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "precious").write_text("x")
    (tmp_path / "out").symlink_to(tmp_path / "disk")
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    for name in ("out", "broken"):
        assert list(fresh_folder(tmp_path / name).iterdir()) == [] and not (tmp_path / name).is_symlink()
    assert (tmp_path / "disk" / "precious").read_text() == "x"


def test_listing_is_sorted_and_names_a_missing_folder(tmp_path):
    for name in ("b.txt", "a.txt", "c.csv"):
        (tmp_path / name).touch()
    assert [path.name for path in listing(tmp_path, "*.txt", "text files")] == ["a.txt", "b.txt"]
    with pytest.raises(StageError, match="no such folder; expected text files"):
        listing(tmp_path / "none", "*.txt", "text files")


def test_digest_separates_its_parts():
    assert digest("ab", "c") != digest("a", "bc")
    assert digest("a") == hashlib.sha256(b"a\0").hexdigest()


def test_file_digest_depends_on_content_and_names_alone(tmp_path):
    for root in ("one", "two"):
        (tmp_path / root / "d").mkdir(parents=True)
        (tmp_path / root / "d" / "x").write_text("1")
    same = file_digest(tmp_path / "one" / "d")
    assert same == file_digest(tmp_path / "two" / "d")
    (tmp_path / "two" / "d" / "x").write_text("2")
    assert same != file_digest(tmp_path / "two" / "d")
