"""Names as text: composed the one way, printable, comparable."""

import unicodedata


def plain(text: str) -> str:
    r"""A name as it is shown, compared and stored: composed (NFC), bytes that are no UTF-8 escaped as ``\xe9``.

    Archives that were packed on macOS hold decomposed names, and file systems hold names that are no text at all.
    """
    if text.isascii():
        return text
    try:
        raw = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a surrogate pair, as JSON can hold it
        raw = text.encode("utf-8", "backslashreplace")
    return unicodedata.normalize("NFC", raw.decode("utf-8", "backslashreplace"))


def folded(text: str) -> str:
    """``plain`` text for comparing whatever its capitals."""
    return plain(text).casefold()
