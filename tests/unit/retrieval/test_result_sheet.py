"""Sheets of queries and what they found."""

import numpy as np
from mean_color import BLUE
from PIL import Image

from stages.contracts.images import encode_jpeg
from stages.retrieval.result_sheet import RIGHT, WRONG, Hit, ResultRow, evenly, likeness, retrieval_sheet


def test_shown_queries_are_spread_evenly():
    assert evenly(11, 6) == [0, 2, 4, 6, 8, 10]
    assert evenly(3, 6) == [0, 1, 2]
    assert evenly(0, 6) == []


def test_sheet_frames_right_and_wrong_results():
    data = encode_jpeg(Image.new("RGB", (30, 20), BLUE))
    sheet = retrieval_sheet([ResultRow(data, [Hit(data, True, "0.999"), Hit(data, False, "")])])
    assert sheet.size == (3 * 76 + 8, 76 + 13 + 4)
    assert sheet.getpixel((8 + 76 + 1, 5)) == RIGHT
    assert sheet.getpixel((8 + 2 * 76 + 1, 5)) == WRONG
    # The number is below its result, and nothing below the other.
    below = [sheet.crop((8 + place * 76, 76, 8 + place * 76 + 72, 76 + 13)) for place in (1, 2)]
    assert min(below[0].convert("L").getdata()) < 60 and set(below[1].getdata()) == {(255, 255, 255)}


def test_number_under_a_result_is_the_cosine_or_the_distance():
    one, other = np.array([3, 4], np.float32), np.array([4, 3], np.float32)
    assert likeness(one, other, "cosine") == "0.960"  # 24 / 25
    assert likeness(one, other, "euclidean") == "d 1.414"
    assert likeness(one, 0 * other, "cosine") == "0.000"
