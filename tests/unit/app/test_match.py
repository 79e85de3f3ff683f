"""The command line of ``make match``; what it finds is in tests/pipeline/test_demo.py."""

import sys

import pytest

from stages.app.match import main


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--top", "0"], "argument --top: expected a number above 0, found 0"),
        (["--top", "many"], "argument --top: invalid count value: 'many'"),
        (["--confidence", "2"], "argument --confidence: expected a number from 0 to 1, found 2"),
        (["--confidence", "nan"], "argument --confidence: expected a number from 0 to 1, found nan"),
    ],
)
def test_numbers_out_of_range_are_one_message(monkeypatch, capsys, option, message):
    monkeypatch.setattr(sys, "argv", ["match", "look.jpg", "--wardrobe", ".", *option])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    assert capsys.readouterr().err.strip().endswith(message)
