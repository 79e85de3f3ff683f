"""The shape annotation: read, checked, left out of the heads."""

import pandas as pd
import pytest

from stages.core.errors import StageError
from stages.labels.deepfashion_mm import parse_shapes

HIGHEST = "5 4 3 2 4 2 2 2 4 6 2 2"


def test_codes_get_their_attributes_and_missing_rows_are_left_out():
    shapes = parse_shapes(pd.Series(["3 1 0 1 2 0 1 0 1 4 0 1", None], index=["a", "b"]))
    assert list(shapes.index) == ["a"]
    row = shapes.loc["a"]
    assert (row["sleeve"], row["hat"], row["glasses"], row["neckline"], row["outer_is_cardigan"]) == (3, 1, 2, 4, 0)


def test_highest_codes_of_upstreams_readme_are_accepted():
    assert len(parse_shapes(pd.Series([HIGHEST]))) == 1


def test_no_annotation_at_all_is_an_empty_table():
    assert parse_shapes(pd.Series([None, None], dtype="str")).empty


def test_gapped_neckline_numbering_is_refused():
    with pytest.raises(StageError, match=r"neckline 7 \(at most 6\)"):
        parse_shapes(pd.Series([HIGHEST, "0 0 0 0 0 0 0 0 0 7 0 0"]))


@pytest.mark.parametrize("cell", ["1 2 3", "0 0 0 0 0 0 0 0 0 0 0 x", ""])
def test_row_without_twelve_numbers_is_refused_with_its_item(cell):
    with pytest.raises(StageError, match="item photo-7.*expected 12 numbers"):
        parse_shapes(pd.Series([cell], index=["photo-7"]))
