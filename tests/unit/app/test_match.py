"""The command line of ``make match``; what it finds is in tests/pipeline/test_demo.py."""

import json
import sys

import pytest
from PIL import Image
from small_wardrobe import ColorModels, photo

from stages.app import match
from stages.app.match import main


@pytest.fixture
def call(monkeypatch, tmp_path):
    """Runs the command with models that look at colors; gives its exit status."""
    models = ColorModels()
    monkeypatch.setattr(match.Models, "open", lambda confidence: models)

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["match", "--store", str(tmp_path / "store"), *map(str, words)])
        with pytest.raises(SystemExit) as stopped:
            main()
        return stopped.value.code

    run.models = models
    return run


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--top", "0"], "argument --top: expected a number above 0, found 0"),
        (["--top", "many"], "argument --top: invalid count value: 'many'"),
        (["--confidence", "2"], "argument --confidence: expected a number from 0 to 1, found 2"),
        (["--confidence", "nan"], "argument --confidence: expected a number from 0 to 1, found nan"),
        (["--only", "red"], "argument --only: expected something like color=Red, found red"),
        (
            ["--out", "match.pdf"],
            "argument --out: expected a file named .png or .jpg or .jpeg or .webp, found match.pdf",
        ),
    ],
)
def test_options_out_of_range_are_one_message(call, capsys, option, message):
    assert call("look.jpg", "--wardrobe", ".", *option) == 2
    assert capsys.readouterr().err.strip().endswith(message)


def test_best_match_is_first_and_the_photo_itself_is_none(call, clothes, capsys):
    assert call(clothes / "red.jpg", "--wardrobe", clothes, "--top", 1) == 0
    told = capsys.readouterr()
    assert "  1. 0.9" in told.out and "pink.jpg  (top at (0, 0, 40, 30))" in told.out
    assert "red.jpg" not in told.out
    assert "3 photos, 6 garments (3 added)" in told.err
    call.models.looked.clear()
    assert call(clothes / "red.jpg", "--wardrobe", clothes) == 0
    assert [path.name for path in call.models.looked] == ["red.jpg"]  # the query alone


def test_only_photos_of_the_named_folder_are_searched(call, clothes, tmp_path, capsys):
    other = photo(tmp_path / "other" / "crimson.jpg", (190, 25, 25)).parent
    call(clothes / "red.jpg", "--wardrobe", other)
    capsys.readouterr()
    call(clothes / "red.jpg", "--wardrobe", clothes)
    assert "crimson" not in capsys.readouterr().out


def test_folder_may_be_named_from_where_one_is(call, clothes, monkeypatch):
    (clothes / "deep").mkdir()
    for folder, name in ((clothes, "."), (clothes / "deep", ".."), (clothes, "../clothes"), (clothes, "deep/../")):
        monkeypatch.chdir(folder)
        assert call(clothes / "red.jpg", "--wardrobe", name) == 0, name


def test_wardrobe_of_the_photo_alone_has_no_match(call, tmp_path, capsys):
    path = photo(tmp_path / "clothes" / "a.jpg", (1, 2, 3))
    assert call(path, "--wardrobe", path.parent) == 1
    assert "no top in the wardrobe matches" in capsys.readouterr().out


def test_bad_input_has_a_status_of_its_own_and_one_message(call, clothes, tmp_path, capsys):
    for photo_, folder, message in (
        (tmp_path / "no.jpg", clothes, "no.jpg: no such file"),
        (clothes / "red.jpg", tmp_path / "nowhere", "nowhere: no such file or folder"),
        (clothes / "red.jpg", tmp_path / "empty", "empty: no image in it"),
    ):
        (tmp_path / "empty").mkdir(exist_ok=True)
        assert call(photo_, "--wardrobe", folder) == 2
        assert message in capsys.readouterr().err
    (tmp_path / "page.jpg").write_bytes(b"<html>")
    call.models.looked.clear()
    assert call(tmp_path / "page.jpg", "--wardrobe", photo(tmp_path / "more" / "a.jpg", (9, 9, 9)).parent) == 2
    assert call.models.looked == []  # the wardrobe is not read for a photo that cannot be searched with
    assert call(clothes / "red.jpg", "--wardrobe", clothes, "--only", "color=mauve") == 2
    assert "--only color=mauve: expected after color= one of blue, green, red" in capsys.readouterr().err


def test_json_alone_is_on_standard_output(call, clothes, capsys):
    assert call(clothes / "red.jpg", "--wardrobe", clothes, "--json") == 0
    content = json.loads(capsys.readouterr().out)
    assert content["schema"] == 1 and [one["superclass"] for one in content["garments"]] == ["top", "bottom"]


def test_picture_for_people_is_written(call, clothes, tmp_path):
    assert call(clothes / "red.jpg", "--wardrobe", clothes, "--out", tmp_path / "match.png") == 0
    assert Image.open(tmp_path / "match.png").format == "PNG"
    assert call(clothes / "red.jpg", "--wardrobe", clothes, "--out", tmp_path / "nowhere" / "match.png") == 2
