"""The page of the leaderboard."""

import json
import sys
from dataclasses import replace

import pytest
from boards import board_of, result, voted, write_results
from places import ROOT

from stages.core.errors import StageError
from stages.report import leaderboard, leaderboard_page
from stages.report.leaderboard import Published
from stages.report.leaderboard_page import page


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Results of two encoders in a folder that the test runs in."""
    monkeypatch.chdir(tmp_path)
    write_results(tmp_path)
    return tmp_path


def test_page_shows_category_prediction_where_there_is_one_beside_what_was_published():
    results = {"one": {"c": voted(result(0.5, 0.4), 0.6, 0.2), "w": result(0.1, 0.1)}}
    board = leaderboard.leaderboard(results)
    of_c, of_w = page({"demo": board}, {}, [], set()).split("### w")
    assert "| 10-NN top-1 | 10-NN top-3 | 10-NN top-5 |" in of_c and "by the vote of its 10 nearest" in of_c
    assert "| 0.600 | 0.700 | 0.800 |" in of_c
    assert "| chance | - | - | - | 0.010 | 0.050 | - | - | - | 0.020 | 0.010 | 0.200 | 0.300 | 0.500 |" in of_c
    assert "NN" not in of_w


def test_softmax_stands_in_a_table_of_its_own_with_chance_majority_and_what_was_published():
    tops = {
        f"{of}top_{n}": share + n / 100
        for of, share in (("", 0.6), ("chance_", 0.1), ("majority_", 0.2))
        for n in (1, 3, 5)
    }
    own = {"n_scored": 9, "n_unknown": 45, "known": 3, "classes": 23} | tops
    softmax = own | {"without_flip": own | {"top_1": 0.5}, "clean": own | {"n_scored": 8, "top_1": 0.4}}
    results = {"one": {"c": voted(result(0.5, 0.4), 0.6, 0.2) | {"softmax": softmax, "parameters": 2_000_000}}}
    results["two"] = {"c": result(0.3, 0.2)}
    published = [Published("Theirs", "c", "softmax_top_3", 0.87, None, "A paper", "")]
    text = page({"demo": leaderboard.leaderboard(results)}, {}, published, set())
    table = text[text.index("| encoder | parameters | categories known | queries | top-1 | top-3 | top-5 |") :]
    rows = [line for line in table.splitlines() if line.startswith("|")][2:]
    assert rows == [
        "| one | 2.0 M | 3 of 23 | 9 of 54 | 0.610 | 0.630 | 0.650 |",
        "| one, without flip | 2.0 M | 3 of 23 | 9 of 54 | 0.500 | 0.630 | 0.650 |",
        "| one, clean | 2.0 M | 3 of 23 | 8 of 53 | 0.400 | 0.630 | 0.650 |",
        "| one: chance | - | 3 of 23 | 9 of 54 | 0.110 | 0.130 | 0.150 |",
        "| one: majority | - | 3 of 23 | 9 of 54 | 0.210 | 0.230 | 0.250 |",
        "| *Theirs* (published) | - | - | - | - | *0.870* | - |",
    ]
    assert "- A paper: Theirs." in text and "*0.870*" not in text[: text.index("categories known")]


def test_every_k_that_something_was_published_of_has_a_column():
    scored = result(0.5, 0.4)
    scored["whole_gallery"] |= {"hit_at_30": 0.9, "hit_at_3": 0.7}
    board = leaderboard.leaderboard({"one": {"wardrobe": scored, "inshop": scored}})
    published = [Published("B", "inshop", "hit_at_30", 0.802, None, "A paper", "", "one")]
    published += [Published("A", "wardrobe", f"hit_at_{k}", 0.5, None, "A paper", "", "one") for k in (1, 2, 3, 4, 5)]
    of_inshop, of_wardrobe = page({"demo": board}, {}, published, set()).split("### wardrobe")
    assert "| hit@1 | hit@5 | hit@10 | hit@20 | hit@30 | hit@50 | mAP |" in of_inshop
    assert "| 0.550 | - | - | 0.900 | - | 0.400" in of_inshop and "| - | - | - | - | *0.802* | - |" in of_inshop
    assert "| hit@1 | hit@2 | hit@3 | hit@4 | hit@5 | hit@10 | hit@20 | hit@50 | mAP |" in of_wardrobe
    assert "| *0.500* | *0.500* | *0.500* | *0.500* | *0.500* | - |" in of_wardrobe


def test_queries_that_repeat_training_pictures_are_left_out_of_a_second_row_and_counted():
    clean = {"n_left_out": 3, "whole_gallery": result(0.4, 0.35)["whole_gallery"] | {"n_scored": 7}}
    board = leaderboard.leaderboard({"one": {"c": result(0.5, 0.4) | {"clean": clean}, "w": result(0.1, 0.1)}})
    of_c, of_w = page({"demo": board}, {}, [], set()).split("### w")
    assert "| one | - | 512 | - | 0.500" in of_c and "| one, clean | - | 512 | - | 0.400" in of_c
    assert "In this benchmark, 3 are left out, 7 stay." in of_c.replace("\n", " ")
    assert "clean" not in of_w.lower()


def test_benchmark_without_any_match_has_no_figures():
    empty = {"n_scored": 0, "n_missed": 0, "n_without_match": 3}
    nothing = {"whole_gallery": empty, "chance": {"whole_gallery": {}}, "gallery": 5, "dimensions": 2}
    board = leaderboard.leaderboard({"one": {"b": nothing}})
    assert board == {"one": {"b": empty | {"gallery": 5, "dimensions": 2}}, "chance": {"b": {}}}
    assert "| one | - | 2 | - | - |" in page({"demo": board}, {}, [], set())


PUBLISHED = [
    Published("System A", "wardrobe", "hit_at_1", 0.9, None, "A paper", "a note"),
    Published("System A", "wardrobe", "hit_at_3", 0.95, None, "A paper", "a note"),
    Published("Systems B", "inshop", "hit_at_1", 0.51, 0.6, "Collected", ""),
]


def boards(project):
    return {"demo": board_of(project)}


def test_page_puts_the_best_first_and_chance_after_all_measured_rows(project):
    text = page(boards(project), {}, [], set())
    rows = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")]
    assert rows == ["encoder", "---", "two", "one (kept its start)", "one, without flip", "chance"]
    assert "| one (kept its start) | 96 | 512 | 0.1 k | 0.500 [0.400, 0.600] |" in text
    assert "| two | - | 512 | - | 0.700 [0.600, 0.800] | 0.750 | - | - | - | 0.600 [0.500, 0.700] | 0.200 |" in text
    about = text.replace("\n", " ")
    assert "10 queries, 100 gallery rows. Misses because nothing was detected: 1. Left out because the gallery" in about
    assert "has no right answer: 2 more queries." in about


def on_validation(before, kept):
    return {"on_validation": {"figure": "hit@1", "before": before, "kept": kept}}


def test_encoder_that_ends_below_its_start_on_validation_is_marked_and_told_with_both_figures():
    results = {
        "fell": {"b": result(0.7, 0.4) | {"kept_epoch": 2} | on_validation(0.57, 0.494)},
        "rose": {"b": result(0.6, 0.4) | {"kept_epoch": 2} | on_validation(0.5, 0.7)},
        "kept": {"b": result(0.5, 0.4) | {"kept_epoch": 0} | on_validation(0.5, 0.5)},
        "unknown": {"b": result(0.4, 0.4)},
    }
    text = page({"demo": leaderboard.leaderboard(results)}, {}, [], set())
    rows = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")][2:]
    assert rows == ["fell (below its start)", "rose", "kept (kept its start)", "unknown", "chance"]
    told = "Training lowered the validation score of these encoders, even if their test score rose: fell (hit@1 0.570 before"
    assert f"{told} its training, 0.494 after it)." in text.replace("\n", " ")
    del results["fell"]
    assert "Training lowered" not in page({"demo": leaderboard.leaderboard(results)}, {}, [], set())


def test_published_rows_are_marked_and_stand_only_beside_the_benchmark_of_their_name(project):
    text = page(boards(project), {}, PUBLISHED, set())
    assert "| *System A* (published) | - | - | - | *0.900* | *0.950* | - |" in text
    assert "published, not measured in this project" in text and "- A paper: System A (a note)." in text
    assert "Systems B" not in text and "also has numbers for: inshop" in text
    assert "drawn" not in text


def test_published_row_stands_below_the_row_of_its_method_or_at_the_end(project):
    named = [replace(PUBLISHED[0], encoder="two"), replace(PUBLISHED[0], system="System Z", encoder="not_here")]
    text = page(boards(project), {}, [*named, replace(PUBLISHED[0], system="Alone")], set())
    rows = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")][2:]
    assert rows == [
        "two", "*System A* (published)", "one (kept its start)", "one, without flip", "chance",
        "*System Z* (published)", "*Alone* (published)",
    ]  # fmt: skip


def test_page_says_that_drawn_data_cannot_be_held_against_published_numbers(project):
    text = page(boards(project), {}, PUBLISHED, {"demo"})
    assert "## Profile demo (drawn data)" in text and "cannot be compared" in text.replace("\n", " ")
    assert "cannot be compared" not in page(boards(project), {}, [], {"demo"}).replace("\n", " ")


def test_range_of_published_numbers_is_shown_as_a_range():
    board = {
        "demo": {"one": {"inshop": {"n_scored": 1, "n_missed": 0, "n_without_match": 0, "gallery": 1, "dimensions": 1}}}
    }
    assert "| *Systems B* (published) | - | - | - | *0.51 to 0.60* |" in page(board, {}, PUBLISHED, set())


def test_external_rows_are_marked_and_those_of_another_benchmark_say_so(project):
    other = result(0.6, 0.5) | {"gallery": 99}
    externals = {"demo": {"theirs": {"wardrobe": result(0.6, 0.5)}, "older": {"wardrobe": other}}}
    text = page(boards(project), externals, [], set())
    assert "| theirs (external) | - | 512 | - | 0.600" in text
    assert "| older (external; another version of the benchmark, score it again) |" in text


def test_command_reads_every_profile_that_has_results(project):
    (project / "metrics/demo/external").mkdir(parents=True)
    (project / "metrics/demo/external/theirs.json").write_text(json.dumps({"wardrobe": result(0.6, 0.5)}))
    (project / "profiles").mkdir()
    (project / "profiles/demo.yaml").write_text("demo_sources: [shoes]\n")
    (project / "docs").mkdir(exist_ok=True)
    (project / "docs/published.csv").write_bytes((ROOT / "docs/published.csv").read_bytes())
    leaderboard_page.write_page(project / "docs/page.md")
    text = (project / "docs/page.md").read_text()
    assert "theirs (external)" in text and "(drawn data)" in text and "*0.374*" in text


def test_page_begins_with_links_to_its_sections_numbered_where_a_heading_is_there_again(project):
    text = page({"demo": board_of(project), "photos": board_of(project)}, {}, [], {"demo"})
    links = [line for line in text.splitlines() if line.lstrip().startswith("- [")]
    assert links == [
        "- [How to read the tables](#how-to-read-the-tables)",
        "- [Profile demo (drawn data)](#profile-demo-drawn-data)", "  - [wardrobe](#wardrobe)",
        "- [Profile photos](#profile-photos)", "  - [wardrobe](#wardrobe-1)",
    ]  # fmt: skip


def test_without_any_results_the_command_says_what_to_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StageError, match="Run `dvc repro evaluate_retrieval`"):
        leaderboard_page.write_page(tmp_path / "page.md")


def test_asking_the_page_for_help_writes_nothing(project, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["leaderboard_page", "--help"])
    with pytest.raises(SystemExit):
        leaderboard_page.main()
    assert "docs/leaderboard.md" in capsys.readouterr().out and not (project / "--help").exists()
