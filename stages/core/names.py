"""Names of files and values as text that can be shown, compared and stored."""

import unicodedata


def plain(text: str) -> str:
    r"""A name as it is shown, compared and stored: composed (NFC), bytes outside UTF-8 escaped as ``\xe9``.

    Archives that were packed on macOS hold decomposed names, and file systems hold names that are no text at all.
    """
    if text.isascii():
        return text
    try:
        raw = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can hold
        raw = text.encode("utf-8", "backslashreplace")
    return unicodedata.normalize("NFC", raw.decode("utf-8", "backslashreplace"))


def folded(text: str) -> str:
    """``plain`` text for comparisons that ignore case."""
    return plain(text).casefold()
