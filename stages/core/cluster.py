"""The engine ``ray`` of stages/core/parallel.py: jobs run in the workers of the cluster that ``RAY_ADDRESS`` names.

A worker is a process with the pins of this one (stages/core/determinism.py), in the same folder: all machines need the
project's folder at the same path, on a file system that they share. Items of a lost worker run again elsewhere, so a
job must write the same files when it runs twice.
"""

import heapq
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from stages.core.determinism import pins, runtime_params, seed_everything, use_runtime
from stages.core.errors import StageError
from stages.core.log import show_log
from stages.core.parallel import workers

T = TypeVar("T")
R = TypeVar("R")
log = logging.getLogger(__name__)

ADDRESS = "RAY_ADDRESS"
START = "ray start --head --port=6379 --disable-usage-stats"
QUEUED = 2  # items at a worker: one runs, one waits, so that no worker idles while this process writes
AHEAD = 4  # items for each worker that may be finished or running before the first unfinished one is
LOSSES = 3  # workers that an item may cost
_STARTING = -1  # counts losses of workers that had no item yet, since the last one started
PATIENCE = 60.0  # seconds without any worker between two warnings
# What a process reads when it starts, or what says how it computes; the pins come on top.
_PASSED = ("GLIBC_TUNABLES", "YOLO_CONFIG_DIR", "SEAMLINE_DEVICE")


class Worker:
    """Runs a job in a process of the cluster."""

    def __init__(self, setup: tuple[Callable[[Any], Any], str, dict[str, Any], bool]) -> None:
        """Keep the job, its folder, params ``runtime``, and whether it needs networks.

        They are one object, which is sent to each machine once. Errors are raised in ``start`` and ``run``, because Ray
        would take an error here for the loss of the worker.
        """
        self._job, self._home, self._runtime, self._networks = setup

    def start(self) -> None:
        """Prepare the process as the stage's own was.

        Raises:
            StageError: the machine does not have the project's folder.
        """
        show_log()
        try:
            os.chdir(self._home)
        except OSError as error:
            raise StageError(
                f"{self._home}: {error.strerror} on machine {os.uname().nodename}. All machines of the cluster need "
                "the project's folder at this path, on a shared file system (docs/scaling.md)."
            ) from None
        use_runtime(self._runtime)
        if self._networks:
            seed_everything(0)  # fixes torch's threads; no random numbers are drawn

    def run(self, item: Any) -> Any:
        """The result of one item."""
        return self._job(item)


def on_cluster(job: Callable[[T], R], items: Sequence[T], networks: bool = False) -> Iterator[R]:
    """Results of ``job`` for each item, in order, computed by the workers of the cluster.

    Args:
        job: as of ``in_processes``.
        items: as of ``in_processes``.
        networks: the job computes with networks: each worker gets ``runtime.threads`` CPUs and ``runtime.gpus`` GPUs,
            otherwise one CPU.

    Raises:
        StageError: no cluster answers, it is too small, or an item has cost ``LOSSES`` workers.
    """
    if not items:
        return
    ray = connected()
    runtime = runtime_params()
    need = {"CPU": 1.0, "GPU": 0.0}
    if networks:
        need = {"CPU": float(runtime.get("threads") or 1), "GPU": float(runtime.get("gpus") or 0)}
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    room = sum(places(machine, need) for machine in machines)
    if not room:
        raise StageError(
            f"the cluster at {os.environ[ADDRESS]} has no machine with {need['CPU']:g} CPUs and {need['GPU']:g} GPUs, "
            "which each worker needs (`runtime.threads`, `runtime.gpus`). Add a machine, or ask for less."
        )
    count = min(workers(most=room), room, len(items))
    log.info(f"ray: {count} workers on {len(machines)} machines")
    setup = ray.put((job, str(Path.cwd()), runtime, networks))
    actor = ray.remote(num_cpus=need["CPU"], num_gpus=need["GPU"])(Worker)
    pool = _Pool(ray, lambda: actor.remote(setup), items, count)
    try:
        yield from pool.results()
    finally:
        pool.end()


def places(machine: Mapping[str, float], need: Mapping[str, float]) -> int:
    """How many workers that need these resources fit on a machine."""
    return min(int(machine.get(name, 0.0) / amount + 1e-9) for name, amount in need.items() if amount)


def connected() -> Any:
    """Module ``ray``, connected to the cluster that ``RAY_ADDRESS`` names.

    Raises:
        StageError: Ray is not installed, the variable is not set, or no cluster answers there.
    """
    address = os.environ.get(ADDRESS)
    if not address:
        raise StageError(
            f"params.yaml: `runtime.engine` is ray, but {ADDRESS} names no cluster. Start one (`{START}`) and set "
            f"{ADDRESS}=127.0.0.1:6379, or `runtime.engine: local`."
        )
    try:
        import ray
    except ModuleNotFoundError:
        raise StageError(
            "params.yaml: `runtime.engine` is ray, which is not installed. Run `pip install -r "
            "requirements-cluster.txt`, or set `runtime.engine: local`."
        ) from None
    if not ray.is_initialized():
        root = str(Path(__file__).resolve().parents[2])
        paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
        passed = {name: os.environ[name] for name in (*pins(), *_PASSED) if name in os.environ}
        passed |= {"PYTHONHASHSEED": "0", "PYTHONPATH": os.pathsep.join(paths)}
        os.environ.setdefault("RAY_gcs_server_port_wait_time_s", "1")  # one try of 30 seconds, not 20 of them
        try:
            ray.init(address, runtime_env={"env_vars": passed}, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            reason = "no cluster answers" if "Failed to connect to" in reason else reason
            raise StageError(
                f"{ADDRESS}={address}: {reason}. Start a cluster (`{START}`), and run stages on a machine of it (`ray "
                f"start --address={address}`)."
            ) from None
    return ray


class _Pool:
    """Workers, and the items that they have; a worker that is lost is replaced, and its items are given out again."""

    def __init__(self, ray: Any, new: Callable[[], Any], items: Sequence[Any], count: int) -> None:
        self._ray, self._new, self._items = ray, new, items
        self._todo = list(range(len(items)))  # a heap: the first item comes first, when it was lost, too
        self._count = count
        self._done: dict[int, Any] = {}
        self._losses: Counter[int] = Counter()
        self._at: dict[Any, tuple[Any, int | None]] = {}  # reference -> worker, and item; None: the worker starts
        self._ready: dict[Any, set[int]] = {}  # worker -> the items that it has
        for _ in range(count):
            self._hire()

    def results(self) -> Iterator[Any]:
        """Results in the order of the items."""
        for number in range(len(self._items)):
            while number not in self._done:
                self._give(number + AHEAD * self._count)
                self._wait()
            self._give(number + AHEAD * self._count)
            yield self._done.pop(number)

    def end(self) -> None:
        """End all workers."""
        for worker in {worker for worker, _ in self._at.values()} | set(self._ready):
            self._ray.kill(worker)

    def _hire(self) -> None:
        worker = self._new()
        self._at[worker.start.remote()] = worker, None

    def _give(self, end: int) -> None:
        """Give items below ``end`` to the workers that have fewest."""
        while self._todo and self._todo[0] < end and self._ready:
            worker = min(self._ready, key=lambda worker: len(self._ready[worker]))
            if len(self._ready[worker]) >= QUEUED:
                return
            number = heapq.heappop(self._todo)
            self._ready[worker].add(number)
            self._at[worker.run.remote(self._items[number])] = worker, number

    def _wait(self) -> None:
        """Wait for one result, or for a worker that has started."""
        ready, _ = self._ray.wait(list(self._at), timeout=PATIENCE)
        if not ready:
            if not self._ready:
                log.warning("ray: no worker has started yet; others may use the cluster (`ray status` tells).")
            return
        worker, number = self._at[ready[0]]
        try:
            value = self._ray.get(ready[0])
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause or error from None
        except self._ray.exceptions.RayError as error:
            self._replace(worker, error)
            return
        del self._at[ready[0]]
        if number is None:
            self._ready[worker] = set()
            self._losses[_STARTING] = 0
        else:
            self._ready[worker].discard(number)
            self._done[number] = value

    def _replace(self, lost: Any, error: Exception) -> None:
        """Give the items of a lost worker out again and hire another one.

        Raises:
            StageError: an item has cost too many workers.
        """
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        self._at = {reference: entry for reference, entry in self._at.items() if entry[0] != lost}
        started = lost in self._ready
        again = sorted(self._ready.pop(lost, ()))
        self._ray.kill(lost)  # it may live where only its result was lost
        log.warning(f"ray: a worker was lost; {len(again)} of {len(self._items)} items run again. {reason}")
        self._losses[_STARTING] += not started
        if self._losses[_STARTING] >= LOSSES * self._count:
            raise StageError(f"{LOSSES * self._count} workers of the cluster ended before they had started: {reason}")
        for number in again:
            self._losses[number] += 1
            if self._losses[number] >= LOSSES:
                raise StageError(
                    f"item {number + 1} of {len(self._items)} has cost {LOSSES} workers of the cluster, most likely "
                    "because memory ran out: give workers more memory, run fewer on a machine (SEAMLINE_WORKERS), or "
                    f"make more `shards` of the source. The last one: {reason}"
                )
            heapq.heappush(self._todo, number)
        self._hire()
