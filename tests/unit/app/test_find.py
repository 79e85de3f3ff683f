"""The command line of ``seamline find``; the encoder of words is in test_words.py."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from answer_form import FORM, form
from small_wardrobe import ColorModels, photo

from stages.app import find
from stages.app.find import main
from stages.core.errors import StageError

COLORS = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1)}


class WordColors(ColorModels):
    """Vectors are mean colors, and words are the colors that they name."""

    encoder_folder, origin = Path("models/demo/encoders/words"), "someone/tiny@0123, MIT"

    def vector_of(self, text):
        color = np.sum([COLORS[word] for word in text.split() if word in COLORS], axis=0).astype(np.float32)
        return color / np.linalg.norm(color)


@pytest.fixture
def call(monkeypatch, tmp_path):
    """Runs the command with models that look at colors; gives its exit status."""
    models = WordColors()
    monkeypatch.setattr(find.WordModels, "open", lambda confidence: models)

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["find", *map(str, words), "--store", str(tmp_path / "store")])
        with pytest.raises(SystemExit) as stopped:
            main()
        return stopped.value.code

    run.models = models
    return run


def names(said):
    return [line.rpartition("/")[2].partition(" ")[0] for line in said.splitlines() if "/" in line]


def test_garments_that_fit_the_words_best_are_first(call, clothes, capsys):
    assert call("a red dress", "--wardrobe", clothes) == 0
    told = capsys.readouterr()
    lines = told.out.splitlines()
    assert lines[0] == "a red dress"
    # 200 / sqrt(200^2 + 20^2 + 20^2) = .990; 220 / sqrt(220^2 + 2 * 90^2) = .866
    assert [line.split()[1] for line in lines[1:3]] == ["0.990", "0.866"]
    assert names(told.out) == ["red.jpg", "pink.jpg", "blue.jpg"]
    assert "(top at (0, 0, 40, 30))" in lines[1]
    assert "3 photos, 6 garments (3 added)" in told.err


def test_words_need_no_quotes(call, clothes, capsys):
    assert call("a", "blue", "coat", "--wardrobe", clothes, "--top", 1) == 0
    said = capsys.readouterr().out
    assert said.startswith("a blue coat\n") and names(said) == ["blue.jpg"]


def test_second_search_reads_no_photo_again_and_needs_no_folder(call, clothes, capsys):
    call("red", "--wardrobe", clothes)
    call.models.looked.clear()
    capsys.readouterr()
    assert call("blue") == 0
    assert call.models.looked == [] and names(capsys.readouterr().out)[0] == "blue.jpg"


def test_only_photos_of_the_named_folder_are_searched(call, clothes, tmp_path, capsys):
    other = photo(tmp_path / "other" / "crimson.jpg", (190, 25, 25)).parent
    call("red", "--wardrobe", clothes)
    capsys.readouterr()
    assert call("red", "--wardrobe", other) == 0
    assert names(capsys.readouterr().out) == ["crimson.jpg"]


def test_only_leaves_garments_out_by_their_attributes(call, clothes, capsys):
    assert call("red", "--wardrobe", clothes, "--only", "color=blue", "--only", "superclass=bottom") == 0
    said = capsys.readouterr().out
    assert names(said) == ["blue.jpg"] and "(bottom at" in said
    assert call("red", "--only", "color=green") == 1
    assert "no garment there passes --only" in capsys.readouterr().out


def test_empty_wardrobe_has_a_status_of_its_own(call, capsys):
    assert call("red") == 1
    assert "no garment there (seamline wardrobe add FOLDER)" in capsys.readouterr().out


def test_bad_input_has_a_status_of_its_own_and_one_message(call, clothes, tmp_path, capsys, monkeypatch):
    for words, message in (
        (("  ",), "no words to look for"),
        (("red", "--wardrobe", tmp_path / "nowhere"), "nowhere: no such file or folder"),
        (("red", "--only", "color=mauve"), "--only color=mauve: expected after color= one of blue, green, red"),
        (("red", "--top", "0"), "argument --top: expected a number above 0, found 0"),
    ):
        assert call(*words) == 2, words
        assert message in capsys.readouterr().err

    def none(confidence):
        raise StageError("no encoder takes words.")

    monkeypatch.setattr(find.WordModels, "open", none)
    assert call("red", "--wardrobe", clothes) == 2
    assert capsys.readouterr().err.strip().endswith("no encoder takes words.")


def test_json_alone_is_on_standard_output_in_the_documented_form(call, clothes, capsys):
    assert call("a red dress", "--wardrobe", clothes, "--json") == 0
    content = json.loads(capsys.readouterr().out)
    like = {key: FORM[key] for key in ("schema", "wardrobe")} | {
        "words": str,
        "encoder": {"name": str, "origin": str},
        "approximate": type(None),
        "matches": FORM["garments"][0]["matches"],
    }
    assert form(content, like) == like
    assert content["words"] == "a red dress"
    assert content["encoder"] == {"name": "words", "origin": "someone/tiny@0123, MIT"}
    assert [match["rank"] for match in content["matches"]] == [1, 2, 3]
