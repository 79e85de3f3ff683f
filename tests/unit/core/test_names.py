"""Names as text: composed, printable, comparable."""

import os

import pytest

from stages.core.names import folded, plain


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hat", "hat"),
        ("Blu\u0301se", "Bl\u00fase"),  # u and an accent become one letter
        (os.fsdecode(b"caf\xe9"), "caf\\xe9"),  # bytes that are no UTF-8
        ("half \ud83d", "half \\ud83d"),  # half a surrogate pair, as JSON can hold it
        ("\u5e3d\u5b50", "\u5e3d\u5b50"),
    ],
)
def test_plain_name_is_composed_and_can_be_printed(text, expected):
    assert plain(text) == expected
    assert plain(text).encode()
    assert plain(plain(text)) == expected


def test_folded_names_compare_whatever_their_capitals():
    assert folded("STRASSE") == folded("Stra\u00dfe")
    assert folded("BLU\u0301SE") == folded("bl\u00fase") != folded("bluse")
