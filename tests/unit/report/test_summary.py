"""The screen at the end of a repro."""

from pathlib import Path

from stages.report.key_metrics import numbers_of
from stages.report.summary import WIDTH, as_markdown, changes, dead_ends, key_metric_rows, ran_lines, screen

FILES = {
    "detector/shoes": {"map50": 0.75, "constant_box": 0.25}, "detector/caps": {"map50": 0.5, "constant_box": 0.0},
    "classifier/accuracy": {"mean": 0.5, "color": 0.5}, "classifier/given_class": {"mean": 0.25, "color": 0.25},
    "simclr": {"kept": 0.5, "imagenet": 0.375, "untrained": 0.25, "kept_epoch": 2},
    "retrieval/chance": {"wardrobe": {"hit@1": 0.01}}, "retrieval/one": {"wardrobe": {"hit@1": 0.5}},
    "retrieval/two": {"wardrobe": {"hit@1": 0.75}},
    "retrieval/labels/chance": {"photos": {"hit@1": 0.1}}, "retrieval/labels/one": {"photos": {"hit@1": 0.2}},
    "external/theirs": {"wardrobe": {"hit@1": 1.0}}, "seeds": {"rows": {}},
}  # fmt: skip


def test_a_link_that_leads_nowhere_in_a_sources_folder_is_named_as_what_dvc_stops_at(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "there.jpg").write_text("x")
    (tmp_path / "photos" / "also.jpg").symlink_to(tmp_path / "photos" / "there.jpg")
    Path("data/raw").mkdir(parents=True)
    Path("data/raw/mystore").symlink_to(tmp_path / "photos")
    content = {"raw": "data/raw", "sources": ["mystore", "never_linked"]}
    assert dead_ends(content) == []
    (tmp_path / "photos" / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (said,) = dead_ends(content)
    assert said.startswith("DVC stops at a link that leads nowhere: data/raw/mystore/gone.jpg. Remove it")


def test_key_metrics_stand_next_to_their_baselines():
    assert key_metric_rows(numbers_of(FILES)) == [
        ("detectors", "mean mAP50", "0.625", "0.125 a constant box"),
        ("classifier", "mean accuracy of the heads", "0.500", "0.250 commonest label of the detected class"),
        ("SimCLR", "mean k-NN accuracy of the labels", "0.500", "0.375 imagenet, 0.250 untrained"),
        ("wardrobe", "hit@1", "0.750", "two, best of 2; 0.010 chance"),
        ("photos", "hit@1", "0.200", "one, best of 1; 0.100 chance"),
    ]


def test_salient_box_stands_next_to_the_constant_box_where_a_profile_has_one():
    more = {"salient/shoes": {"map50": 0.875, "mean_iou": 0.5}, "salient/caps": {"boxes": 0, "images": 0}}
    (row,) = [row for row in key_metric_rows(numbers_of(FILES | more)) if row[0] == "detectors"]
    assert row[3] == "0.125 a constant box, 0.875 salient box and classifier's group"


def test_key_metrics_say_which_detector_is_better_on_validation_and_which_cuts_the_crops():
    own = {"map50": 0.875, "val_map50_95": 0.75, "trained_val_map50_95": 0.5, "cuts_crops": 1}
    said = {
        cuts: next(row[3] for row in key_metric_rows(numbers_of(FILES | {"salient/shoes": own | {"cuts_crops": cuts}})))
        for cuts in (0, 1)
    }
    start = "0.125 a constant box, 0.875 salient box and classifier's group (validation mAP50-95 0.750, trained 0.500)"
    assert said == {0: f"{start}; the trained detector cuts the crops", 1: f"{start}; the salient box cuts the crops"}


def test_changes_are_the_largest_first_and_counts_by_their_share():
    before = {"a": {"share": 0.5, "rows": 1000.0, "same": 1.0}, "gone": {"x": 1.0}}
    now = {"a": {"share": 0.625, "rows": 1010.0, "same": 1.0}, "new": {"x": 1.0}}
    assert changes(before, now) == [
        ("a", "share", "0.500 -> 0.625", "+0.125"), ("a", "rows", "1000.000 -> 1010.000", "+10.000"),
    ]  # fmt: skip


def test_what_ran_is_summed_over_the_items_of_a_stage():
    assert ran_lines([("embed@one", 2.0), ("dataset", 1.0), ("embed@two", 3.5)]) == [
        "embed    2 x  6 s",
        "dataset       1 s",
    ]
    assert ran_lines([]) == ["nothing ran: all files are those of dvc.lock"]


def test_screen_has_at_most_35_lines_of_100_columns_however_much_there_is():
    many = {f"retrieval/{name * 9}": {f"benchmark_{n}": {"hit@1": 0.5} for n in range(40)} for name in "abcdefgh"}
    many |= {"retrieval/chance": {f"benchmark_{n}": {"hit@1": 0.1} for n in range(40)}}
    before = {name: {f"{key}.hit@1": 0.25 for key in own} for name, own in many.items()}
    lines = screen([(f"stage{n}@{n}", n) for n in range(60)], before, numbers_of(FILES | many), "demo")
    assert len(lines) <= 35 and max(map(len, lines)) <= WIDTH
    assert "Changed since the last commit: 360 of 376 numbers" in lines


def test_table_as_markdown():
    rows = [("a", "mAP", "0.5", "")]
    expected = "| what | metric | value | baseline |\n| --- | --- | --- | --- |\n| a | mAP | 0.5 |  |"
    assert as_markdown(rows) == expected
