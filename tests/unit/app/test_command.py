"""``seamline wardrobe``: what its verbs print, their exit status, and names of files that begin with a dash."""

import json
import sys

import pytest
from small_wardrobe import ColorModels, photo

from stages.app import command
from stages.app.command import progress_bar


@pytest.fixture
def call(monkeypatch, tmp_path):
    """Runs the command in the test's folder; gives its exit status."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command.Models, "open", lambda confidence: ColorModels())

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["wardrobe", *words])
        with pytest.raises(SystemExit) as stopped:
            command.main()
        return stopped.value.code

    return run


@pytest.fixture
def clothes(tmp_path):
    for name, color in (("red.jpg", (200, 20, 20)), ("-dash.jpg", (220, 90, 90)), ("line\nbreak.jpg", (20, 20, 200))):
        photo(tmp_path / "clothes" / "x.jpg", color).rename(tmp_path / "clothes" / name)
    return tmp_path / "clothes"


def test_photos_are_added_listed_queried_and_removed(call, clothes, tmp_path, capsys):
    assert call("add", "clothes") == 0
    assert capsys.readouterr().out == "3 photos, 6 garments (3 added)\n"
    assert (tmp_path / "wardrobe" / "wardrobe.json").is_file()  # the default store
    assert call("list", "--items") == 0
    out = capsys.readouterr().out
    assert "3 photos, 6 garments (3 unchanged)" in out and f"added: {clothes}" in out
    assert "superclass: 3 bottom, 3 top" in out and r"line\nbreak.jpg  (top at (0, 0, 40, 30))  color blue" in out
    assert call("query", "clothes/red.jpg", "--top", "1") == 0
    assert "-dash.jpg" in capsys.readouterr().out
    assert call("remove", "clothes/-dash.jpg") == 0
    assert capsys.readouterr().out == "2 photos, 4 garments (1 removed)\n"
    assert call("remove", "clothes/-dash.jpg") == 1
    assert call("remove", "clothes") == 0
    assert call("list") == 1
    assert "nothing was added yet" in capsys.readouterr().out


def test_photo_whose_name_begins_with_a_dash_comes_after_two(call, clothes, monkeypatch):
    monkeypatch.chdir(clothes)
    assert call("add", "--", "-dash.jpg", "red.jpg") == 0
    assert call("query", "--top=1", "--", "-dash.jpg") == 0


def test_json_of_a_list_has_its_items(call, clothes, capsys):
    call("add", "clothes")
    capsys.readouterr()
    assert call("list", "--items", "--json") == 0
    content = json.loads(capsys.readouterr().out)
    assert set(content) == {"schema", "wardrobe", "added", "facets", "items"}
    assert len(content["items"]) == 6
    assert set(content["items"][0]) == {
        "id", "superclass", "confidence", "box", "width", "height", "attributes", "files",
    }  # fmt: skip


def test_bad_input_ends_with_two_and_one_message(call, capsys):
    assert call("add", "nowhere") == 2
    assert "nowhere: no such file or folder" in capsys.readouterr().err
    assert call("query", "nowhere.jpg") == 2
    assert call("sing") == 2


def test_progress_reaches_its_end(capsys, monkeypatch):
    seen = []
    monkeypatch.setattr(command, "track", lambda items, total, desc: (seen.append(item) or item for item in items))
    tell = progress_bar()
    for done in range(1, 4):
        tell(done, 3, None)
    assert seen == [0, 1, 2]
