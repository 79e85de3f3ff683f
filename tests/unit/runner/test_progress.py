"""Lines about the progress of long work."""

from stages.runner import progress
from stages.runner.progress import track


def test_items_pass_in_order_and_short_work_prints_nothing(capsys):
    assert list(track(iter("abc"), total=3, desc="x")) == ["a", "b", "c"]
    assert capsys.readouterr().err == ""


def test_long_work_prints_plain_lines_with_rate_and_time_left(monkeypatch, capsys):
    clock = iter([0.0, 10.0, 12.0, 20.0, 40.0])  # start, then after each item
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    list(track(range(4), total=4, desc="check"))
    # After 10 s: 1 of 4 at 0.1/s, 30 s left. After 20 s: 3 of 4 at 0.15/s, 7 s left. The last item prints none.
    assert capsys.readouterr().err == "check: 1/4, 0.1/s, 30 s left\ncheck: 3/4, 0.1/s, 7 s left\n"
