"""The profile and the label table that `make add` writes: what they say, and what a person's edits keep."""

from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from places import TABLES

from stages.adding.profile import (
    NO_GARMENT,
    NOT_KNOWN,
    content_of,
    fit,
    fit_detector,
    is_edited,
    is_ours,
    label_table,
    note,
    policy_of,
    profile_text,
)
from stages.adding.recognize import Recognized
from stages.adding.superclasses import Guess, read_synonyms

SYNONYMS = read_synonyms(TABLES)


def found(reader="catalogue", **more):
    return Recognized(reader, Path("here"), "a format", **more)


def measured(**more):
    plain = {"heads": ["type"], "several": False, "box_classes": Counter(), "images": Counter(train=100)}
    return SimpleNamespace(**plain | more)


def test_policy_is_the_catalogues_but_for_readers_that_know_their_labels():
    assert policy_of(found()) == "catalogue"
    assert policy_of(found("fashion_products", label_column=None)) == "fashion_products"


def test_content_names_the_source_in_every_list_and_its_label_table():
    content = content_of("mine", found(options={"val_share": 0.2}), {"simclr": {"batch": 8}}, None)
    assert content["based_on"] == "own" and content["simclr"] == {"batch": 8}
    assert [content[name] for name in ("sources", "label_sources", "benchmarks", "detectors")] == [["mine"]] * 3 + [[]]
    assert content["ingest"] == {"mine": {"reader": "catalogue", "val_share": 0.2}}
    assert content["labels"] == {
        "policies": {"mine": "catalogue"},
        "catalogues": {"mine": {"table": "mine_labels.csv", "label_column": "label"}},
    }
    assert content["benchmark"] == {"mine": {"kind": "category", "source": "mine", "item_column": "type"}}
    with_boxes = content_of("mine", found("yolo", boxes=True), {}, {"epochs": 8})
    assert with_boxes["detectors"] == ["mine"] and with_boxes["detector"] == {"mine": {"epochs": 8}}
    assert "catalogues" not in content_of("mine", found("fashion_products", label_column=None), {}, None)["labels"]


def test_checksum_tells_a_profile_that_a_person_edited():
    text = profile_text({"based_on": "own", "sources": ["mine"]})
    assert yaml.safe_load(text) == {"based_on": "own", "sources": ["mine"]}
    assert is_ours(text) and not is_edited(text)
    assert is_ours(text + "seed: 3\n") and is_edited(text + "seed: 3\n")
    assert not is_ours("sources: [mine]\n")


@pytest.mark.parametrize(
    ("train", "simclr", "classifier"),
    [
        # Powers of two: at most the items, and at most half of them for the classifier; 300 steps in 30 to 60 epochs.
        (1000, {"batch": 32, "knn_k": 10}, {"batch": 64, "epochs": 30}),
        (40, {"batch": 32, "knn_k": 10}, {"batch": 16, "epochs": 60}),
        (5, {"batch": 4, "knn_k": 5}, {"batch": 2, "epochs": 60}),
    ],
)
def test_batches_and_epochs_fit_the_number_of_items(train, simclr, classifier):
    fitted = fit(measured(), train, found())
    assert (fitted["simclr"], fitted["classifier"]) == (simclr, classifier)
    assert fitted.get("encoder") == ({"defaults": {"validation": {"k": 5}}} if train == 5 else None)
    assert "crops" not in fitted


def test_boxes_stand_in_for_the_detector_and_several_garments_a_photo_need_their_own_class():
    boxes = found(boxes=True)
    assert fit(measured(), 50, boxes)["crops"] == {"no_detection": "own_box"}
    assert fit(measured(several=True), 50, boxes)["crops"] == {"no_detection": "own_box", "agreement": "required"}
    assert fit(measured(heads=["type", "color"]), 50, found())["classifier"]["heads"] == ["type", "color"]


def test_detector_learns_the_superclasses_and_sees_some_two_thousand_pictures():
    own = fit_detector(
        "mine", measured(box_classes=Counter(Hat=3, Bag=1)), found("yolo"), {"Hat": "headwear", "Bag": ""}, {"top"}
    )
    assert own == {
        "classes_table": "mine_labels.csv",
        "class_column": "label",
        "superclasses": ["headwear"],
        "epochs": 20,
    }
    known = fit_detector("mine", measured(box_classes=Counter(top=3)), found(), {}, {"top", "bottom"})
    assert (known["classes_table"], known["class_column"]) == ("superclasses.csv", "superclass")
    assert known["unboxed_is_background"] is False  # beside a catalogue, who has no box was not annotated
    few, many = (fit_detector("m", measured(images=Counter(train=n)), found("yolo"), {}, set()) for n in (3, 9000))
    assert (few["epochs"], many["epochs"]) == (30, 8)


def test_new_labels_get_a_row_and_rows_that_are_there_keep_what_they_say(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("label,superclass,count,note\nT-Shirt,dress,9,mine\n")
    table = label_table(path, "label", Counter({"T-Shirt": 2, "Jeans": 5, "Gift card": 1, "Xyzzy": 1}), SYNONYMS)
    assert table.text.splitlines() == [
        "label,superclass,count,note",
        "T-Shirt,dress,2,mine",
        "Jeans,bottom,5,",
        f"Gift card,,1,{NO_GARMENT}",
        f"Xyzzy,,1,{NOT_KNOWN}",
    ]
    assert table.edited == ["T-Shirt"] and not table.same
    path.write_text(table.text)
    assert label_table(path, "label", Counter({"T-Shirt": 2, "Jeans": 5, "Gift card": 1, "Xyzzy": 1}), SYNONYMS).same


def test_note_says_what_a_guess_rests_on():
    assert note(Guess("top", "shirt", sure=False)) == "guessed from shirt"
    assert note(Guess("top", "shirt", sure=True)) == ""
