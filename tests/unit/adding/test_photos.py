"""Photos that ingest will leave out."""

import pytest
from own_data import picture

from stages.adding.photos import Photos
from stages.ingest.reading import ImageFile, IngestParams


@pytest.fixture
def files(tmp_path):
    """Two photos, a copy of the first in the test split, one that is cut off and one that is none."""
    contents = {"a": picture(1), "b": picture(2), "copy": picture(1), "cut": picture(3)[:400], "page": b"<html>"}
    for name, data in contents.items():
        (tmp_path / f"{name}.jpg").write_bytes(data)
    return [ImageFile(name, tmp_path / f"{name}.jpg", "test" if name == "copy" else "train") for name in contents]


def params(**changes):
    values = {"reader": "folders", "shards": 1, "min_side": 16, "max_pixels": 10_000, "duplicates": "drop",
              "near_hamming": 0, "near_color": 0, "val_share": 0.1}  # fmt: skip
    return IngestParams.model_validate(values | changes)


def reasons(files, **changes):
    return {name: reason for name, (reason, _) in Photos().left_out(files, params(**changes)).items()}


def test_photos_that_cannot_be_read_and_copies_are_left_out_as_ingest_does(files):
    assert reasons(files) == {"a": "duplicate_image", "cut": "corrupt_image", "page": "corrupt_image"}
    assert reasons(files, duplicates="keep") == {"cut": "corrupt_image", "page": "corrupt_image"}


def test_photos_of_64_x_48_pixels_are_left_out_where_that_is_too_few_or_too_many(files):
    assert reasons(files[:2], min_side=49) == {"a": "too_small", "b": "too_small"}
    assert reasons(files[:2], max_pixels=64 * 48 - 1) == {"a": "too_large", "b": "too_large"}


def test_a_photo_is_opened_once(files):
    photos = Photos()
    before = photos.left_out(files, params())
    for file in files:
        file.path.unlink()
    assert photos.left_out(files, params()) == before
