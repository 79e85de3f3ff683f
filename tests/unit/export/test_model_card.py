"""MODEL_CARD.md says what profile and metrics say."""

import csv
import json

import pytest
from places import ROOT

from profiles import composed
from stages.export.model_card import PAGE, card, head_rows, network_rows, search_rows, source_rows
from stages.report.key_metrics import files_at

PARAMS = {
    "detectors": ["shoes"],
    "detector": {"shoes": {"model": "yolo11-lite0.yaml", "image_size": 128, "superclasses": ["footwear"], "epochs": 7}},
    "simclr": {"backbone": "tf_efficientnet_lite0", "epochs": 1},
    "classifier": {"heads": ["color", "usage"], "image_size": 96, "epochs": 15, "freeze_backbone": True,
                   "extra_backbones": ["tf_efficientnet_lite1"]},
    "label_sources": ["products"],
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    """A small metrics/demo."""

    def write(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".json"):
            path.write_text(json.dumps(content))
        else:
            with path.open("w", newline="") as stream:
                csv.writer(stream).writerows([["panel", "value", "rows"], *content])

    write("detector/shoes.json", {"images": 30, "boxes": 41, "map50": 0.9, "map50_95": 0.5, "constant_box": 0.1})
    write("classifier/accuracy.json", {"color": 0.75, "usage": 0.6})
    write("classifier/majority.json", {"color": 0.25, "usage": 0.5})
    write("classifier/given_class.json", {"usage": 0.55})
    write(
        "plots/statistics/color.csv",
        [["before cleaning", "Navy Blue", 9], *(["in the data set", c, 3] for c in "abcd")],
    )
    write("plots/statistics/usage.csv", [["in the data set", "Casual", 9], ["in the data set", "Formal", 3]])
    write("plots/statistics/outcomes.csv", [
        ["products", "matched", 60], ["products", "whole_image", 5], ["products", "mismatch", 10], ["other", "matched", 7],
    ])  # fmt: skip
    write("retrieval/classifier.json", {"inshop": {"hit@1": 0.4}})
    write("retrieval/chance.json", {"inshop": {"hit@1": 0.03}, "wardrobe": {"hit@1": 0.01}})
    write("retrieval/labels/classifier.json", {"category": {"hit@1": 0.2}})
    write("retrieval/labels/chance.json", {"category": {"hit@1": 0.06}})
    return tmp_path


def test_networks_are_listed_with_what_they_see_and_say():
    assert network_rows(PARAMS) == [
        ["detector `shoes`", "yolo11-lite0", "128 px", "footwear", "7 epochs"],
        ["classifier", "tf_efficientnet_lite0, tf_efficientnet_lite1", "96 px", "color, usage",
         "SimCLR 1, then 15 epochs; backbone frozen"],
    ]  # fmt: skip


def test_card_names_no_simclr_where_it_is_left_out():
    rows = network_rows(PARAMS | {"simclr": PARAMS["simclr"] | {"epochs": 0}})
    assert rows[-1][-1] == "15 epochs; backbone frozen"


def test_sources_are_listed_with_what_was_kept_of_them(folder):
    assert source_rows(PARAMS, folder) == [
        ["shoes", "boxes for a detector", "30 test images with 41 boxes"],
        ["products", "labels for the classifier", "75 items, 65 of them with a crop"],
    ]


def test_heads_stand_next_to_chance_majority_and_the_detected_class(folder):
    assert head_rows(PARAMS, folder) == [
        ["color", "4", "0.750", "0.250", "0.250", "-"],
        ["usage", "2", "0.600", "0.500", "0.500", "0.550"],
    ]


def test_search_stands_next_to_chance(folder):
    assert search_rows(folder) == [["inshop", "0.400", "0.030"], ["category", "0.200", "0.060"]]


def test_card_is_the_one_of_profile_and_metrics(tmp_path, monkeypatch):
    """Of the working tree, or of the last commit: a run on another CPU moves metrics, and the page stays."""
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    if text == card(ROOT, ROOT / "metrics/demo"):
        return
    monkeypatch.chdir(ROOT)
    for path, content in files_at("HEAD", (ROOT / "metrics/demo").relative_to(ROOT)).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    assert text == card(ROOT, tmp_path / "metrics/demo"), (
        f"{PAGE} says something else than the metrics: run `make docs`"
    )


def test_card_is_about_two_screens_and_names_every_part():
    lines = (ROOT / PAGE).read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 120
    params = composed("demo")
    for name in (*params["detectors"], *params["label_sources"], *params["classifier"]["heads"]):
        assert any(line.startswith("|") and name in line for line in lines), name
