"""Fashion144k: photos by line, labels and splits in arrays that are checked before they are believed."""

import csv
import io

import numpy as np
import pytest
from scipy.io import savemat

from stages.core.errors import StageError

NAMES = ["a1", "b2", "c3", "d4"]
LABELS = np.array([[1, 0, 1], [0, 1, 0], [0, 0, 0], [1, 1, 1]], np.uint8)


def saved(tree, name, array, **options):
    stream = io.BytesIO()
    np.save(stream, np.asarray(array), **options)
    tree.text(name, stream.getvalue())


@pytest.fixture
def street(tree):
    for seed, name in enumerate(NAMES):
        tree.image(f"photos/{name}.jpg", seed=seed)
    tree.text("photos.txt", "".join(f"photos/{name}.jpg\n" for name in NAMES))
    saved(tree, "feat/singles_at_59.npy", LABELS)
    tree.text("feat/singles_at_59.txt", "Boots\nHeather Gray\nShirt\n")
    for split, ids in {"train": [0, 2], "valid": [1], "test": [3]}.items():
        saved(tree, f"{split}ids.npy", ids)
    return tree


def rows_of(tree):
    return {row["image_id"]: (row["status"], row["labels"]) for row in tree.read("fashion144k")[0].items}


ROWS = {"a1": ("train", "Boots|Shirt"), "b2": ("val", "Heather Gray"), "c3": ("train", ""), "d4": ("test", "Boots|Heather Gray|Shirt")}  # fmt: skip


def test_lines_columns_and_indices_belong_together(street):
    assert rows_of(street) == ROWS
    _, ledgers, account = street.read("fashion144k")
    assert ledgers["items"]["rows_in"] == 4
    assert account.notes["read from"] == {"images": "photos", "labels": "feat/singles_at_59.npy, 3 labels"}
    street.stage("fashion144k")


def test_matlab_file_of_splits_is_read(street):
    for split in ("train", "valid", "test"):
        street.remove(f"{split}ids.npy")
    savemat(street.root / "split.mat", {"trainids": [[0, 2]], "validids": [[1]], "testids": [[3]]})
    assert rows_of(street) == ROWS


def test_ids_that_count_from_one_are_shifted(street):
    for split in ("train", "valid", "test"):
        street.remove(f"{split}ids.npy")
    savemat(street.root / "split.mat", {"trainids": [[1.0, 3.0]], "validids": [[2.0]], "testids": [[4.0]]})
    assert rows_of(street) == ROWS


def test_the_123_labels_are_read_where_the_59_are_not_there(street):
    street.remove("feat/singles_at_59.npy")
    saved(street, "feat/feat_sin.npy", LABELS.astype(bool))
    street.text("feat/singles.txt", "Boots\r\nGray\r\nShirt\r\n")
    assert rows_of(street)["d4"] == ("test", "Boots|Gray|Shirt")


def test_labels_without_names_are_numbered(street):
    street.remove("feat/singles_at_59.txt")
    assert rows_of(street)["a1"] == ("train", "label_00|label_02")


def test_photos_in_no_split_or_in_two_are_on_record(street, rejects):
    saved(street, "trainids.npy", [0, 3])
    reading, ledgers, account = street.read("fashion144k")
    assert {row["image_id"]: row["status"] for row in reading.items} == {"a1": "train", "b2": "val", "d4": "test"}
    assert ledgers["items"]["repaired"] == {"two_statuses": 1}
    assert rejects(account) == [("images", "photos/c3", "no_annotation"), ("items", "photos.txt:3", "no_annotation")]


def test_missing_photos_repeated_lines_and_strangers_are_on_record(street, rejects):
    street.text("photos.txt", "photos/a1.jpg\nphotos/a1.jpg\n\n../../etc/passwd\n")
    saved(street, "trainids.npy", [0, 1, 2])
    saved(street, "validids.npy", [3])
    _, _, account = street.read("fashion144k")
    assert [row for row in rejects(account) if row[0] == "items"] == [
        ("items", "photos.txt:2", "duplicate_row"),
        ("items", "photos.txt:3", "malformed_row"),
        ("items", "photos.txt:4", "missing_image"),
    ]
    assert ("images", "photos/b2", "no_annotation") in rejects(account)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (LABELS[:3], r"an array \[3, 3\], expected \[4, labels\]"),
        (LABELS[:, 0], r"an array \[4\], expected \[4, labels\]"),
        (LABELS * 3, "values 0, 3; expected 0 and 1"),
        (np.where(LABELS, np.nan, 0), "expected 0 and 1"),
        (LABELS.astype(str), "expected 0 and 1"),
    ],
)
def test_labels_that_do_not_fit_are_one_message(street, labels, message):
    saved(street, "feat/singles_at_59.npy", labels)
    with pytest.raises(StageError, match=message):
        street.read("fashion144k")


def test_line_longer_than_any_path_is_one_message(street):
    csv.field_size_limit(131_072)  # Python's own, which other code in this process may have raised
    street.text("photos.txt", "photos/a1.jpg\n" + "x" * 200_000 + "\n")
    with pytest.raises(StageError, match="photos.txt, line 2: field larger than field limit"):
        street.read("fashion144k")


def test_pickled_arrays_are_never_loaded(street):
    saved(street, "trainids.npy", np.array([{"id": 1}], object), allow_pickle=True)
    with pytest.raises(StageError, match="trainids.npy: not a plain NumPy array"):
        street.read("fashion144k")


@pytest.mark.parametrize(
    ("ids", "message"), [([0, 9], "trainids: 9; expected indices"), ([-1], "trainids: -1"), ([0.5], "whole numbers")]
)
def test_ids_that_are_no_photos_are_one_message(street, ids, message):
    saved(street, "trainids.npy", ids)
    with pytest.raises(StageError, match=message):
        street.read("fashion144k")


def test_damaged_matlab_file_is_one_message(street):
    street.text("split.mat", b"not a MATLAB file" * 20)
    with pytest.raises(StageError, match="split.mat: not a MATLAB file that SciPy reads"):
        street.read("fashion144k")


def test_names_of_another_number_are_one_message(street):
    street.text("feat/singles_at_59.txt", "Boots\nBoots\n")
    with pytest.raises(StageError, match=r"2 names \(Boots twice\), but the labels have 3 columns"):
        street.read("fashion144k")


@pytest.mark.parametrize("name", ["photos.txt", "feat/singles_at_59.npy", "trainids.npy"])
def test_what_is_missing_is_named(street, name):
    street.remove(name)
    with pytest.raises(StageError, match=name.rsplit("/", 1)[-1].split(".")[0]):
        street.read("fashion144k")
