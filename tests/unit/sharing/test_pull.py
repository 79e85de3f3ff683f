"""What a pull brings, checks and leaves; tests/pipeline/test_remotes.py has it with real servers."""

import shutil
import sys
from pathlib import Path

import pytest
from shared_project import MORE, flip, stored

from stages.core.errors import StageError
from stages.sharing import pull as module
from stages.sharing.pull import pull
from stages.sharing.push import push


@pytest.fixture
def empty(project):
    """The project after a push, without cache and outs."""
    push(None)
    shutil.rmtree(".dvc/cache")
    shutil.rmtree("folder")
    Path("out.txt").unlink()
    return project


def test_pull_fills_checkout_and_cache(empty, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["pull"])
    module.main()
    assert "the checkout has all 4 files" in capsys.readouterr().out
    assert Path("folder/b").read_text() == MORE and stored(MORE).is_file()
    assert len([path for path in Path(".dvc/cache/runs").rglob("*") if path.is_file()]) == 1


def test_damaged_object_of_the_remote_is_not_kept_and_the_others_are_put_in_place(empty, tmp_path):
    flip(tmp_path / "store" / stored(MORE).relative_to(".dvc/cache"))
    with pytest.raises(
        StageError, match=r"lacks 1 of 4 files .* or has them damaged: folder/b\. The others are in place"
    ):
        pull(None)
    assert not stored(MORE).exists() and not Path("folder/b").exists()
    assert Path("out.txt").is_file()


def test_file_that_differs_and_is_in_no_cache_stays_without_force(empty):
    Path("count.txt").write_text("mine\n")
    with pytest.raises(StageError, match="--force"):
        pull(None)
    assert Path("count.txt").read_text() == "mine\n"
    pull(None, force=True)
    assert Path("count.txt").read_text() == f"{len(MORE)}\n"
