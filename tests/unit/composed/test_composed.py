"""The command: every file that it writes, on models that look at colors alone."""

import json
import sys

import pytest
import yaml
from masked_photos import INNER, write_masked_photos
from small_wardrobe import ColorModels

from stages.composed import composed
from stages.composed.pictures import APART, FLAT_LAY, NONE, OVERLAPPING
from stages.composed.scores import Answer, Outcome, Result

PHOTOS = {
    f"{split}-{superclass}-{number}": (split, superclass, kind, color, INNER)
    for split, colors in (("test", ("red", "lime")), ("train", ("red", "blue")))
    for superclass, kind in (("top", "Shirt"), ("bottom", "Pants"))
    for number, color in enumerate(colors)
}
COUNTS = {APART: 2, OVERLAPPING: 1, FLAT_LAY: 1, NONE: 1}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A checkout of a profile with masks."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"profile": "mine", "salient_sources": ["shop"]}))
    write_masked_photos(tmp_path / "data/mine", PHOTOS)
    return tmp_path


def test_run_writes_pictures_their_truth_and_their_scores(project):
    scores = composed.run("mine", ["shop"], ColorModels(), 0, COUNTS)
    out = project / "data/mine/composed/seed-0"
    pictures = sorted(path.name for path in (out / "pictures").iterdir())
    assert pictures == ["apart-000.jpg", "apart-001.jpg", "flat_lay-000.jpg", "none-000.jpg", "overlapping-000.jpg"]
    truth = json.loads((out / "truth.json").read_text())
    assert [len(picture["garments"]) for picture in truth] == [2, 2, 2, 1, 0]
    # These models see a top and a bottom in every picture, in its upper and its lower half.
    assert [scores[kind]["boxes"] for kind in COUNTS] == [4, 2, 2, 2]
    assert scores[NONE]["false_boxes"] == 2
    # Their trained detector sees the upper half alone.
    assert [scores[kind]["trained_detector"]["boxes"] for kind in COUNTS] == [2, 1, 1, 1]
    assert scores[APART]["given_box"]["answers"] == 4
    written = json.loads((out / "scores.json").read_text())
    assert written["gallery"] == {"originals": 4, "training": 4}
    assert written["material"] == {"cutouts": 4, "left_out": {}, "strips": 4}
    metrics = json.loads((project / "metrics/mine/composed.json").read_text())
    assert set(metrics) == set(COUNTS) and sum(map(len, metrics.values())) <= 30
    assert {path.name for path in out.glob("*.jpg")} >= {"apart.jpg", "none.jpg", "right_and_wrong.jpg"}


def test_second_run_gives_the_same_bytes_and_reads_no_photo_of_the_wardrobe_again(project):
    first = ColorModels()
    composed.run("mine", ["shop"], first, 0, COUNTS)
    files = [path for path in (project / "data/mine/composed").rglob("*") if path.is_file()]
    before = {path: path.read_bytes() for path in files}
    again = ColorModels()
    composed.run("mine", ["shop"], again, 0, COUNTS)
    assert {path: path.read_bytes() for path in files} == before
    assert len(first.looked) == 3 and again.looked == []  # photos of one color have the same bytes


def test_scores_of_another_seed_stand_beside_and_are_no_metrics(project):
    composed.run("mine", ["shop"], ColorModels(), 1, {NONE: 1})
    assert (project / "data/mine/composed/seed-1/scores.json").is_file()
    assert not (project / "metrics").exists()


def test_profile_without_masks_is_refused(project, monkeypatch, capsys):
    (project / "params.yaml").write_text(yaml.safe_dump({"profile": "demo", "salient_sources": []}))
    monkeypatch.setattr(sys, "argv", ["composed"])
    with pytest.raises(SystemExit) as stopped:
        composed.main()
    assert stopped.value.code == 1


@pytest.mark.parametrize(
    ("outcomes", "boxes", "right"),
    [((True,), 1, True), ((True,), 2, False), ((False,), 1, False), ((None,), 0, False), ((), 0, True), ((), 1, False)],
)
def test_picture_is_right_if_every_garment_is_detected_and_matched_and_no_box_is_false(outcomes, boxes, right):
    def answer(first):
        return None if first is None else Answer(True, 1, 1, 0, first, first, True, 0.1, 0.1)

    result = Result(APART, [Outcome(answer(True), answer(first)) for first in outcomes], boxes)
    assert composed.all_right(result) == right
