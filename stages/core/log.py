"""What a stage or a command tells.

Modules log by ``logging.getLogger(__name__)``; ``show_log`` shows the lines of ours, and of ours alone, on stderr.
"""

import logging
import sys

from stages.core.names import plain

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
