"""What disagrees is named with its stage and path, the advice repairs it, and nothing is run or changed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from shared_project import CACHE, MORE, WORDS, flip, stored

from stages.core.errors import StageError
from stages.sharing import verify as module
from stages.sharing.push import push
from stages.sharing.verify import verify


def follow(line, without_remote=False):
    """Run what a line advises, as a person would."""
    advice = re.findall(r"`([^`]+)`", line)
    chosen = [advice[-1]] if without_remote else [command for command in advice if not command.startswith("rm ")][:1]
    removal = [command for command in advice if command.startswith("rm ")]
    path = f"PATH={Path(sys.executable).parent}:$PATH"
    text = " && ".join([*removal, *chosen])
    done = subprocess.run(["bash", "-c", f"{path}; {text}"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, text + done.stdout + done.stderr
    return text


def files():
    """Path -> bytes of all files but DVC's own notes."""
    found = (path for path in Path().rglob("*") if path.is_file() and not path.is_relative_to(".dvc/tmp"))
    return {path: path.read_bytes() for path in found}


@pytest.mark.parametrize("fast", [False, True])
def test_a_reproduced_project_agrees(project, fast):
    before = files()
    verdict = verify(fast)
    assert verdict.lines == []
    # out.txt and folder/a have 8 bytes, folder/b 16, count.txt "16\n".
    how = "by size and date" if fast else "every byte hashed"
    assert verdict.last == (
        f"verify: all 2 stages agree in checkout, dvc.lock, cache, no remote asked: 4 files, 0 MB, {how}."
    )
    assert files() == before


def test_flipped_byte_in_the_cache_is_named_and_repaired_by_pulling(project):
    push(None)
    flip(stored(MORE))
    before = files()
    (line,) = verify().lines
    assert line.startswith("make: ") and str(stored(MORE)) in line and "folder/b" in line
    assert files() == before  # DVC's own check would have deleted the object
    follow(line)
    assert verify().lines == []
    assert stored(MORE).read_text() == MORE


@pytest.mark.slow
def test_flipped_byte_in_the_cache_is_repaired_from_the_checkout_where_there_is_no_remote(project):
    flip(stored(MORE))
    (line,) = verify().lines
    assert "dvc commit make" in follow(line, without_remote=True)
    assert verify().lines == [] and stored(MORE).read_text() == MORE


@pytest.mark.slow
def test_byte_flipped_in_cache_and_checkout_is_repaired_by_running_where_there_is_no_remote(project):
    flip(stored(MORE))
    flip(Path("folder/b"))
    (line,) = verify().lines
    assert "dvc repro make" in follow(line, without_remote=True)
    assert verify().lines == [] and stored(MORE).read_text() == MORE


@pytest.mark.slow
def test_flipped_byte_in_the_checkout_is_named_with_its_stage_alone_and_repaired(project):
    flip(Path("folder/b"))
    verdict = verify()
    (line,) = verdict.lines
    assert line.startswith("make: ") and "folder/b" in line and "folder/a" not in line
    assert verdict.last.startswith("verify: 1 of 2 stages disagree (checkout 1)")
    follow(line)
    assert verify().lines == []
    assert Path("folder/b").read_text() == MORE


@pytest.mark.slow
def test_flipped_byte_in_a_link_to_the_cache_is_repaired_on_both_sides(project):
    push(None)
    Path("folder/b").unlink()
    Path("folder/b").hardlink_to(stored(MORE))
    flip(stored(MORE))
    (line,) = verify().lines
    assert str(stored(MORE)) in line and "the checkout has other bytes than dvc.lock says in folder/b" in line
    follow(line)
    assert verify().lines == []


@pytest.mark.slow
def test_file_that_dvc_lock_does_not_name_is_named(project):
    Path("folder/extra").write_text("more")
    (line,) = verify().lines
    assert "folder/extra" in line and line.startswith("make: ")
    follow(line)
    assert verify().lines == []


@pytest.mark.slow
def test_listing_that_is_damaged_is_named_as_its_folder(project):
    push(None)
    (listing,) = CACHE.rglob("*.dir")
    flip(listing)
    (line,) = verify().lines
    assert str(listing) in line and "folder/" in line
    follow(line)
    assert verify().lines == []


@pytest.mark.slow
def test_what_the_cache_lacks_is_stored_again_from_the_checkout(project):
    stored(MORE).unlink()
    (line,) = verify().lines
    assert "the cache lacks folder/b" in line
    follow(line, without_remote=True)
    assert verify().lines == [] and stored(MORE).read_text() == MORE


@pytest.mark.slow
def test_an_empty_clone_is_filled_by_pulling(project):
    push(None)
    import shutil

    shutil.rmtree(".dvc/cache")
    for name in ("out.txt", "count.txt"):
        Path(name).unlink()
    shutil.rmtree("folder")
    verdict = verify()
    assert [line.split(": ")[0] for line in verdict.lines] == ["make", "count"]
    assert verdict.last.startswith("verify: 2 of 2 stages disagree (checkout 2, cache 2)")
    for line in verdict.lines:
        follow(line)
    assert verify(remote_too=True).lines == []


@pytest.mark.slow
def test_changed_params_and_code_are_told_of_the_stage_that_reads_them_and_not_of_those_after_it(project):
    Path("params.yaml").write_text("length: 4\n")
    Path("words.txt").write_text(WORDS * 2)
    (line,) = verify().lines
    assert line == "make: changed since dvc.lock: params.yaml: length, words.txt; `dvc repro make` runs it."
    follow(line)
    assert [line.split(": ")[0] for line in verify().lines] == ["count"]  # its input has changed by now


def test_stage_that_dvc_lock_lacks_is_told(project):
    Path("dvc.lock").unlink()
    assert [line.split(":")[0] for line in verify().lines] == ["make", "count"]
    assert "`dvc repro make` makes it" in verify().lines[0]


def test_what_a_remote_lacks_or_has_truncated_is_told_and_push_repairs_it(project, tmp_path):
    verdict = verify(remote_too=True)
    assert [line.split(": ")[0] for line in verdict.lines] == ["make", "count"]
    assert f"store ({tmp_path / 'store'}) lacks" in verdict.lines[0]
    push(None)
    assert verify(remote_too=True).lines == []
    there = tmp_path / "store" / stored(MORE).relative_to(".dvc/cache")
    there.chmod(0o644)
    there.write_text(MORE[:-1])
    (line,) = verify(remote_too=True).lines
    assert "folder/b, or has it in another size: `make push` sends it" in line
    push(None)
    assert verify(remote_too=True).lines == []
    assert there.read_text() == MORE


def test_unknown_remote_is_one_message(project):
    with pytest.raises(StageError, match="no remote 'stroe'; there are store"):
        verify(name="stroe", remote_too=True)


def test_status_of_the_command_is_0_only_if_all_agree_and_its_last_line_is_the_verdict(project, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["verify"])
    module.main()
    assert capsys.readouterr().out.splitlines()[-1].startswith("verify: all 2 stages agree")
    flip(Path("count.txt"))
    with pytest.raises(SystemExit) as ended:
        module.main()
    assert ended.value.code == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and lines[0].startswith("count: ") and lines[1].startswith("verify: 1 of 2")


def test_fast_finds_a_truncated_object_and_does_not_read_what_has_its_size_and_date(project):
    flip(stored(MORE))
    assert verify(fast=True).lines == [] != verify().lines
    stored(MORE).chmod(0o644)
    stored(MORE).write_text(MORE[:-1])
    (line,) = verify(fast=True).lines
    assert str(stored(MORE)) in line


def test_file_that_git_keeps_is_restored_from_git(project):
    Path("score.txt").write_text("9\n")
    (line,) = verify().lines
    assert line.startswith("count: ") and "`git checkout -- score.txt`" in line
