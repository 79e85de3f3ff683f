"""What a stage or a command tells: its log, and the progress of long work (a bar on a terminal, lines elsewhere).

Modules log by ``logging.getLogger(__name__)``; ``show_log`` shows the lines of ours, and of ours alone, on stderr.
"""

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from stages.core.names import plain

T = TypeVar("T")
SECONDS_BETWEEN_LINES = 10.0


log = logging.getLogger(__name__)
OURS = ("stages", "bench", "__main__")


class Lines(logging.Handler):
    """A line a record on whatever stderr is at the moment, at once; what is wrong begins with its level."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print it."""
        level = f"{record.levelname} " if record.levelno >= logging.WARNING else ""
        below = "\n" if record.levelno >= logging.ERROR and sys.stderr.isatty() else ""  # where a bar stands
        print(f"{below}{level}{plain(record.getMessage())}", file=sys.stderr, flush=True)


def show_log() -> None:
    """Show what our own modules log, from INFO on; once, however often this is called."""
    for name in OURS:
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO)
        logger.propagate = False  # some libraries give the root logger a handler, which would print each line again
        if not any(isinstance(handler, Lines) for handler in logger.handlers):
            logger.addHandler(Lines())


def track(items: Iterable[T], total: int, desc: str) -> Iterator[T]:
    """Yield ``items`` and show how far along they are."""
    if sys.stderr.isatty():
        from tqdm import tqdm

        yield from tqdm(items, total=total, desc=desc, dynamic_ncols=True, file=sys.stderr)
        return
    start = last = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES and done < total:
            rate = done / (now - start)
            log.info(f"{desc}: {done}/{total}, {rate:.1f}/s, {max(total - done, 0) / rate:.0f} s left")
            last = now
