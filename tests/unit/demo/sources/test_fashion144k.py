"""The drawn Fashion144k tree: labels are what the photos show."""

import numpy as np

from stages.demo.sources import fashion144k


def test_files_are_upstreams(drawn):
    root = drawn / "fashion144k"
    names = (root / "photos.txt").read_text().splitlines()
    labels = np.load(root / "feat/singles_at_59.npy", allow_pickle=False)
    assert labels.shape == (20, 59) and set(np.unique(labels)) == {0, 1}
    assert len((root / "feat/singles_at_59.txt").read_text().splitlines()) == 59
    assert sum((root / name).is_file() for name in names) == 19
    ids = {split: np.load(root / f"{split}ids.npy").tolist() for split in ("train", "valid", "test")}
    assert {split: len(found) for split, found in ids.items()} == {"train": 12, "valid": 3, "test": 5}
    assert sorted(one for found in ids.values() for one in found) == list(range(20))


def test_labels_are_the_garments_of_which_enough_is_visible(drawn, truth):
    root = drawn / "fashion144k"
    names = (root / "photos.txt").read_text().splitlines()
    columns = (root / "feat/singles_at_59.txt").read_text().splitlines()
    labels = np.load(root / "feat/singles_at_59.npy")
    shown: dict[str, set[str]] = {}
    for row in truth("fashion144k"):
        if row["item"]:
            shown.setdefault(row["image_id"], set()).add(fashion144k.LABELS[row["kind"]])
    for name, row in zip(names, labels, strict=True):
        if (root / name).is_file():
            marked = {column for column, there in zip(columns, row, strict=True) if there}
            assert marked == shown[name.removeprefix("photos/").removesuffix(".jpg")]
    assert labels.sum(axis=1).min() >= 1 and labels.sum(axis=1).max() >= 3
