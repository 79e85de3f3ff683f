"""Confusion matrices drawn from counts of pairs."""

import pytest

from stages.core.errors import StageError
from stages.report.confusion import confusion_counts, confusion_figures


def test_rows_are_actual_and_columns_are_predicted():
    names, counts = confusion_counts([("red", "red", 1), ("red", "blue", 2), ("green", "green", 1)])
    assert names == ["blue", "green", "red"]
    assert counts.tolist() == [[0, 0, 0], [0, 1, 0], [2, 0, 1]]


def test_picture_shows_counts_as_numbers_and_shares_of_a_row_as_shades(tmp_path):
    path = tmp_path / "confusion.csv"
    path.write_text("panel,actual,predicted,rows\ncolor,red,red,1\ncolor,red,blue,3\ntype,Jeans,Jeans,2\n")
    figures = dict(confusion_figures(path))
    assert list(figures) == ["color", "type"]
    axes = figures["color"].axes[0]
    assert axes.images[0].get_array().tolist() == [[0, 0], [0.75, 0.25]]
    assert sorted(text.get_text() for text in axes.texts) == ["1", "3"]
    assert axes.get_title() == "color, 4 rows"


def test_file_with_other_columns_is_refused(tmp_path):
    path = tmp_path / "confusion.csv"
    path.write_text("truth,guess\na,b\n")
    with pytest.raises(StageError, match="columns truth, guess, expected panel, actual, predicted, rows"):
        dict(confusion_figures(path))
