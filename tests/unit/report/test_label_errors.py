"""What suggestions are worth by the truth, worked out by hand."""

import pytest

from stages.core.errors import StageError
from stages.report.label_errors import HeadScores, as_markdown, judge, measure

LABELS = {"1": "Tops", "2": "Tops", "3": "Jeans", "4": "Jeans", "5": "Caps", "6": "Caps", "7": "Caps", "8": "Caps"}
TRUTH = LABELS | {"1": "Shirts", "3": "Trousers", "5": None, "8": "Heels"}  # four are wrong


def test_as_many_suggestions_are_looked_at_as_there_are_wrong_labels():
    listed = [("1", "Shirts"), ("2", "Shirts"), ("3", "Skirts"), ("4", "Caps"), ("8", "Heels")]
    found = judge(LABELS, TRUTH, listed)
    assert found == HeadScores(rows=8, wrong=4, listed=5, first=4, hits=2, mended=1)
    assert (found.precision, found.recall, found.chance) == (0.5, 0.5, 0.5)


def test_few_suggestions_may_all_be_right_and_find_little():
    found = judge(LABELS, TRUTH, [("1", "Shirts")])
    assert (found.precision, found.recall) == (1, 0.25)
    none = judge(LABELS, LABELS, [("1", "Shirts")])
    assert (none.precision, none.recall, none.chance, none.first) == (0, 0, 0, 0)


def test_table_has_the_heads_with_wrong_labels_and_names_the_others():
    text = as_markdown(
        {
            "type": HeadScores(8, 4, 5, 4, 3, 1),
            "usage": HeadScores(9, 0, 2, 0, 0, 0),
            "color": HeadScores(0, 0, 0, 0, 0, 0),
        }
    )
    assert "| type | 8 | 4 | 5 | 75.0% | 75.0% | 50.0% | 1 of 3 |" in text
    assert "every suggestion is a mistake: 2 of usage." in text and "color" not in text


def test_missing_table_names_the_stage(tmp_path):
    with pytest.raises(StageError, match=r"suspects\.csv: no such file. .*`dvc repro suspects`"):
        measure(tmp_path, ["shoes"])
