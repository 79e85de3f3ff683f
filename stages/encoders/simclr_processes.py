"""Several processes that train one network, each on its part of every batch (torchrun, one process for each GPU).

All processes draw the same random numbers and differ only in the rows that they compute, so their generators agree
and one checkpoint, written by the first, resumes them all. Batch norm is synchronised on GPUs; torch cannot do so on
CPUs, where each process normalises over its own part.
"""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from torch import nn

from stages.core.determinism import device
from stages.core.errors import StageError
from stages.core.progress import say

T = TypeVar("T")
PATIENCE = timedelta(hours=6)  # how long the others wait while the first scores features or writes


@dataclass(frozen=True)
class Group:
    """The processes of one training; by default this one alone."""

    rank: int = 0
    size: int = 1

    @property
    def leader(self) -> bool:
        """Whether this process is the one that reports and writes."""
        return self.rank == 0

    def part(self, batch: int) -> slice:
        """The rows of a batch that this process computes.

        Raises:
            StageError: when the batch cannot be shared out evenly.
        """
        check_batch(batch, self.size)
        share = batch // self.size
        return slice(self.rank * share, (self.rank + 1) * share)

    def say(self, message: str) -> None:
        """One line to the log, from the leader only."""
        if self.leader:
            say(message)

    def mean(self, value: float) -> float:
        """The mean of the processes' values."""
        if self.size == 1:
            return value
        values = [0.0] * self.size
        torch.distributed.all_gather_object(values, value)
        return sum(values) / self.size

    def from_leader(self, compute: Callable[[], T]) -> T:
        """What the leader computes, on all processes."""
        if self.size == 1:
            return compute()
        box = [compute() if self.leader else None]
        torch.distributed.broadcast_object_list(box, src=0)
        return box[0]

    def share(self, network: nn.Module) -> nn.Module:
        """The network to call in training: gradients are averaged over the processes, batch norm is synchronised."""
        if self.size == 1:
            return network
        on_gpu = next(network.parameters()).is_cuda
        gpus = [torch.cuda.current_device()] if on_gpu else None
        return nn.parallel.DistributedDataParallel(network, device_ids=gpus)


def check_batch(batch: int, processes: int) -> None:
    """Refuse a batch that the processes cannot share out evenly."""
    if batch % processes:
        raise StageError(f"simclr.batch is {batch}, which {processes} processes cannot share out: choose a multiple.")


def synchronised(network: nn.Module, group: Group) -> nn.Module:
    """The network with batch norm over all processes' rows, where there are several on GPUs; in place."""
    if group.size == 1 or not next(network.parameters()).is_cuda:
        return network
    from timm.layers import convert_sync_batchnorm  # torch's own loses the activation that timm's layers hold

    return convert_sync_batchnorm(network)


def launched() -> bool:
    """Whether torchrun started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def relaunch(module: str, arguments: Sequence[object], processes: int) -> None:
    """Become torchrun with ``processes`` processes of a stage; does not return.

    Raises:
        StageError: more processes than GPUs, where models run on GPUs.
    """
    if device() == "cuda" and processes > torch.cuda.device_count():
        raise StageError(
            f"params.yaml: `runtime.processes` is {processes}, but there are {torch.cuda.device_count()} GPUs. "
            "Each process needs one: lower it."
        )
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    os.execv(sys.executable, [*torchrun, "-m", module, *map(str, arguments)])


@contextmanager
def join() -> Iterator[Group]:
    """The group that torchrun put this process into, or a group of one."""
    if not launched():
        yield Group()
        return
    on_gpu = device() == "cuda"
    if on_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    torch.distributed.init_process_group("nccl" if on_gpu else "gloo", timeout=PATIENCE)
    group = Group(torch.distributed.get_rank(), torch.distributed.get_world_size())
    if not group.leader:
        os.environ["SEAMLINE_TRACKING"] = "off"  # one training is one run in MLflow
    yield group
    # Only after success: a process that failed must not wait for the others here.
    torch.distributed.destroy_process_group()
