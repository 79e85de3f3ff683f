"""Which files the models see, and what becomes of the others."""

import hashlib

import numpy as np
import pytest

from stages.app.garments import Garment
from stages.app.reading import PhotoReader
from stages.core.errors import StageError

STAMP = (3, 1, 7)


class Models:
    """Sees as many garments in a photo as it has bytes; a photo that begins with "bad" cannot be read."""

    def __init__(self):
        self.seen = []

    def load(self):
        pass

    def garments(self, data, name):
        self.seen.append(name.name)
        if data.startswith(b"bad"):
            raise StageError(f"{name}: damaged.")
        return (4, 4), [Garment(name, "top", 0.5, (0.0, 0.0, 4.0, at + 1.0), b"") for at in range(len(data))]

    def describe(self, garments):
        heights = np.array([[garment.box[3]] for garment in garments], np.float32)
        return heights, heights / 10


@pytest.fixture
def reader():
    return PhotoReader(Models(), {hashlib.sha256(b"old").hexdigest()})


def test_only_bytes_that_the_models_have_not_seen_go_to_them(tmp_path, reader):
    for name, data in {"a": b"xy", "copy": b"xy", "old": b"old"}.items():
        (tmp_path / name).write_bytes(data)
        assert reader.read(str(tmp_path / name), STAMP).sha256 == hashlib.sha256(data).hexdigest()
    assert reader.models.seen == ["a"]


def test_file_that_cannot_be_opened_has_a_reason_and_no_hash(tmp_path, reader):
    file = reader.read(str(tmp_path / "gone"), STAMP)
    assert (file.sha256, file.stamp) == (None, STAMP)
    assert "No such file" in str(file)


def test_file_is_known_while_its_stamp_and_its_bytes_are(tmp_path, reader):
    (tmp_path / "a").write_bytes(b"x")
    file = reader.read(str(tmp_path / "a"), STAMP)
    assert reader.knows(file, STAMP)
    assert not reader.knows(file, (3, 2, 7))
    assert not reader.knows(None, STAMP)
    assert not PhotoReader(reader.models, set()).knows(file, STAMP)


def test_each_photo_gets_the_rows_of_its_own_garments_and_a_bad_one_its_reason(tmp_path, reader):
    for name, data in {"one": b"x", "bad": b"bad", "none": b"", "two": b"yz"}.items():
        (tmp_path / name).write_bytes(data)
        reader.read(str(tmp_path / name), STAMP)
    one, bad, none, two = reader.results()
    assert one.rows.tolist() == [[1.0, pytest.approx(0.1)]]
    assert (bad.rows, bad.garments, bad.reason) == (None, [], "damaged")
    assert (none.rows, none.garments, none.reason) == (None, [], None)
    assert two.rows[:, 0].tolist() == [1.0, 2.0]
    assert [box[3] for _, _, box in two.garments] == [1.0, 2.0]
