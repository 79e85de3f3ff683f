"""Threads for slow work behind a bounded queue, so that memory does not grow with the number of visitors.

The models have one thread: torch uses every core for one photo already, so a second thread would be no faster.
"""

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class Busy(Exception):
    """The queue is full."""


class WorkQueue:
    """Threads that run functions in the order in which they come."""

    def __init__(self, threads: int, most: int) -> None:
        """``most``: functions that run or wait; one more is refused."""
        self.most = most
        self.pending = 0
        self._threads = ThreadPoolExecutor(threads)

    async def run(self, function: Callable[[], T]) -> T:
        """The result of the function; call this in the thread of the event loop.

        Raises:
            Busy: too many functions wait already.
        """
        if self.pending >= self.most:
            raise Busy
        self.pending += 1
        future = asyncio.get_running_loop().run_in_executor(self._threads, function)
        future.add_done_callback(self._free)
        # A visitor who leaves does not stop the function, so its place is free only when it has ended.
        return await asyncio.shield(future)

    def _free(self, _: object) -> None:
        self.pending -= 1

    def close(self) -> None:
        """Let the running functions end; drop the waiting ones."""
        self._threads.shutdown(wait=True, cancel_futures=True)


class Cache:
    """Bytes by key, up to a sum; the least recently used are dropped first. Safe to use from several threads."""

    def __init__(self, most_bytes: int) -> None:
        """``most_bytes``: of all values together."""
        self.most_bytes = most_bytes
        self.bytes_held = 0
        self._values: OrderedDict[tuple[object, ...], bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[object, ...]) -> bytes | None:
        """The value of a key, which counts as used now; None if it is not there."""
        with self._lock:
            if (value := self._values.get(key)) is not None:
                self._values.move_to_end(key)
            return value

    def put(self, key: tuple[object, ...], value: bytes) -> None:
        """Keep a value, unless it is larger than ``most_bytes``."""
        with self._lock:
            self.bytes_held += len(value) - len(self._values.pop(key, b""))
            self._values[key] = value
            while self.bytes_held > self.most_bytes:
                self.bytes_held -= len(self._values.popitem(last=False)[1])
