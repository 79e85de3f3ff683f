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
