"""What a push sends, replaces and refuses; tests/pipeline/test_remotes.py has it with real servers."""

import sys

import pytest
from shared_project import MORE, flip, stored

from stages.core.errors import StageError
from stages.sharing import push as module
from stages.sharing.push import broken, push


def test_push_sends_each_object_once(project, tmp_path, monkeypatch, capsys):
    # 3 different files of 8, 16 and 3 bytes, and the listing of the folder.
    assert push(None).startswith(f"store ({tmp_path / 'store'}): sent 4 objects, 0.0 MB, and the run cache in ")
    monkeypatch.setattr(sys, "argv", ["push", "--remote", "store"])
    module.main()
    assert "sent 0 objects" in capsys.readouterr().out
    assert (
        len([path for path in (tmp_path / "store" / "runs").rglob("*") if path.is_file()]) == 1
    )  # `count` writes what git keeps


def test_broken_are_other_sizes_and_listings_whose_files_are_not_there(tmp_path):
    abc, cache = "900150983cd24fb0d6963f7d28e17f72", tmp_path
    (cache / "90").mkdir()
    (cache / "90" / abc[2:]).write_bytes(b"abc")
    groups = [["l1.dir", abc], ["l2.dir", "ff"], ["l3.dir"]]
    there = {"l1.dir": 9, "l2.dir": 9, "l3.dir": 9, abc: 3, "ff": None}
    assert broken(groups, cache, there) == {"l2.dir"}
    assert broken(groups, cache, there | {abc: 2}) == {abc, "l1.dir", "l2.dir"}
    (cache / "90" / abc[2:]).write_bytes(b"ab")  # damaged here: what the remote has may be whole
    assert broken(groups, cache, there) == {"l2.dir"}


def test_damaged_object_is_not_sent(project, tmp_path):
    flip(stored(MORE))
    with pytest.raises(StageError, match=r"so it is not sent\. `make verify` says"):
        push(None)
    assert not list((tmp_path / "store").rglob(stored(MORE).name))


def test_remote_that_is_not_there_is_named(project):
    with pytest.raises(StageError, match="no remote 'x'; there are store"):
        push("x")
    (project / ".dvc" / "config.local").unlink()
    with pytest.raises(StageError, match="no remote was named and none is default"):
        push(None)
