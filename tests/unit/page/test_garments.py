"""Confusion matrices and boxes of the page, by hand."""

from stages.page import garments


def test_cells_of_a_matrix_count_and_name_what_they_open():
    rows = [("a", "a", "1", ""), ("a", "b", "2", "b .9"), ("a", "b", "3", ""), ("background", "a", "4", "")]
    cells = {}
    found = garments.matrix("head", rows, cells)
    assert found["classes"] == ["a", "b", "background"]
    right, wrong, none = found["lines"][0]["cells"]
    assert (right["n"], right["diag"], wrong["n"], wrong["diag"], none) == (1, True, 2, False, None)
    assert wrong["text"] == "a taken for b: 2 of 3 (67%)"
    assert sorted(cells[wrong["cell"]]) == [["2", "b .9"], ["3", ""]]


def test_boxes_say_in_words_and_signs_whether_they_are_right():
    found = {"superclass": "top", "confidence": 0.9, "x1": 1, "y1": 2, "x2": 4, "y2": 8}
    assert garments.scored_box({**found, "actual": "top"}) == {
        "x": 1, "y": 2, "w": 3, "h": 6, "kind": "right", "text": "✓ top 0.90",
    }  # fmt: skip
    assert garments.scored_box({**found, "actual": "background"})["text"] == "✗ top 0.90, a false alarm"
    missed = {"superclass": "background", "actual": "top", **{f"actual_{key}": value for key, value in found.items()}}
    assert garments.scored_box(missed)["text"] == "… missed top"
