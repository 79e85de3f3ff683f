"""The detectors' part of the leaderboard."""

import json

from places import ROOT

from stages.report.detectors import detector_section, read_detectors
from stages.report.leaderboard import Published, read_published
from stages.report.leaderboard_page import page

SCORES = {
    "map50": 0.8, "map50_95": 0.6, "precision": 0.75, "recall": 0.7, "f1": 0.71234, "f1_confidence": 0.3,
    "constant_box": 0.1, "images": 30, "boxes": 40, "per_class": {},
}  # fmt: skip
PAPER = [
    Published("Theirs", "detector_shoes", "map50", 0.873, None, "A paper", "a log"),
    Published("Theirs", "detector_shoes", "map50_95", 0.653, None, "A paper", "a log"),
    Published("Theirs", "detector_shoes", "f1", 0.85, None, "A paper", "a slide"),
    Published("R-CNN", "detector_shoes", "ap", 0.638, None, "Another", ""),
    Published("Elsewhere", "detector_caps", "map50", 0.5, None, "A third", ""),
    Published("Matcher", "wardrobe", "hit_at_1", 0.4, None, "A paper", ""),
]


def test_ours_a_constant_box_and_what_was_published_stand_in_one_table():
    text = "\n".join(detector_section({"shoes": SCORES}, PAPER, ["Mind the gap."]))
    assert "| shoes | 30 | 40 | 0.800 | 0.600 | 0.750 | 0.700 | 0.712 |" in text
    assert "| shoes, constant box | - | - | 0.100 | - | - | - | - |" in text
    assert "| *Theirs* (published), shoes | - | - | *0.873* | *0.653* | - | - | *0.850* |" in text
    # COCO's AP is the mean over the same thresholds as mAP50-95.
    assert "| *R-CNN* (published), shoes | - | - | - | *0.638* | - | - | - |" in text
    assert "- A paper: Theirs (a log; a slide)." in text and "- Another: R-CNN." in text and "Mind the gap." in text
    assert not [word for word in ("Elsewhere", "A third", "Matcher") if word in text]


def test_without_published_rows_there_is_nothing_to_mind():
    assert "Mind the gap." not in detector_section({"photos": SCORES}, PAPER, ["Mind the gap."])


def test_profile_without_detectors_has_no_section():
    assert detector_section({}, PAPER, ["Mind the gap."]) == []


def test_figures_are_read_by_the_detectors_name(tmp_path):
    (tmp_path / "shoes.json").write_text(json.dumps(SCORES))
    (tmp_path / "curves.csv").write_text("detector,class,curve,x,y\n")
    assert read_detectors(tmp_path) == {"shoes": SCORES}
    assert read_detectors(tmp_path / "nowhere") == {}


def test_page_has_every_published_figure_of_the_three_detectors():
    published = read_published(ROOT / "tables/published.csv")
    names = ("deepfashion2", "headwear", "shoes")
    board = {"one": {}, "chance": {}}
    text = page({"demo": board}, {}, published, {"demo"}, {"demo": dict.fromkeys(names, SCORES)})
    for one in published:
        if one.benchmark.startswith("detector_"):
            assert f"*{one.value:.3f}*" in text, one
    assert "detector_" not in text.split("also has numbers for")[1]
    assert text.replace("\n", " ").count("cannot be compared") == 1
