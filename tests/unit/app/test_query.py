"""The answer of a search: as lines, as JSON, with its exit status."""

import argparse
import base64
import json
import os
from pathlib import Path

import pytest
from answer_form import FORM, form
from small_wardrobe import ColorModels, photo

from stages.app.query import add_options, answer, answer_json, lines, path_json, show
from stages.app.wardrobe import Wardrobe


@pytest.fixture
def ask(tmp_path):
    """Searches a wardrobe of three photos; gives arguments, wardrobe, answer and what the addition did."""
    for name, color in (("red.png", (200, 20, 20)), ("pink.png", (220, 90, 90)), ("blue.png", (20, 20, 200))):
        photo(tmp_path / "clothes" / name, color)
    (tmp_path / "clothes" / "page.png").write_bytes(b"<html>")
    wardrobe = Wardrobe(ColorModels(), tmp_path / "store")
    change = wardrobe.add([tmp_path / "clothes"])

    def run(*words):
        parser = argparse.ArgumentParser()
        add_options(parser)
        args = parser.parse_args([str(tmp_path / "clothes" / "red.png"), *words])
        return args, wardrobe, answer(args, wardrobe), change

    return run


def test_json_has_the_documented_form(ask):
    _, _, found, change = ask()
    content = json.loads(json.dumps(answer_json(found, change)))
    assert form(content, FORM) == FORM
    assert content["wardrobe"]["counts"]["unreadable"] == 1
    assert [match["rank"] for match in content["garments"][0]["matches"]] == [1, 2]


def test_ideas_say_by_what_they_were_found(ask):
    _, _, found, change = ask("--ideas")
    whys = [match["why"] for match in answer_json(found, change)["garments"][0]["matches"]]
    assert whys == ["all in all", "color"]
    assert lines(found)[3].endswith("by all in all")


def test_exit_status_says_whether_anything_matches(ask, capsys):
    args, wardrobe, found, change = ask()
    assert show(args, wardrobe, found, change) == 0
    args, wardrobe, found, change = ask("--only", "color=green")
    assert show(args, wardrobe, found, change) == 1
    assert "no top in the wardrobe matches" in capsys.readouterr().out


def test_only_joins_heads_and_offers_names_of_one_head(ask):
    for words, names in (
        (("--only", "color=red"), ["pink.png"]),
        (("--only", "color=red", "--only", "color=blue"), ["pink.png", "blue.png"]),
        (("--only", "color=red", "--only", "tone=light"), ["pink.png"]),
        (("--only", "superclass=bottom", "--only", "color=blue"), ["blue.png"]),
    ):
        _, _, found, _ = ask(*words)
        assert [match.item.photo.name for match in found.matches[0]] == names, words


def test_path_in_json_is_exact_whatever_its_bytes():
    assert path_json(Path("Blu\u0308se\n.jpg")) == {"path": "Blu\u0308se\n.jpg", "path_base64": None}
    raw = b"caf\xe9.jpg"
    content = path_json(Path(os.fsdecode(raw)))
    assert content["path"] == "caf\\xe9.jpg" and base64.b64decode(content["path_base64"]) == raw
