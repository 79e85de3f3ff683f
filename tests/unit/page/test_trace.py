"""Which stage made a folder, and which id a file has."""

import pytest

from stages.page.trace import _split_of, _tails, corrections, made_by


def test_outputs_are_read_from_the_lock(tmp_path):
    lock = tmp_path / "dvc.lock"
    lock.write_text("stages:\n  a@b:\n    outs:\n    - path: data/x\n      md5: abc.dir\n")
    assert made_by(lock) == {"data/x": {"stage": "a@b", "md5": "abc.dir"}}
    assert made_by(tmp_path / "none") == {}


def test_a_path_may_be_an_id_from_any_of_its_folders_on():
    assert _tails("a/b/c") == ["a/b/c", "b/c", "c"]


@pytest.mark.parametrize(("image_id", "stem", "same"), [
    ("train-000001", "train/image/000001", True), ("train-000001", "validation/image/000001", False),
    ("train-000001", "train/image/1000001", False), ("000001", "train/image/000001", False),
])  # fmt: skip
def test_ids_that_begin_with_a_split(image_id, stem, same):
    assert _split_of(image_id, stem) is same


def test_corrections_by_hand_are_those_of_the_item_with_their_lines(tmp_path):
    path = tmp_path / "relabel.csv"
    path.write_text(
        "source,item_id,column,value,reason\nshop,1,color,Red,seen\nhats,1,color,Blue,seen\nshop,1,type,,torn\n"
    )
    assert corrections(path, "shop", "1") == [
        {"line": 2, "column": "color", "value": "Red", "reason": "seen"},
        {"line": 4, "column": "type", "value": "", "reason": "torn"},
    ]
    assert corrections(tmp_path / "none.csv", "shop", "1") == []
