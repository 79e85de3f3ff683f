"""Spread work over processes. Results keep the order of the input: the number of processes changes only the time."""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from stages.core.errors import StageError
from stages.core.log import show_log

T = TypeVar("T")
R = TypeVar("R")


def workers() -> int:
    """Processes for data stages: ``SEAMLINE_WORKERS``, else one for each core.

    Raises:
        StageError: when the variable is not a whole number from 1.
    """
    given = os.environ.get("SEAMLINE_WORKERS")
    if not given:
        return os.cpu_count() or 1
    if not given.isdecimal() or int(given) < 1:
        raise StageError(f"environment: SEAMLINE_WORKERS is {given!r}; expected a number of processes, 1 or more.")
    return int(given)


def in_processes(job: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
    """Results of ``job`` for each item, in order. ``job`` must be a function of a module, or a partial of one.

    Raises:
        StageError: when a process is killed.
    """
    count = min(workers(), len(items))
    if count <= 1:
        yield from map(job, items)
        return
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
