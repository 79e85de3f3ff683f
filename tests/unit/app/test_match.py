"""The command line of ``make match``; what it finds is in tests/pipeline/test_demo.py."""

import sys

import pytest
from PIL import Image

from profiles import composed
from stages.app.match import find_garments, main
from stages.core.params import section
from stages.crops.params import CropParams
from stages.networks.detector.params import NmsParams


def test_photo_is_searched_as_params_say(tmp_path):
    """With the same suppression as the crops that the wardrobe's encoder has learned from."""
    params, nms = section(CropParams, "crops", composed("demo")), NmsParams(iou=0.65, per_class=False)
    Image.new("RGB", (60, 80), "red").save(tmp_path / "look.png")

    class Known:
        def predict(self, images, *asked):
            assert asked == (params.confidence, nms)
            return [[{"superclass": "top", "confidence": 0.9, "x1": 5.0, "y1": 5.0, "x2": 45.0, "y2": 65.0}]]

    (found,) = find_garments(tmp_path / "look.png", [Known()], params, nms)
    assert (found.superclass, found.box) == ("top", (5, 5, 45, 65))


def test_garment_that_is_seen_as_two_classes_is_listed_once(tmp_path):
    """Boxes of one detector overlap where their classes differ, those of two detectors as they will."""
    params, nms = section(CropParams, "crops", composed("demo")), NmsParams(iou=0.6, per_class=True)
    Image.new("RGB", (60, 80), "red").save(tmp_path / "look.png")

    class Known:
        def __init__(self, *boxes):
            self.boxes = boxes

        def predict(self, images, *asked):
            corners = ("x1", "y1", "x2", "y2")
            return [[{"superclass": name, "confidence": sure, **dict(zip(corners, box, strict=True))}
                     for name, sure, box in self.boxes]]  # fmt: skip

    clothes = Known(("top", 0.5, (0, 0, 40, 45)), ("outwear", 0.9, (0, 0, 40, 50)), ("vest", 0.4, (12, 0, 30, 50)))
    caps = Known(("headwear", 0.6, (0, 0, 40, 48)))
    found = find_garments(tmp_path / "look.png", [clothes, caps], params, nms)
    assert [one.superclass for one in found] == ["outwear", "vest"]  # what is worn below it has .45


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--top", "0"], "argument --top: expected a number above 0, found 0"),
        (["--top", "many"], "argument --top: invalid count value: 'many'"),
        (["--confidence", "2"], "argument --confidence: expected a number from 0 to 1, found 2"),
        (["--confidence", "nan"], "argument --confidence: expected a number from 0 to 1, found nan"),
    ],
)
def test_numbers_out_of_range_are_one_message(monkeypatch, capsys, option, message):
    monkeypatch.setattr(sys, "argv", ["match", "look.jpg", "--wardrobe", ".", *option])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    assert capsys.readouterr().err.strip().endswith(message)
