"""Peak memory of this process and its children, read from /proc (Linux)."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")


class Peak:
    """``with Peak() as peak``: afterwards ``peak.megabytes`` is the most that was held at once.

    Attributes:
        start: megabytes that were held when it began.
    """

    def __init__(self, seconds: float = 0.05, held: Callable[[], int] | None = None) -> None:
        """Look every so many ``seconds``; ``held`` gives bytes, by default resident ones of all processes together."""
        self._held = held or all_resident
        self._seconds = seconds
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Peak":
        self.start = self.megabytes = self._held() / 1e6
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        # What is still held counts even if the thread never got its turn beside code that keeps the interpreter's lock.
        self._look()

    def _watch(self) -> None:
        while not self._done.wait(self._seconds):
            self._look()

    def _look(self) -> None:
        self.megabytes = max(self.megabytes, self._held() / 1e6)


def all_resident() -> int:
    """Bytes that this process and everything below it hold, shared ones counted for each."""
    return sum(map(resident, family(os.getpid())))


def allocated() -> int:
    """Bytes of memory of this process that no file stands behind."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024
    raise SystemExit("no RssAnon in /proc/self/status: this bench needs Linux")


def family(pid: int) -> list[int]:
    """The process and everything below it; processes that have just ended are left out."""
    children = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children += [int(child) for child in path.read_text().split()]
        except OSError:
            continue
    return [pid, *(each for child in children for each in family(child))]


def resident(pid: int) -> int:
    """Bytes of memory that a process holds; 0 when it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except (OSError, IndexError):
        return 0
