"""The leaderboard: encoders side by side, and published numbers."""

import pytest
from boards import board_of, result, voted, write_results
from places import ROOT

from profiles import composed, whole
from stages.core.errors import StageError
from stages.report import leaderboard
from stages.report.leaderboard import read_published


def test_encoders_stand_side_by_side_with_chance_size_and_parameters(tmp_path):
    write_results(tmp_path)
    board = board_of(tmp_path)
    assert set(board) == {"one", "two", "chance"}
    one = board["one"]["wardrobe"]
    assert [one[name] for name in ("hit_at_1", "hit_at_1_low95", "map", "n_scored", "n_missed")] == [
        0.5, 0.4, 0.4, 10, 1,
    ]  # fmt: skip
    assert [one[name] for name in ("dimensions", "parameters", "image_size", "kept_epoch")] == [512, 53, 96, 0]
    assert not {"parameters", "image_size", "kept_epoch"} & set(board["two"]["wardrobe"])  # it has no files of its own
    assert one["without_flip"] == {"hit_at_1": 0.45, "map": 0.3}
    assert board["chance"]["wardrobe"] == {"hit_at_1": 0.01, "hit_at_5": 0.05, "map": 0.02, "map_at_r": 0.01}


def test_category_prediction_stands_beside_retrieval_and_naming_the_most_frequent():
    scored = voted(result(0.5, 0.4), 0.6, 0.2)
    scored["flip"] = {"off": {"whole_gallery": {"hit_at_1": 0.4}, "category_prediction": {"top_1": 0.55}}}
    board = leaderboard.leaderboard({"one": {"c": scored, "w": result(0.1, 0.1)}})
    line = board["one"]["c"]
    assert [line[f"category_top_{n}"] for n in (1, 3, 5)] == pytest.approx([0.6, 0.7, 0.8])
    assert line["without_flip"] == {"hit_at_1": 0.4, "category_top_1": 0.55}
    assert board["chance"]["c"]["category_top_1"] == 0.2
    assert not [name for name in board["one"]["w"] if "category" in name]


def test_published_table_holds_shares_named_like_our_metrics_once_each():
    rows = read_published(ROOT / "docs/published.csv")
    assert len({(one.system, one.benchmark, one.metric, one.source) for one in rows}) == len(rows) > 100
    assert all(0 < one.value < 1 and (one.high is None or one.value < one.high < 1) for one in rows)
    assert all(one.source for one in rows)
    encoders = {*composed("paper")["encoders"], *whole("paper")["encoder"]}
    assert {one.encoder for one in rows} - {""} <= encoders
    matcher = {one.metric: one.value for one in rows if one.benchmark == "wardrobe"}
    # 65, 84, 99, 111 and 117 of 174 queries
    assert matcher == {
        f"hit_at_{k}": pytest.approx(n / 174, abs=5e-5)
        for k, n in zip((1, 2, 3, 4, 5), (65, 84, 99, 111, 117), strict=True)
    }


@pytest.mark.parametrize("value", ["about .5,", "37.36,", "nan,", ".5,51", ","])
def test_published_line_without_a_share_is_named(tmp_path, value):
    (tmp_path / "p.csv").write_text(
        f"system,encoder,benchmark,metric,value,value_high,source,note\na,,b,hit_at_1,{value},s,\n"
    )
    with pytest.raises(StageError, match="p.csv, line 2.*shares between 0 and 1"):
        read_published(tmp_path / "p.csv")


def test_missing_table_of_published_numbers_is_one_message(tmp_path):
    with pytest.raises(StageError, match=r"p\.csv: no such file"):
        read_published(tmp_path / "p.csv")


def test_page_on_search_by_words_shows_the_published_numbers_of_its_benchmark():
    rows = [one for one in read_published(ROOT / "docs/published.csv") if one.benchmark == "lookbench"]
    table = (ROOT / "docs/find.md").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 5
    assert [line for line in table if line.endswith(" |") and line.split("| ")[-1][0] == "0"] == [
        f"| {one.system} | {one.value:.3f} |" for one in rows
    ]
