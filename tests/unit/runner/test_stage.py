"""What a stage gets, and how bad input ends it."""

import json
import subprocess
import sys

import pytest

from stages.core.errors import StageError
from stages.core.params import Section
from stages.runner.stage import Report, Stage, one_message


class Size(Section):
    size: int


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("detector:\n  shoes: {size: 3}\n")
    monkeypatch.delenv("DVC_STAGE", raising=False)
    return tmp_path


def started(monkeypatch, main, *arguments, key="detector.{detector}"):
    Stage(main, ["detector", "out"], {"detector": (key, Size)}).run(arguments)


def test_stage_gets_its_arguments_and_its_section(project, monkeypatch):
    seen = []
    started(
        monkeypatch, lambda args, params: seen.append((args.detector, args.out, params.detector.size)), "shoes", "o"
    )
    assert [(name, path.name, size) for name, path, size in seen] == [("shoes", "o", 3)]


def test_stage_error_is_one_message_without_a_traceback(project, monkeypatch, capsys):
    def main(args, params):
        raise StageError("found nothing")

    with pytest.raises(SystemExit) as ended:
        started(monkeypatch, main, "shoes", "o")
    assert ended.value.code == 1
    assert capsys.readouterr().err == "ERROR found nothing\n"


def test_a_reader_that_goes_away_ends_a_command_without_a_traceback():
    writes = "print('x' * 10, flush=True); [print('y' * 1000) for _ in range(1000)]"
    code = f"from stages.runner.stage import one_message\nwith one_message(): {writes}"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"xxxxxxxxxx\n"
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (StageError("no photo"), 1, "ERROR no photo\n"),
        (IsADirectoryError(21, "Is a directory", "out.json"), 1, "ERROR out.json: Is a directory.\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_command_ends_with_one_message_or_none_when_it_is_stopped(capsys, error, code, said):
    with pytest.raises(SystemExit) as ended, one_message():
        raise error
    assert (ended.value.code, capsys.readouterr().err) == (code, said)
    with pytest.raises(OSError, match="No space"), one_message():
        raise OSError(28, "No space left on device")


def test_section_that_is_not_in_params_ends_the_stage(project, monkeypatch, capsys):
    with pytest.raises(SystemExit):
        started(monkeypatch, lambda args, params: None, "hats", "o")
    assert "`detector.hats` is missing; detector has: shoes" in capsys.readouterr().err


def test_missing_params_file_ends_the_stage(project, monkeypatch, capsys):
    (project / "params.yaml").unlink()
    with pytest.raises(SystemExit):
        started(monkeypatch, lambda args, params: None, "shoes", "o")
    assert "params.yaml: no such file" in capsys.readouterr().err


def test_stage_that_dvc_runs_is_queued_for_tracking(project, monkeypatch):
    from stages.runner import tracking

    monkeypatch.setenv("DVC_STAGE", "train@shoes")
    monkeypatch.delenv("SEAMLINE_TRACKING", raising=False)
    monkeypatch.setattr(tracking, "git_tags", lambda: {"git_commit": "c" * 40})
    monkeypatch.setattr(tracking.subprocess, "Popen", lambda *args, **kwargs: None)
    started(monkeypatch, lambda args, params: Report(metrics={"a": 1.5}, curves={"loss": [2.0, 1.0]}), "shoes", "o")
    (event,) = [json.loads(path.read_text()) for path in (project / ".work/tracking").glob("*.json")]
    assert event["stage"] == "train@shoes"
    assert event["params"] == {"detector.size": 3}
    assert (event["metrics"], event["curves"]) == ({"a": 1.5}, {"loss": [2.0, 1.0]})
