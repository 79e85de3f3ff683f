"""Axes and lines of charts, by hand."""

import pytest

from stages.page import charts


@pytest.mark.parametrize(
    ("ends", "axis"), [((0.1, 0.93), (0, 1, 0.5)), ((3, 17), (0, 20, 5)), ((2, 2), (1.5, 2.5, 0.5))]
)
def test_axes_have_round_numbers_that_hold_the_values(ends, axis):
    assert charts.nice(*ends) == pytest.approx(axis)


def test_losses_of_several_encoders_are_a_panel_for_each_loss(tmp_path):
    path = tmp_path / "training.csv"
    path.write_text(
        'panel,line,x,y\n"a, loss",train,1,4\n"a, loss",train,2,2\n"b, loss",train,1,3\n"b, ce",train,1,1\nc,x,1,9\n'
    )
    panels = charts.by_loss(charts.panels(path, lambda name: name != "c"))
    assert [(panel["name"], [line["name"] for line in panel["lines"]]) for panel in panels] == [
        ("loss", ["a, train", "b, train"]), ("ce", ["b, train"]),
    ]  # fmt: skip
    first = panels[0]["lines"][0]
    # From 4 at the left to 2 at the right: both ends of the axes, which go from 2 to 4.
    assert first["dots"] == [(46.0, 8.0), (312.0, 164.0)] and first["last"] == "2.000"
    assert charts.panels(tmp_path / "none.csv", bool) == []
    path.write_text("panel,line,x,y\n")  # of a profile whose encoders learn nothing
    assert charts.panels(path, bool) == []


def test_value_that_is_no_number_is_left_out_of_its_line(tmp_path):
    path = tmp_path / "training.csv"
    path.write_text("panel,line,x,y\na,train,1,4\na,train,2,nan\na,train,3,2\na,val,1,inf\nb,train,1,nan\n")
    (panel,) = charts.panels(path, bool)
    (line,) = panel["lines"]
    assert line["points"] == [(1.0, 4.0), (3.0, 2.0)]
