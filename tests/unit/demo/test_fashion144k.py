"""The drawn Fashion144k tree: labels are what the photos show."""

from types import SimpleNamespace

import numpy as np
import pytest

from stages.core.tables import read_table
from stages.demo import fashion144k
from stages.demo.truth import FILE, TRUTH

PARAMS = fashion144k.Fashion144kDemo(
    seed=10, train=12, valid=3, test=5, width=40, height=60, dress_percent=35, outer_percent=35, hat_percent=30,
    missing_images=1,
)  # fmt: skip


def draw(folder, **changes):
    args = SimpleNamespace(out=folder / "raw", truth=folder / "truth")
    fashion144k.main(args, SimpleNamespace(demo=PARAMS.model_copy(update=changes)))
    return folder


def content(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return draw(tmp_path_factory.mktemp("street"))


def test_same_params_give_the_same_bytes_and_another_seed_others(drawn, tmp_path):
    assert content(draw(tmp_path / "again")) == content(drawn)
    assert content(draw(tmp_path / "other", seed=11)) != content(drawn)


def test_files_are_upstreams(drawn):
    root = drawn / "raw"
    names = (root / "photos.txt").read_text().splitlines()
    labels = np.load(root / "feat/singles_at_59.npy", allow_pickle=False)
    assert labels.shape == (20, 59) and set(np.unique(labels)) == {0, 1}
    assert len((root / "feat/singles_at_59.txt").read_text().splitlines()) == 59
    assert sum((root / name).is_file() for name in names) == 19
    ids = {split: np.load(root / f"{split}ids.npy").tolist() for split in ("train", "valid", "test")}
    assert {split: len(found) for split, found in ids.items()} == {"train": 12, "valid": 3, "test": 5}
    assert sorted(one for found in ids.values() for one in found) == list(range(20))


def test_labels_are_the_garments_of_which_enough_is_visible(drawn):
    root = drawn / "raw"
    names = (root / "photos.txt").read_text().splitlines()
    columns = (root / "feat/singles_at_59.txt").read_text().splitlines()
    labels = np.load(root / "feat/singles_at_59.npy")
    shown: dict[str, set[str]] = {}
    for row in read_table(drawn / "truth" / FILE, TRUTH).to_pylist():
        if row["item"]:
            shown.setdefault(row["image_id"], set()).add(fashion144k.LABELS[row["kind"]])
    for name, row in zip(names, labels, strict=True):
        if (root / name).is_file():
            marked = {column for column, there in zip(columns, row, strict=True) if there}
            assert marked == shown[name.removeprefix("photos/").removesuffix(".jpg")]
    assert labels.sum(axis=1).min() >= 1 and labels.sum(axis=1).max() >= 3
