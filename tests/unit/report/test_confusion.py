"""Confusion matrices drawn from pairs of names."""

import pytest

from stages.core.errors import StageError
from stages.report.confusion import confusion_counts, confusion_figure


def test_rows_are_actual_and_columns_are_predicted():
    names, counts = confusion_counts([("red", "red"), ("red", "blue"), ("red", "blue"), ("green", "green")])
    assert names == ["blue", "green", "red"]
    assert counts.tolist() == [[0, 0, 0], [0, 1, 0], [2, 0, 1]]


def test_picture_shows_counts_as_numbers_and_shares_of_a_row_as_shades(tmp_path):
    path = tmp_path / "confusion_color.csv"
    path.write_text("actual,predicted\nred,red\nred,blue\nred,blue\nred,blue\n")
    axes = confusion_figure(path).axes[0]
    assert axes.images[0].get_array().tolist() == [[0, 0], [0.75, 0.25]]
    assert sorted(text.get_text() for text in axes.texts) == ["1", "3"]
    assert axes.get_title() == "confusion color, 4 rows"


def test_file_with_other_columns_is_refused(tmp_path):
    path = tmp_path / "confusion.csv"
    path.write_text("truth,guess\na,b\n")
    with pytest.raises(StageError, match="columns truth, guess, expected actual and predicted"):
        confusion_figure(path)
