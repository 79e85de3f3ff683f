"""Where a detector trains, what it starts from, and a process that is killed."""

import os
import subprocess
import sys

import pytest
from places import ROOT

from stages.core.errors import StageError
from stages.detection.training import train_detector as train


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


STEPS = 3  # batches of an epoch: 10 pictures in batches of 4
FILES = ("weights.safetensors", "history.csv", "detector.json", "params.json")
SCRIPT = """
import os, signal, sys
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace
from stages.core.determinism import pin_process

pin_process()
from stages.detection.training import train_detector as train
from stages.detection.params import DetectorParams
from stages.detection.training.trainer import ResumableTrainer

root, out, params, kill_at = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
end, left = ResumableTrainer._end_batch, iter(range(kill_at))

def batch(trainer):
    if kill_at and next(left, None) is None:
        os.kill(os.getpid(), signal.SIGKILL)
    end(trainer)

ResumableTrainer._end_batch = batch
args = Namespace(detector="tiny", ingested=root / "ingested", boxes=root / "boxes/tiny", out=out)
train.main(args, SimpleNamespace(detector=DetectorParams.model_validate_json(params)))
"""


@pytest.mark.slow
def test_process_killed_within_an_epoch_ends_with_the_same_bytes(rectangles, tiny, tmp_path):
    (tmp_path / "params.yaml").write_text("runtime: {threads: 1, deterministic: true, pin_instruction_set: true}\n")
    variables = os.environ | {"PYTHONPATH": str(ROOT), "SEAMLINE_DEVICE": "cpu", "PYTHONHASHSEED": "0"}

    def run(out, kill_at=0):
        command = [sys.executable, "-c", SCRIPT, str(rectangles), out, tiny().model_dump_json(), str(kill_at)]
        return subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True)

    unbroken = run("unbroken")
    assert unbroken.returncode == 0, unbroken.stderr
    killed = run("broken", kill_at=2 * STEPS + 1)
    assert killed.returncode == -9 and not (tmp_path / "broken").exists()
    again = run("broken")
    assert again.returncode == 0, again.stderr
    assert "resumed after epoch 2 of 4" in again.stderr
    for name in FILES:
        assert (tmp_path / "broken" / name).read_bytes() == (tmp_path / "unbroken" / name).read_bytes(), name
