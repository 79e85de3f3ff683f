"""Params of a detector, and the names under which Ultralytics gets them."""

import pytest
from five_boxes import params

from stages.core.errors import StageError
from stages.core.params import section
from stages.detection.params import DetectorParams


def test_params_reach_ultralytics_under_its_names():
    arguments = params(epochs=7, patience=0, image_size=96).ultralytics()
    assert (arguments["epochs"], arguments["patience"], arguments["imgsz"], arguments["lr0"]) == (7, 7, 96, 0.002)
    assert arguments["hsv_h"] == 0.015


def test_cpu_takes_no_notice_of_gpu_params(tiny):
    for options in (tiny(), tiny(devices=[0, 1], compile=True, workers=8), tiny(amp=False)):
        assert options.hardware("cpu") == {"device": "cpu", "amp": False, "compile": False, "workers": 0}


def test_gpu_params_reach_ultralytics(tiny):
    from ultralytics.cfg import get_cfg
    from ultralytics.utils.torch_utils import parse_device

    assert tiny().hardware("cuda") == {"device": "cuda", "amp": True, "compile": False, "workers": 0}
    several = tiny(devices=[0, 2], amp=False, compile=True, workers=4).hardware("cuda")
    settings = get_cfg(overrides=several)  # it refuses names and types that Ultralytics does not know
    assert (settings.amp, settings.compile, settings.workers) == (False, True, 4)
    assert parse_device(settings.device).split(",") == ["0", "2"]  # two devices: two processes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"devices": []}, "`detector.shoes.devices` is .*at least 1"),
        ({"devices": [-1]}, "`detector.shoes.devices.0` is -1"),
        ({"augment": {"paste": 1.5}}, "`detector.shoes.augment.paste` is 1.5"),
        ({"augment": {"pasted": 0.1}}, "`detector.shoes.augment.pasted` is not a known key"),
    ],
)
def test_wrong_values_are_one_message(tiny, changes, message):
    content = tiny().model_dump()
    content["augment"] |= changes.get("augment", {})
    content |= {name: value for name, value in changes.items() if name != "augment"}
    with pytest.raises(StageError, match=message):
        section(DetectorParams, "detector.shoes", {"detector": {"shoes": content}})
