"""The log lines of stages and commands.

Modules log by ``logging.getLogger(__name__)``; ``show_log`` prints the lines of the project's own modules
on stderr, and no library's.
"""

import logging
import sys

from stages.core.names import plain

OURS = ("stages", "bench", "__main__")


class Lines(logging.Handler):
    """Prints each record as one line on the current stderr; warnings and errors begin with their level."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print it."""
        level = f"{record.levelname} " if record.levelno >= logging.WARNING else ""
        below = "\n" if record.levelno >= logging.ERROR and sys.stderr.isatty() else ""  # below a progress bar
        print(f"{below}{level}{plain(record.getMessage())}", file=sys.stderr, flush=True)


def show_log() -> None:
    """Print what the project's modules log, from INFO on. Calling it again changes nothing."""
    for name in OURS:
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO)
        logger.propagate = False  # some libraries give the root logger a handler, which would print each line again
        if not any(isinstance(handler, Lines) for handler in logger.handlers):
            logger.addHandler(Lines())
