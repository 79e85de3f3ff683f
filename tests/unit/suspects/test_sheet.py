"""The contact sheet of labels that are probably wrong."""

import numpy as np
import pytest
from PIL import Image

from stages.contracts.images import encode_jpeg
from stages.suspects.sheet import MOST, PICTURE, SuspectCell, contact_sheet


@pytest.fixture
def crops():
    """A red, a green and a blue picture."""
    return [encode_jpeg(Image.new("RGB", (40, 60), color)) for color in ("red", "green", "blue")]


def test_sheet_shows_the_pictures_in_their_order(crops):
    sheet = np.asarray(
        contact_sheet([
            SuspectCell(crops[2], "blue", 0.01, "red", 0.9), SuspectCell(crops[0], "red", 0.02, "blue with a very long name indeed", 0.8),
        ])
    )  # fmt: skip
    first, second = sheet[50, 6 + PICTURE // 2], sheet[50, 12 + PICTURE + PICTURE // 2]
    assert first[2] > 200 > first[0] and second[0] > 200 > second[2]  # crop 2 is blue, crop 0 red
    below = sheet[6 + PICTURE :]
    assert (below[:, 6 : 6 + PICTURE] < 200).any() and (below[:, 12 + PICTURE :] < 200).any()  # words
    assert (below[:, 12 + 2 * PICTURE :] == 255).all()  # a long name stays below its picture


def test_sheet_is_cut_off_after_its_most(crops):
    few, many = (contact_sheet([SuspectCell(crops[0], "a", 0.1, "b", 0.9)] * count) for count in (MOST, 5 * MOST))
    assert few.size == many.size
    assert Image.new("RGB", few.size, "white").tobytes() != few.tobytes()
