"""SimCLR in several processes: the same training as in one, written once, resumed by all."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
import yaml
from small import PLAIN_RUNTIME, SIMCLR, write_types

from stages.core.errors import StageError
from stages.encoders import simclr, simclr_processes
from stages.encoders.simclr_processes import Group, join, launched, relaunch

ROOT = Path(__file__).resolve().parents[3]
PARAMS = SIMCLR | {"epochs": 2, "keep": "best", "color": dict.fromkeys(SIMCLR["color"], 0.1)}
OUTS = ("weights.safetensors", "history.csv", "encoder.json", "params.json")
# Without batch norm, which CPUs cannot synchronise, processes must compute what one process computes.
WITHOUT_BATCH_NORM = """
import functools
import sys

import stages
from lightly.models.modules import heads

heads.SimCLRProjectionHead = functools.partial(heads.SimCLRProjectionHead, batch_norm=False)
"""
DIES_AFTER_ONE_EPOCH = """
import os

from stages.core.checkpoints import Checkpoints

save = Checkpoints.save

def dying(self, state):
    save(self, state)
    os._exit(9)

Checkpoints.save = dying
"""
RUN = """
from stages.core.acceleration import RuntimeParams
from stages.core.stage import run_stage
from stages.encoders.simclr import main
from stages.encoders.simclr_model import SimclrParams

run_stage(main, ["dataset", "out", "last"], {"simclr": ("simclr", SimclrParams), "runtime": ("runtime", RuntimeParams)})
"""


def test_one_process_is_a_group_of_its_own(monkeypatch):
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    assert not launched()
    with join() as group:
        assert (group.leader, group.size, group.part(6)) == (True, 1, slice(0, 6))
        assert group.mean(0.25) == 0.25
        assert group.from_leader(lambda: 3) == 3
        network = torch.nn.Linear(2, 2)
        assert group.share(network) is network


def test_batch_is_shared_out_without_rest_or_overlap():
    rows = list(range(12))
    assert [row for rank in range(3) for row in rows[Group(rank, 3).part(12)]] == rows
    with pytest.raises(StageError, match=r"simclr.batch is 10, which 3 processes cannot share out"):
        Group(0, 3).part(10)


def test_stage_becomes_torchrun(monkeypatch):
    calls = []
    monkeypatch.setattr(simclr_processes.os, "execv", lambda *call: calls.append(call))
    monkeypatch.setenv("SEAMLINE_DEVICE", "cpu")
    relaunch("stages.encoders.simclr", [Path("data"), Path("out")], 3)
    ((program, arguments),) = calls
    assert program == arguments[0] == sys.executable
    assert arguments[1:5] == ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=3"]
    assert arguments[5:] == ["-m", "stages.encoders.simclr", "data", "out"]


def test_more_processes_than_gpus_are_refused(monkeypatch):
    monkeypatch.setenv("SEAMLINE_DEVICE", "cuda")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(StageError, match="`runtime.processes` is 2, but there are 1 GPUs"):
        relaunch("stages.encoders.simclr", [], 2)


def test_batch_that_does_not_divide_is_refused_before_anything_starts(monkeypatch):
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    with pytest.raises(StageError, match="batch is 6, which 4 processes"):
        simclr.main(None, SimpleNamespace(simclr=SimpleNamespace(batch=6), runtime=SimpleNamespace(processes=4)))


@pytest.fixture
def project(crops, tmp_path):
    """A project with a tiny data set; runs commands there and gives their log and the bytes of the outs."""
    write_types(tmp_path / "dataset", crops)

    def run(out, *command, code=0, script=None, runtime=None, **changes):
        content = {"runtime": PLAIN_RUNTIME | {"processes": 2} | (runtime or {}), "simclr": PARAMS | changes}
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
        if script:
            (tmp_path / "script.py").write_text(script)
        plain = {name: value for name, value in os.environ.items() if not name.startswith(("TORCHELASTIC", "DVC"))}
        environment = plain | {"PYTHONPATH": str(ROOT), "SEAMLINE_DEVICE": "cpu", "PYTHONHASHSEED": "0"}
        done = subprocess.run(
            [sys.executable, *command, "dataset", out, f"{out}_last"], cwd=tmp_path, env=environment, capture_output=True, text=True,
        )  # fmt: skip
        assert (done.returncode == 0) == (code == 0), done.stderr
        folder = tmp_path / out
        return done.stderr, {name: (folder / name).read_bytes() for name in OUTS if (folder / name).is_file()}

    return run


STAGE = ("-m", "stages.encoders.simclr")
TWO = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")


@pytest.mark.slow
def test_two_processes_compute_what_one_computes(project, tmp_path):
    """The loss of every step's global batch and the gradients' mean: with both right, whole trainings agree."""
    script = WITHOUT_BATCH_NORM + RUN
    changes = {"backbone": "test_convnext", "keep": "last", "batch": 12}  # one step an epoch: its mean is its loss
    _, alone = project("alone", "script.py", script=script, runtime={"processes": 1}, **changes)
    _, both = project("both", *TWO, "script.py", script=script, **changes)
    history = [pd.read_csv(tmp_path / out / "history.csv") for out in ("alone", "both")]
    assert history[1]["loss"][1] == pytest.approx(history[0]["loss"][1], rel=1e-5)
    assert history[1]["loss"][2] == pytest.approx(history[0]["loss"][2], rel=1e-4)
    assert sorted(both) == sorted(alone)
    from safetensors.torch import load_file

    weights = [load_file(tmp_path / out / "weights.safetensors") for out in ("alone", "both")]
    assert all(torch.allclose(value, weights[1][name], rtol=1e-3, atol=1e-5) for name, value in weights[0].items())


@pytest.mark.slow
def test_stage_starts_two_processes_that_write_once_and_resume_together(project, tmp_path):
    log, unbroken = project("unbroken", *STAGE)
    assert sorted(unbroken) == sorted(OUTS)
    assert [log.count(f"simclr: epoch {number}/2,") for number in (1, 2)] == [1, 1]
    assert not list((tmp_path / ".work/pretrain").iterdir())
    project("broken", *TWO, "script.py", script="import stages\n" + DIES_AFTER_ONE_EPOCH + RUN, code=1)
    (checkpoint,) = (tmp_path / ".work/pretrain").glob("*/*")
    assert (checkpoint.name, checkpoint.parent.name[-2:]) == ("checkpoint", "-2")
    log, resumed = project("broken", *STAGE)
    assert log.count("simclr: resumed after epoch 1 of 2") == 1
    assert log.count("simclr: epoch 1/2") == 0
    assert resumed == unbroken
