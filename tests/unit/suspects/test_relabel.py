"""`make relabel`: which suggestions come into data/relabel.csv, and that nothing there is doubled or overridden."""

import sys

import pytest

from stages.core.errors import StageError
from stages.suspects import relabel
from stages.suspects.relabel import add_lines, kept_lines, sure_lines

HEADER = "source,item_id,column,value,reason"
SUSPECTS = """rank,head,source,item_id,crop_id,label,suggestion,confidence,reason
1,type,shop,1,shop:1,Tops,Shirts,0.95,both
2,color,shop,1,shop:1,Red,Pink,0.9,neighbors
3,type,shop,2,shop:2,Jeans,Skirts,0.899999,out of fold
"""


def table(path, *lines, header=HEADER):
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def suspects(tmp_path):
    path = tmp_path / "suspects.csv"
    path.write_text(SUSPECTS, encoding="utf-8")
    return path


def told(lines):
    return [(line["item_id"], line["column"], line["value"]) for line in lines]


def test_suggestions_at_least_as_sure_are_taken_of_all_heads_or_of_one(suspects):
    assert told(sure_lines(suspects, 0.9)) == [("1", "type", "Shirts"), ("1", "color", "Pink")]
    assert told(sure_lines(suspects, 0.5, "type")) == [("1", "type", "Shirts"), ("2", "type", "Skirts")]
    assert sure_lines(suspects, 0.99) == []


def test_lines_are_appended_below_what_is_there_in_its_format(tmp_path):
    path = table(tmp_path / "relabel.csv", 'shop,9,type,Tops,"sent back, twice"')
    kept = table(tmp_path / "kept.csv", "shop,1,type,Shirts,looked at", "shop,1,color,,no idea")
    said = add_lines(path, kept_lines(kept, ["shop"]), ["shop"])
    assert said == f"{path}: 2 lines added (1 of color, 1 of type)"
    assert path.read_text().splitlines() == [
        HEADER, 'shop,9,type,Tops,"sent back, twice"', "shop,1,type,Shirts,looked at", "shop,1,color,,no idea",
    ]  # fmt: skip


def test_what_is_corrected_already_is_neither_doubled_nor_overridden(tmp_path):
    path = table(tmp_path / "relabel.csv", "shop,1,type,Shirts,mine", "shop,2,type,Tops,mine too")
    before = path.read_text()
    kept = table(tmp_path / "kept.csv", "shop,1,type,Shirts,theirs", "shop,2,type,Skirts,theirs")
    said = add_lines(path, kept_lines(kept, ["shop"]), ["shop"])
    assert said == f"{path}: 0 lines added; 1 already there; 1 corrected there to another value, which stays"
    assert path.read_text() == before


def test_the_same_suggestions_twice_change_nothing_the_second_time(tmp_path, suspects):
    path = table(tmp_path / "relabel.csv")
    add_lines(path, sure_lines(suspects, 0.5), ["shop"])
    once = path.read_text()
    assert add_lines(path, sure_lines(suspects, 0.5), ["shop"]) == f"{path}: 0 lines added; 3 already there"
    assert path.read_text() == once and len(once.splitlines()) == 4


def test_file_without_a_last_newline_keeps_its_last_line_whole(tmp_path):
    path = tmp_path / "relabel.csv"
    path.write_text(f"{HEADER}\nshop,2,type,Tops,x", encoding="utf-8")
    add_lines(path, kept_lines(table(tmp_path / "kept.csv", "shop,1,type,Shirts,y"), ["shop"]), ["shop"])
    assert path.read_text() == f"{HEADER}\nshop,2,type,Tops,x\nshop,1,type,Shirts,y\n"


def test_kept_line_that_does_not_fit_is_named_with_file_and_line(tmp_path):
    kept = table(tmp_path / "kept.csv", "shop,1,type,Shirts,x", "nowhere,2,type,Tops,x")
    with pytest.raises(StageError, match=r"kept\.csv, line 3: source 'nowhere' is not known"):
        kept_lines(kept, ["shop"])


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["relabel", *arguments])
    relabel.main()


@pytest.fixture
def project(tmp_path, monkeypatch, suspects):
    (tmp_path / "data/demo/suspects").mkdir(parents=True)
    suspects.rename(tmp_path / "data/demo/suspects/suspects.csv")
    table(tmp_path / "data/relabel.csv")
    (tmp_path / "params.yaml").write_text("profile: demo\nlabels: {policies: {shop: catalogue}}\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_command_takes_what_is_sure_and_says_what_comes_next(project, monkeypatch, capsys):
    run(monkeypatch, "--confidence", "0.9", "--head", "color")
    said = capsys.readouterr().out
    assert "data/relabel.csv: 1 line added (1 of color).\n`make repro` applies" in said
    assert (project / "data/relabel.csv").read_text().splitlines()[1].startswith("shop,1,color,Pink,")


@pytest.mark.parametrize("arguments", [[], ["kept.csv", "--confidence", ".9"], ["kept.csv", "--head", "type"]])
def test_command_without_a_choice_says_how_to_choose(project, monkeypatch, caplog, arguments):
    with pytest.raises(SystemExit):
        run(monkeypatch, *arguments)
    assert "delete what you do not believe, `make relabel KEPT=copy.csv`" in caplog.text
    assert (project / "data/relabel.csv").read_text() == HEADER + "\n"


def test_missing_table_of_suspects_names_the_stage_that_makes_it(project, monkeypatch, caplog):
    (project / "data/demo/suspects/suspects.csv").unlink()
    with pytest.raises(SystemExit):
        run(monkeypatch, "--confidence", ".9")
    assert (
        "data/demo/suspects/suspects.csv: no such file. It is made by a stage: run `dvc repro suspects`." in caplog.text
    )
