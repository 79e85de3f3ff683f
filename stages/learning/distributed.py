"""Several processes that train one network, each on its own rows of every batch (torchrun, one process a GPU).

All processes start from the same seed and build the same network; all resume from one checkpoint, which the first one
writes. Batch norm is synchronized on GPUs; on CPUs torch cannot do so, and each process normalizes over its own rows.
"""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn

from stages.core.determinism import device
from stages.core.errors import StageError
from stages.learning.acceleration import RuntimeParams

log = logging.getLogger(__name__)

T = TypeVar("T")
PATIENCE = timedelta(hours=6)  # that processes wait while the leader validates or writes


@dataclass(frozen=True)
class Group:
    """The processes of one training; by default a single one."""

    rank: int = 0
    size: int = 1

    @property
    def leader(self) -> bool:
        """Whether this process is the first one, which logs and writes."""
        return self.rank == 0

    def own_rows(self, batch: int) -> slice:
        """The rows of a batch that this process computes; a remainder goes to the first processes, one row each."""
        share, more = divmod(batch, self.size)
        start = self.rank * share + min(self.rank, more)
        return slice(start, start + share + (self.rank < more))

    def key(self, key: str) -> str:
        """The key of a checkpoint of this number of processes, as another number rounds differently.

        ``key`` includes the number already, unless torchrun was started by hand.
        """
        return key if self.size == 1 else f"{key}-{self.size}"

    def log(self, message: str, level: int = logging.INFO) -> None:
        """Log one line, on the leader only."""
        if self.leader:
            log.log(level, message)

    def gather(self, value: T) -> list[T]:
        """The values of all processes, on all of them."""
        if self.size == 1:
            return [value]
        values = [value] * self.size
        torch.distributed.all_gather_object(values, value)
        return values

    def mean(self, value: float) -> float:
        """The mean of the processes' values."""
        return value if self.size == 1 else sum(self.gather(value)) / self.size

    def total(self, values: torch.Tensor) -> torch.Tensor:
        """The sum of the processes' tensors, on the device of ``values``."""
        if self.size == 1:
            return values
        over_gpus = torch.distributed.get_backend() == "nccl"  # nccl only reduces tensors on GPUs
        summed = values.to(torch.cuda.current_device() if over_gpus else "cpu", copy=True)
        torch.distributed.all_reduce(summed)
        return summed.to(values.device)

    def gather_rows(self, values: torch.Tensor, batch: int) -> torch.Tensor:
        """The rows [batch, ...] of all processes, of which ``values`` are this one's ``own_rows``.

        The gradient of this process's rows is multiplied by the number of processes: if all processes compute the same
        loss of the same rows, the mean of their gradients (``mean_gradients``) is then the gradient of the batch.
        """
        return values if self.size == 1 else _GatherRows.apply(values, self, batch)

    def from_leader(self, compute: Callable[[], T]) -> T:
        """The value that the leader computes, on all processes."""
        if self.size == 1:
            return compute()
        box = [compute() if self.leader else None]
        torch.distributed.broadcast_object_list(box, src=0)
        return box[0]

    def share(self, network: nn.Module) -> nn.Module:
        """The network to call in training: gradients are averaged over the processes, batch norm is synchronized."""
        if self.size == 1:
            return network
        on_gpu = next(network.parameters()).is_cuda
        gpus = [torch.cuda.current_device()] if on_gpu else None
        return nn.parallel.DistributedDataParallel(network, device_ids=gpus)


class _GatherRows(torch.autograd.Function):
    """``Group.gather_rows``."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, group: Group, batch: int) -> torch.Tensor:
        ctx.group, ctx.own = group, group.own_rows(batch)
        rows = values.new_zeros(batch, *values.shape[1:])
        rows[ctx.own] = values
        return group.total(rows)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        return gradient[ctx.own] * ctx.group.size, None, None


ALONE = Group()


def mean_gradients(network: nn.Module, group: Group) -> None:
    """Replace each gradient by its mean over the processes. A missing one counts as 0, unless all processes miss it.

    For networks of which a step may not use all weights: ``Group.share`` would wait for the missing gradients.
    """
    if group.size == 1:
        return
    weights = list(network.parameters())
    somewhere = group.total(torch.tensor([weight.grad is not None for weight in weights], dtype=torch.int32)) > 0
    moved = [weight for weight, some in zip(weights, somewhere.tolist(), strict=True) if some]
    if not moved:
        return
    for weight in moved:
        weight.grad = torch.zeros_like(weight) if weight.grad is None else weight.grad
    means = group.total(torch.cat([weight.grad.flatten() for weight in moved])).div_(group.size)
    for weight, mean in zip(moved, means.split([weight.numel() for weight in moved]), strict=True):
        weight.grad.copy_(mean.view_as(weight))


def own_draws(seed: int, group: Group) -> None:
    """Give each process of a group its own sequence of torch's random numbers; a single process keeps its sequence."""
    if group.size > 1:
        torch.manual_seed(int(np.random.SeedSequence([seed, group.rank]).generate_state(1)[0]))


def synchronized(network: nn.Module, group: Group) -> nn.Module:
    """The network with its batch norm over the rows of all processes, if these use GPUs; changed in place."""
    if group.size == 1 or not next(network.parameters()).is_cuda:
        return network
    from timm.layers import convert_sync_batchnorm  # torch's own function drops the activation in timm's layers

    return convert_sync_batchnorm(network)


def launched() -> bool:
    """Whether torchrun started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def in_group(runtime: RuntimeParams, run: Callable[[Group], T]) -> T:
    """Result of ``run`` in this process. With ``runtime.processes`` above 1, the stage first restarts under torchrun.

    Raises:
        StageError: as ``relaunch``.
    """
    if runtime.processes > 1 and not launched():
        relaunch(runtime.processes)
    with join() as group:
        return run(group)


def relaunch(processes: int) -> None:
    """Replace this process by torchrun with ``processes`` processes of its command (``-m MODULE ...``); never returns.

    Raises:
        StageError: more processes than GPUs, where models run on GPUs.
    """
    if device() == "cuda" and processes > torch.cuda.device_count():
        raise StageError(
            f"params.yaml: `runtime.processes` is {processes}, but there are {torch.cuda.device_count()} GPUs. "
            "Each process needs one: lower it."
        )
    # By default torchrun gives each process one thread, also for decoding.
    threads = max(1, (os.cpu_count() or 1) // processes)
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = sys.orig_argv[sys.orig_argv.index("-m") :]
    os.execv(sys.executable, [*torchrun, *command])


@contextmanager
def join() -> Iterator[Group]:
    """The group of processes that torchrun started, or a group of one."""
    if not launched():
        yield Group()
        return
    on_gpu = device() == "cuda"
    if on_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    torch.distributed.init_process_group("nccl" if on_gpu else "gloo", timeout=PATIENCE)
    group = Group(torch.distributed.get_rank(), torch.distributed.get_world_size())
    if not group.leader:
        os.environ["SEAMLINE_TRACKING"] = "off"  # only the leader logs the run
    yield group
    torch.distributed.barrier()  # the leader may still be writing
    # Only after success: a failed process must not wait for the others.
    torch.distributed.destroy_process_group()
