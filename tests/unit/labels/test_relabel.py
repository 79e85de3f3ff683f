"""Corrections by hand."""

import pandas as pd
import pytest

from stages.core.errors import StageError
from stages.labels.labels import apply_corrections, read_corrections

SOURCES = {"photos", "fashion_products"}


@pytest.fixture
def labels() -> pd.DataFrame:
    columns = ("gender", "type", "usage", "color", "fabric", "pattern")
    rows = [{"item_id": name, "superclass": "top", "agrees": ["top", "vest"]} for name in ("a", "b")]
    return pd.DataFrame(rows).assign(**dict.fromkeys(columns)).assign(color="Red").astype(object)


@pytest.fixture
def correct(relabel, labels, tables):
    """Apply the lines to the labels; item z was rejected before."""

    def apply(*lines: str):
        return apply_corrections(labels, read_corrections(relabel(*lines), SOURCES), tables.vocabulary(), {"z"})

    return apply


def test_file_with_only_its_header_corrects_nothing(relabel):
    assert read_corrections(relabel(), SOURCES) == []


def test_value_is_corrected_in_its_item_alone_and_counted(correct):
    corrected, counts = correct("photos,a,color,Blue,looks blue", "photos,a,type,Shirts,")
    assert list(corrected["color"]) == ["Blue", "Red"]
    assert corrected["type"][0] == "Shirts"
    assert counts == {"color": 1, "type": 1}


def test_empty_value_makes_it_unknown(correct):
    corrected, _ = correct("photos,b,color,,cannot tell")
    assert corrected["color"][0] == "Red"
    assert corrected["color"][1] is None


def test_corrected_superclass_is_the_only_one_to_agree(correct):
    corrected, _ = correct('photos,b,superclass,dress,"long, with a belt"')
    assert list(corrected["superclass"]) == ["top", "dress"]
    assert list(corrected["agrees"]) == [["top", "vest"], ["dress"]]


def test_correction_of_a_rejected_item_is_counted_and_has_no_effect(correct, labels):
    corrected, counts = correct("photos,z,color,Blue,")
    pd.testing.assert_frame_equal(corrected, labels)
    assert counts == {"rejected": 1}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("photos,nobody,color,Blue,", "photos has no item 'nobody'"),
        ("photos,a,color,Blue,", "column 'color' cannot be corrected; expected one of: color, fabric"),
        ("photos,a,color,Blu,", "color 'Blu' is not known; expected one of: Black, Blue"),
        ("photos,a,superclass,,", "the superclass cannot be unknown"),
        ("photo,a,color,Blue,", "source 'photo' is not known; expected one of: fashion_products, photos"),
        ("photos,a,color,Blue", "4 fields, expected 5"),
        ("photos,b,color,Black,again", "already corrected in .*relabel.csv, line 2"),
    ],
)
def test_line_that_does_not_fit_is_named_by_file_and_line(correct, line, message):
    with pytest.raises(StageError, match=rf"relabel\.csv, line 3: .*{message}"):
        correct("photos,b,color,White,fine", line)


def test_missing_file_and_wrong_header_are_named(tmp_path):
    path = tmp_path / "relabel.csv"
    with pytest.raises(StageError, match="no such file"):
        read_corrections(path, SOURCES)
    path.write_text("source,item,column,value\n", encoding="utf-8")
    with pytest.raises(StageError, match="line 1: found 'source,item,column,value', expected source,item_id"):
        read_corrections(path, SOURCES)


def test_file_in_another_encoding_is_one_message(tmp_path):
    path = tmp_path / "relabel.csv"
    path.write_bytes("source,item_id,column,value,reason\nphotos,a,type,T-Shirt,caf\xe9\n".encode("cp1252"))
    with pytest.raises(StageError, match="relabel.csv: not text in UTF-8.*Save it as CSV UTF-8"):
        read_corrections(path, ["photos"])
