"""Several processes as one: who leads, shared batches, mean gradients, torchrun."""

import sys
from itertools import chain

import pytest
import torch

from stages.core.errors import StageError
from stages.learning import distributed
from stages.learning import distributed as processes
from stages.learning.distributed import Group, join, launched, mean_gradients, relaunch


def test_one_process_is_a_group_of_its_own(monkeypatch):
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    assert not launched()
    with join() as group:
        assert (group.leader, group.size, group.own_rows(6)) == (True, 1, slice(0, 6))
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


class Other(Group):
    """The first of two processes; the other's rows are known beforehand."""

    def total(self, values):
        return values + torch.tensor([[0.0], [0.0], [5.0]])


def test_whole_batch_has_the_others_rows_and_the_gradient_of_its_own():
    own = torch.tensor([[2.0], [3.0]], requires_grad=True)
    rows = Other(0, 2).gather_rows(own, 3)
    assert rows.tolist() == [[2], [3], [5]]
    (rows * torch.tensor([[1.0], [10.0], [100.0]])).sum().backward()
    assert own.grad.tolist() == [[2], [20]]  # times two: mean_gradients divides by two
    assert distributed.ALONE.gather_rows(own, 2) is own


def test_gradients_where_no_process_has_one_stay_none():
    class Idle(Group):
        def total(self, values):
            return values

    layer = torch.nn.Linear(1, 1)
    distributed.mean_gradients(layer, Idle(0, 2))
    assert layer.weight.grad is None
