"""Sheets of items by outcome."""

import numpy as np

from stages.networks.detector import detection_sheets as sheets
from stages.networks.detector.detection_sheets import Sheets


def test_sheets_have_the_same_few_items_in_whatever_order_they_come():
    def drawn(order):
        found = Sheets(["mismatch", "taken"])
        for number in order:
            picture = sheets.drawn(np.zeros((9, 9, 3), np.uint8), [], [f"item-{number}"])
            found.add(["mismatch"], f"item-{number}", lambda picture=picture: picture)
        assert found.cells["taken"] == []
        return [cell.lines for _, cell in found.cells["mismatch"]]

    few = drawn(range(40))
    assert len(few) == len(set(few)) == sheets.SHOWN and drawn(reversed(range(40))) == few


def test_sheets_of_pieces_merge_into_those_of_the_whole():
    def drawn(numbers):
        result = Sheets(["taken"])
        for number in numbers:
            picture = sheets.drawn(np.zeros((9, 9, 3), np.uint8), [], [f"item-{number}"])
            result.add(["taken"], f"item-{number}", lambda picture=picture: picture)
        return result

    def lines(result):
        return [cell.lines for _, cell in result.cells["taken"]]

    merged = drawn([])
    for start in (20, 0, 35, 5):
        merged.merge(drawn(range(start, {0: 5, 5: 20, 20: 35, 35: 40}[start])))
    assert lines(merged) == lines(drawn(range(40)))
