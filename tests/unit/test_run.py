"""Stages and commands by their names."""

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest
from places import ROOT

from stages import run
from stages.runner.stage import Stage


def test_every_stage_of_the_pipeline_starts_by_its_name():
    text = (ROOT / "dvc.yaml").read_text(encoding="utf-8")
    started = set(re.findall(r"python -m stages\.run (\w+)", text))
    assert started == set(run.STAGES)
    for module in run.STAGES.values():
        assert (ROOT / Path(*module.split("."))).with_suffix(".py").is_file()


def test_commands_have_a_main_and_stages_a_stage():
    for module in ("stages.core.names", *run.COMMANDS.values()):
        path = (ROOT / Path(*module.split("."))).with_suffix(".py")
        assert ("\ndef main() -> None:\n" in path.read_text(encoding="utf-8")) is (module in run.COMMANDS.values())
    assert isinstance(import_module(run.STAGES["labels"]).STAGE, Stage)


@pytest.mark.parametrize(("arguments", "code"), [(["ingst"], 2), ([], 2), (["--help"], 0)])
def test_name_that_is_none_ends_with_the_names_there_are(monkeypatch, capsys, arguments, code):
    monkeypatch.setattr(sys, "argv", ["run", *arguments])
    with pytest.raises(SystemExit) as ended:
        run.main()
    said = capsys.readouterr().err
    assert ended.value.code == code
    assert ("ERROR no stage or command 'ingst'." in said) is (arguments == ["ingst"])
    assert "Stages: demo, ingest, salient, boxes, " in said and "Commands: use, add, " in said


def test_environment_is_fixed_before_the_module_is_imported(monkeypatch):
    """The module gets the arguments that stood after its name."""
    seen = []
    monkeypatch.setattr(run, "start_process", lambda: seen.append("environment"))
    monkeypatch.setenv(run.STARTED_VARIABLE, "1.5")

    def imported(name):
        seen.append(name)
        return SimpleNamespace(STAGE=SimpleNamespace(run=lambda: seen.append(list(sys.argv))),
                               main=lambda: seen.append(list(sys.argv)))  # fmt: skip

    monkeypatch.setattr(run, "import_module", imported)
    for name, module in (("ingest", run.STAGES["ingest"]), ("review", run.COMMANDS["review"])):
        seen.clear()
        monkeypatch.setattr(sys, "argv", ["run", name, "a", "-b"])
        run.main()
        assert seen == ["environment", module, [f"stages.run {name}", "a", "-b"]]


def test_commands_of_a_person_are_imported_without_torch():
    """So help and refusals take half a second; `audit` and stages import it at once, as they always need it."""
    names = ("use", "add", "match", "find", "wardrobe", "app", "export", "relabel", "summary", "trace")
    modules = [run.COMMANDS[name] for name in names]
    program = f"import sys, {', '.join(modules)}; print(sorted({{'torch', 'timm', 'ultralytics'}} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", program], cwd=ROOT, text=True) == "[]\n"


@pytest.mark.parametrize(("ends", "status"), [("pass", 0), ("sys.exit()", 0), ("sys.exit(3)", 3)])
def test_process_ends_with_its_status_and_its_output_without_tearing_python_down(ends, status):
    program = f"""
import atexit, sys
from stages.run import run_and_leave

class Freed:
    def __del__(self):
        print("freed")

kept = Freed()

def run():
    atexit.register(print, "registered")
    print("ran")
    {ends}

run_and_leave(run)
"""
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (status, "ran\nregistered\n", "")


def test_words_as_a_status_are_printed():
    program = "import sys; from stages.run import run_and_leave; run_and_leave(lambda: sys.exit('no such photo'))"
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (1, "no such photo\n")


def test_reader_that_has_ended_is_no_error(monkeypatch):
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)  # the line is kept until the end
    program = "from stages.run import run_and_leave; run_and_leave(lambda: print('line'))"
    writer = subprocess.Popen(
        [sys.executable, "-c", f"input(); {program}"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert writer.stdin and writer.stdout and writer.stderr
    writer.stdout.close()
    writer.stdin.write(b"\n")
    writer.stdin.close()
    assert writer.wait() == 0
    assert writer.stderr.read() == b""
