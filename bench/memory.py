"""Peak memory of this process and its children, read from /proc (Linux)."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")


class Peak:
    """``with Peak() as peak``: afterwards ``peak.megabytes`` is the largest memory in use.

    Attributes:
        start: megabytes in use at the beginning.
    """

    def __init__(self, seconds: float = 0.05, held: Callable[[], int] | None = None) -> None:
        """Measure every ``seconds``; ``held`` returns bytes, by default the resident ones of all processes."""
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
        # Measured at the end as well, as the thread may never have run if the code kept the interpreter lock.
        self._look()

    def _watch(self) -> None:
        while not self._done.wait(self._seconds):
            self._look()

    def _look(self) -> None:
        self.megabytes = max(self.megabytes, self._held() / 1e6)


def all_resident() -> int:
    """Resident bytes of this process and its descendants; shared ones count for each."""
    return sum(map(resident, family(os.getpid())))


def allocated() -> int:
    """Bytes of this process's memory that are not backed by a file."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024
    raise SystemExit("no RssAnon in /proc/self/status: this bench needs Linux")


def family(pid: int) -> list[int]:
    """The process and its descendants, without processes that have just ended."""
    children = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children += [int(child) for child in path.read_text().split()]
        except OSError:
            continue
    return [pid, *(each for child in children for each in family(child))]


def resident(pid: int) -> int:
    """Resident bytes of a process; 0 when it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except (OSError, IndexError):
        return 0
