"""Times of the stages of a repro, worked out by hand."""

import pytest

from stages.runner import times


@pytest.fixture
def repro(tmp_path, monkeypatch):
    """``note(key, stage)`` as a stage of the repro with that key does."""
    monkeypatch.chdir(tmp_path)

    def note(key, stage, began=1.0):
        monkeypatch.setenv("SEAMLINE_REPRO", key)
        monkeypatch.setenv("DVC_STAGE", stage)
        monkeypatch.setenv("SEAMLINE_STARTED", str(began - 0.5))
        times.note(began)

    return note


def test_log_has_the_stages_of_the_last_repro_alone(repro):
    repro("first", "ingest@a")
    repro("second", "ingest@a")
    repro("second", "labels@a", began=3.0)
    assert [(one.stage, one.process, one.work) for one in times.read()] == [("ingest@a", 0.5, 1), ("labels@a", 2.5, 3)]
    assert times.read("first") == []
    assert len(times.read("second")) == 2


def test_nothing_is_written_down_outside_of_make_repro(repro, monkeypatch):
    monkeypatch.setenv("DVC_STAGE", "ingest@a")
    monkeypatch.delenv("SEAMLINE_REPRO", raising=False)
    times.note(1.0)
    assert times.read() == []
