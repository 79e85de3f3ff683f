"""The job that adds a folder: how far it is, how it ends, and that it lets searches go first."""

import time

import pytest

from stages.core.errors import StageError
from stages.web.build import Build, folder_of


def ended(build):
    until = time.monotonic() + 10
    while build.progress.running and time.monotonic() < until:
        time.sleep(0.005)
    return build.progress


def test_job_tells_how_far_it_is_and_what_it_did(wardrobe, tmp_path):
    wardrobe.go_on.clear()
    build = Build(wardrobe)
    build.add(tmp_path)
    until = time.monotonic() + 10
    while not build.progress.done and time.monotonic() < until:
        time.sleep(0.005)
    progress = build.progress
    assert (progress.running, progress.done, progress.total, progress.what) == (True, 1, 3, str(tmp_path))
    with pytest.raises(StageError, match="is being read"):
        build.rescan()
    wardrobe.go_on.set()
    progress = ended(build)
    assert (progress.done, progress.error, progress.stopped) == (3, "", False)
    assert progress.change.counts["added"] == 3 and wardrobe.added == [tmp_path]


def test_job_that_is_stopped_ends_after_the_photo_at_hand(wardrobe, tmp_path):
    wardrobe.go_on.clear()
    build = Build(wardrobe)
    build.add(tmp_path)
    build.stop()
    wardrobe.go_on.set()
    progress = ended(build)
    assert progress.stopped and progress.done == 1


@pytest.mark.parametrize(
    "error", [StageError("no image in it"), OSError(28, "No space left on device"), KeyError("bug")]
)
def test_job_that_fails_says_why_and_another_may_begin(wardrobe, tmp_path, error, caplog):
    def fail(*_):
        raise error

    wardrobe.sync = fail
    build = Build(wardrobe)
    build.rescan()
    progress = ended(build)
    assert progress.change is None
    assert ("the terminal" in progress.error) if isinstance(error, KeyError) else (progress.error == str(error))
    build.add(tmp_path)
    assert ended(build).change is not None


def test_searches_go_first_but_cannot_hold_a_job_up_for_good(wardrobe, tmp_path, monkeypatch):
    monkeypatch.setattr("stages.web.build.LONGEST", 0.1)
    seen = []

    def waiting():
        seen.append(1)
        return 1

    build = Build(wardrobe, waiting)
    started = time.monotonic()
    build.add(tmp_path)
    assert ended(build).done == 3
    assert time.monotonic() - started >= 0.3 and len(seen) >= 3


def test_folder_that_is_not_there_is_refused_at_once(wardrobe, tmp_path):
    with pytest.raises(StageError, match="no such folder"):
        Build(wardrobe).add(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("/a/b", "/a/b"),
        ("  /a/b \n", "/a/b"),
        ("'/a b'", "/a b"),
        ('"/a"', "/a"),
        ("file:///a%20b", "/a b"),
        ("~", None),
    ],
)
def test_folder_is_understood_as_people_paste_it(text, path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert str(folder_of(text)) == (path or "/home/me")


@pytest.mark.parametrize("text", ["", "  ", "''", "a/b", "/a\0b", "~nobody-of-that-name/x", "file://"])
def test_what_is_no_whole_path_is_refused_in_one_line(text):
    with pytest.raises(StageError, match=r"^.+$"):
        folder_of(text)
