"""Spread work over processes of this machine or over a cluster; only the time depends on which, and on how many.

``runtime.engine`` of params.yaml says which: ``local``, or ``ray`` (stages/core/cluster.py). Results keep the order of
the input, and a job gets the same items on both.
"""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Literal, TypeVar

from stages.core.determinism import runtime_params
from stages.core.errors import StageError, shown
from stages.core.log import show_log

T = TypeVar("T")
R = TypeVar("R")
ENGINES = ("local", "ray")
Work = Literal["python", "arrow", "networks"]


def workers(most: int | None = None) -> int:
    """Processes for data stages: ``SEAMLINE_WORKERS``, else ``most``, else one for each core.

    Raises:
        StageError: when the variable is not a whole number from 1.
    """
    given = os.environ.get("SEAMLINE_WORKERS")
    if not given:
        return most or os.cpu_count() or 1
    if not given.isdecimal() or int(given) < 1:
        raise StageError(f"environment: SEAMLINE_WORKERS is {given!r}; expected a number of processes, 1 or more.")
    return int(given)


def in_processes(job: Callable[[T], R], items: Sequence[T], work: Work = "python") -> Iterator[R]:
    """Results of ``job`` for each item, in order.

    Args:
        job: a function of a module, a partial of one, or a callable object of one. A worker of a cluster keeps its copy
            of it, so what the job loads at its first call is loaded once in each worker.
        items: what a call gets; on a cluster they travel over the network.
        work: what the job computes with, which decides where it runs on one machine. ``python``: in processes;
            ``arrow``: in threads, as Arrow works without Python's lock; ``networks``: in this process, as networks use
            all threads.

    Raises:
        StageError: when a process is killed, or too many workers of a cluster are lost; ``runtime.engine`` is unknown.
    """
    engine = runtime_params().get("engine", "local")
    if engine not in ENGINES:
        raise StageError(f"params.yaml: `runtime.engine` is {engine!r}; expected one of: {shown(ENGINES)}.")
    if engine == "ray":
        from stages.core.cluster import on_cluster

        yield from on_cluster(job, items, networks=work == "networks")
        return
    count = min(workers(), len(items))
    if count <= 1 or work == "networks":
        yield from map(job, items)
    elif work == "arrow":
        with ThreadPoolExecutor(count) as threads:
            yield from threads.map(job, items)
    else:
        yield from _in_spawned(job, items, count)


def _in_spawned(job: Callable[[T], R], items: Sequence[T], count: int) -> Iterator[R]:
    # Spawned, not forked: Arrow's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, mp_context=context, initializer=show_log) as pool:
        try:
            yield from pool.map(job, items)
        except BrokenProcessPool:
            raise StageError(
                f"one of {count} processes ended without a message, most likely because memory ran out. Run fewer "
                "(SEAMLINE_WORKERS=1); each process of ingest holds one shard: more `shards` of the source help, too."
            ) from None
