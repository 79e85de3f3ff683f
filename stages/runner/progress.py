"""Progress of long work: a bar with rate and time left on a terminal, plain lines in a log."""

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
SECONDS_BETWEEN_LINES = 10.0


log = logging.getLogger(__name__)


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
