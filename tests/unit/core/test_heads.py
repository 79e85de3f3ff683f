"""The table of heads: what it may say, and what a mistake in it is called."""

import pytest

from stages.core.errors import StageError
from stages.core.heads import HEADS, TABLE, Head, heads_of, read_heads

ROW = "season,fashion_products,season,seasons.csv,season,merged"


def table(folder, *rows, header="head,policy,column,table,upstream,class"):
    path = folder / "heads.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def test_rows_are_heads_in_their_order(tmp_path):
    path = table(tmp_path, ROW, "fit,deepfashion_mm,shape,fits.csv,code,name")
    assert read_heads(path) == {
        "season": Head("season", "fashion_products", "season", "seasons.csv", "season", "merged"),
        "fit": Head("fit", "deepfashion_mm", "shape", "fits.csv", "code", "name"),
    }
    assert list(read_heads(path)) == ["season", "fit"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (ROW, r"line 3: head 'season', expected a name of its own"),
        (ROW.replace("season", "Season", 1), "head 'Season', expected a name of its own of lower-case letters"),
        (ROW.replace("season", "of year", 1), "head 'of year', expected"),
        (ROW.replace("seasons.csv", ""), "line 3: no table. Every head has all of head, policy, column"),
    ],
)
def test_a_row_that_is_no_head_is_named_with_its_line(tmp_path, row, message):
    with pytest.raises(StageError, match=message) as error:
        read_heads(table(tmp_path, ROW, row))
    assert str(tmp_path / "heads.csv") in str(error.value)


def test_a_missing_table_or_column_is_named(tmp_path):
    with pytest.raises(StageError, match=r"heads\.csv: no such file"):
        read_heads(tmp_path / "heads.csv")
    with pytest.raises(StageError, match="upstream"):
        read_heads(table(tmp_path, ROW, header="head,policy,column,table,class,merged"))


def test_every_head_of_the_project_is_taken_from_one_policy():
    assert [head.name for policy in ("fashion_products", "deepfashion_mm") for head in heads_of(policy)] == list(HEADS)
    assert TABLE.is_file() and heads_of("catalogue") == []
