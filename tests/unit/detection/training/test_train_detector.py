"""Where a detector trains, and what it starts from: precision, compilation, devices, downloaded weights."""

import pytest

from stages.core.errors import StageError
from stages.core.params import section
from stages.detection.params import DetectorParams
from stages.detection.training import train_detector as train


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
    ("changes", "batch", "message"),
    [
        ({"devices": [0, 3]}, 4, r"detector.shoes.devices is \[0, 3\] but this machine has 2 GPUs"),
        ({"devices": [0, 1]}, 5, r"detector.shoes.batch is 5, which 2 devices cannot share evenly"),
    ],
)
def test_devices_that_cannot_be_used_are_one_message(tiny, monkeypatch, changes, batch, message):
    monkeypatch.setenv("SEAMLINE_DEVICE", "cuda")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    with pytest.raises(StageError, match=message):
        train._hardware(tiny(batch=batch, **changes), "shoes")


def test_weights_that_cannot_be_had_are_one_message(tiny, tmp_path, monkeypatch):
    from ultralytics.utils import downloads

    monkeypatch.chdir(tmp_path)
    options = tiny(model="yolo99x.yaml", weights="download")
    # Ultralytics gives the path back when it knows no such file.
    monkeypatch.setattr(downloads, "attempt_download_asset", str)
    with pytest.raises(StageError, match=r"weights yolo99x.pt could not be downloaded \(no release .* `weights: none`"):
        train._starting_point(options)

    def offline(file):
        raise ConnectionError("no route")

    with monkeypatch.context() as patch:
        patch.setattr(downloads, "attempt_download_asset", offline)
        with pytest.raises(StageError, match=r"yolo99x.pt could not be downloaded \(ConnectionError: no route"):
            train._starting_point(options)
    place = tmp_path / ".work/weights/yolo99x.pt"
    place.parent.mkdir(parents=True)
    place.touch()
    assert train._starting_point(options).absolute() == place


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


def test_check_of_half_precision_downloads_no_network(rectangles, tiny, tmp_path, monkeypatch):
    """Ultralytics would compare a network of its own with and without it; on a CPU the answer is no in any case."""
    import torch
    import ultralytics.engine.trainer as engine

    from stages.detection.training.trainer import ResumableTrainer

    monkeypatch.setattr(ResumableTrainer.__mro__[1], "_setup_train", lambda trainer: None)
    ResumableTrainer._setup_train(object.__new__(ResumableTrainer))
    assert engine.check_amp(torch.nn.Linear(1, 1)) is False
    assert engine.check_amp(torch.nn.Linear(1, 1, device="meta")) is True
