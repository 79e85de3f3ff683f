"""The one exception that a user may see: it says what was found, what was expected, what to do."""

from collections.abc import Iterable

from stages.core.names import plain


class StageError(Exception):
    """Bad input or configuration. The message is printed as it is, without a traceback."""


def shown(values: Iterable[object], limit: int = 12) -> str:
    """Sorted, comma-separated values for a message, cut after ``limit`` with the count of the rest."""
    names = sorted({plain(str(value)) for value in values})
    text = ", ".join(names[:limit]) or "nothing"
    return text if len(names) <= limit else f"{text} and {len(names) - limit} more"
