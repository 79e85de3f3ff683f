"""Threads for what takes time, with a bounded line before them: eight visitors must not hold the memory of eight.

The models have one thread: torch uses every core for one photo already, so a second would make no photo come sooner.
"""

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class Busy(Exception):
    """More work waits than is let wait."""


class WorkQueue:
    """Threads that run functions in the order in which they come."""

    def __init__(self, threads: int, most: int) -> None:
        """``most``: functions that run or wait; one more is refused."""
        self.most = most
        self.held = 0
        self._threads = ThreadPoolExecutor(threads)

    async def run(self, function: Callable[[], T]) -> T:
        """What the function returns; called in the thread of the event loop.

        Raises:
            Busy: too many wait already.
        """
        if self.held >= self.most:
            raise Busy
        self.held += 1
        future = asyncio.get_running_loop().run_in_executor(self._threads, function)
        future.add_done_callback(self._free)
        # A visitor who leaves does not stop the function, so its place is free only when it has ended.
        return await asyncio.shield(future)

    def _free(self, _: object) -> None:
        self.held -= 1

    def close(self) -> None:
        """Let what runs end; drop what waits."""
        self._threads.shutdown(wait=True, cancel_futures=True)


class Cache:
    """Bytes by key, up to a sum; those that were used longest ago go first. Safe to use from several threads."""

    def __init__(self, most_bytes: int) -> None:
        """``most_bytes``: of all values together."""
        self.most_bytes = most_bytes
        self.held = 0
        self._values: OrderedDict[tuple[object, ...], bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[object, ...]) -> bytes | None:
        """The value of a key, which counts as used now; None where there is none."""
        with self._lock:
            if (value := self._values.get(key)) is not None:
                self._values.move_to_end(key)
            return value

    def put(self, key: tuple[object, ...], value: bytes) -> None:
        """Keep a value; one that is larger than everything together is not kept."""
        with self._lock:
            self.held += len(value) - len(self._values.pop(key, b""))
            self._values[key] = value
            while self.held > self.most_bytes:
                self.held -= len(self._values.popitem(last=False)[1])
