"""SimCLR in several processes: the same training as in one, written once, resumed by all."""

import sys
from itertools import chain
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from launching import DIES_AFTER_ONE_EPOCH, TWO, contents, launch
from small import PLAIN_RUNTIME, SIMCLR, write_types

from stages.core.errors import StageError
from stages.learning import distributed as processes
from stages.learning.distributed import Group, join, launched, mean_gradients, relaunch
from stages.simclr import pretrain as simclr

PARAMS = SIMCLR | {"epochs": 2, "keep": "best", "color": dict.fromkeys(SIMCLR["color"], 0.1)}
# Without batch norm, which CPUs cannot synchronise, processes must compute what one process computes.
WITHOUT_BATCH_NORM = """
import functools

from lightly.models.modules import heads

heads.SimCLRProjectionHead = functools.partial(heads.SimCLRProjectionHead, batch_norm=False)
"""
RUN = """
from stages.learning.acceleration import RuntimeParams
from stages.runner.stage import Stage
from stages.simclr.pretrain import main
from stages.simclr.model import SimclrParams

sections = {"simclr": ("simclr", SimclrParams), "runtime": ("runtime", RuntimeParams)}
Stage(main, ["dataset", "out", "last"], sections).run()
"""


def test_one_process_is_a_group_of_its_own(monkeypatch):
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    assert not launched()
    with join() as group:
        assert (group.leader, group.size, group.part(6)) == (True, 1, slice(0, 6))
        assert (group.mean(0.25), group.gather("a"), group.key("k")) == (0.25, ["a"], "k")
        assert group.total(torch.arange(3)).tolist() == [0, 1, 2]
        assert group.from_leader(lambda: 3) == 3
        network = torch.nn.Linear(2, 2)
        assert group.share(network) is network


@pytest.mark.parametrize(("batch", "shares"), [(12, [4, 4, 4]), (10, [4, 3, 3]), (11, [4, 4, 3])])
def test_batch_is_shared_out_without_rest_or_overlap(batch, shares):
    rows = list(range(batch))
    parts = [rows[Group(rank, 3).part(batch)] for rank in range(3)]
    assert list(map(len, parts)) == shares
    assert list(chain(*parts)) == rows


def test_checkpoint_of_another_number_of_processes_is_not_found():
    assert len({Group(0, size).key("k") for size in (1, 2, 3)}) == 3
    assert Group(0, 2).key("k") == Group(1, 2).key("k")


def test_gradients_are_the_mean_over_processes_whichever_of_them_has_one():
    class Other(Group):
        """This process and one whose tensors are known beforehand."""

        def total(self, values):
            return values + next(theirs)

    one, other, none = (torch.nn.Linear(1, 1, bias=False) for _ in range(3))
    theirs = iter([torch.tensor([1, 1, 0]), torch.tensor([4.0, 6.0])])
    one.weight.grad = torch.full((1, 1), 2.0)
    mean_gradients(torch.nn.ModuleList([one, other, none]), Other(0, 2))
    assert (one.weight.grad.item(), other.weight.grad.item(), none.weight.grad) == (3, 3, None)


def test_each_process_has_a_share_of_the_threads(monkeypatch):
    monkeypatch.setattr(processes.os, "execv", lambda *call: None)
    monkeypatch.setattr(processes.os, "cpu_count", lambda: 16)
    monkeypatch.setenv("SEAMLINE_DEVICE", "cpu")
    monkeypatch.setenv("OMP_NUM_THREADS", "8")  # so that it is put back
    relaunch(4)
    assert processes.os.environ["OMP_NUM_THREADS"] == "8"
    monkeypatch.delenv("OMP_NUM_THREADS")
    relaunch(4)
    assert processes.os.environ["OMP_NUM_THREADS"] == "4"


def test_stage_becomes_torchrun(monkeypatch):
    calls = []
    monkeypatch.setattr(processes.os, "execv", lambda *call: calls.append(call))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("SEAMLINE_DEVICE", "cpu")
    monkeypatch.setattr(sys, "orig_argv", ["python", "-B", "-m", "stages.run", "pretrain", "data", "out"])
    relaunch(3)
    ((program, arguments),) = calls
    assert program == arguments[0] == sys.executable
    assert arguments[1:5] == ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=3"]
    assert arguments[5:] == ["-m", "stages.run", "pretrain", "data", "out"]


def test_more_processes_than_gpus_are_refused(monkeypatch):
    monkeypatch.setenv("SEAMLINE_DEVICE", "cuda")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(StageError, match="`runtime.processes` is 2, but there are 1 GPUs"):
        relaunch(2)


def test_batch_that_does_not_divide_is_refused_before_anything_starts(monkeypatch):
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    with pytest.raises(StageError, match="batch is 6, which 4 processes"):
        simclr.main(None, SimpleNamespace(simclr=SimpleNamespace(batch=6), runtime=SimpleNamespace(processes=4)))


@pytest.fixture
def project(crops, tmp_path):
    """A project with a tiny data set; runs commands there and gives their log and the bytes of the outs."""
    write_types(tmp_path / "dataset", crops)

    def run(out, *command, script=None, dies=False, processes=2, **changes):
        params = {"runtime": PLAIN_RUNTIME | {"processes": processes}, "simclr": PARAMS | changes}
        log = launch(tmp_path, *command, "dataset", out, f"{out}_last", params=params, script=script, dies=dies)
        return log, {} if dies else contents(tmp_path / out)

    return run


STAGE = ("-m", "stages.run", "pretrain")


@pytest.mark.slow
def test_two_processes_compute_what_one_computes(project, tmp_path):
    """The loss of every step's global batch and the gradients' mean: with both right, whole trainings agree."""
    script = WITHOUT_BATCH_NORM + RUN
    changes = {"backbone": "test_convnext", "keep": "last", "batch": 12}  # one step an epoch: its mean is its loss
    _, alone = project("alone", "script.py", script=script, processes=1, **changes)
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
    assert sorted(unbroken) == ["encoder.json", "history.csv", "params.json", "weights.safetensors"]
    assert [log.count(f"simclr: epoch {number}/2,") for number in (1, 2)] == [1, 1]
    assert not list((tmp_path / ".work/pretrain").iterdir())
    project("broken", *TWO, "script.py", script=DIES_AFTER_ONE_EPOCH + RUN, dies=True)
    (checkpoint,) = (tmp_path / ".work/pretrain").glob("*/*")
    assert (checkpoint.name, checkpoint.parent.name[-2:]) == ("checkpoint", "-2")
    log, resumed = project("broken", *STAGE)
    assert log.count("simclr: resumed after epoch 1 of 2") == 1
    assert log.count("simclr: epoch 1/2") == 0
    assert resumed == unbroken
