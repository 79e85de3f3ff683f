"""The command `seamline`: its help and completion, and where it works."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from stages import console
from stages.console import COMPLETE, FLAG, VERBS, cli
from stages.console_names import NAMES
from stages.run import COMMANDS

ROOT = Path(__file__).resolve().parents[2]


def invoke(*words):
    return CliRunner().invoke(cli, words, prog_name="seamline")


@pytest.fixture
def ready(monkeypatch):
    """A process whose environment is fixed already, so that a command does not start it anew."""
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    monkeypatch.setenv("GLIBC_TUNABLES", os.environ.get("GLIBC_TUNABLES", ""))
    monkeypatch.setattr(sys, "argv", ["seamline"])
    for name in ("PATH", "SEAMLINE_STARTED"):
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
