"""A detector's training in a process of its own, killed for good: another process goes on."""

import os
import subprocess
import sys

import pytest
from places import ROOT

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
