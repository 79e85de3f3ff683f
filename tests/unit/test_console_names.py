"""Completion of a command line of ``seamline`` with the names of this checkout."""

from pathlib import Path

import yaml
from click.shell_completion import BashComplete

from stages.console import COMPLETE, cli

PARAMS = yaml.safe_load((Path(__file__).resolve().parents[2] / "params.yaml").read_text(encoding="utf-8"))


def completed(*words):
    return [
        item.value for item in BashComplete(cli, {}, "seamline", COMPLETE).get_completions(list(words[:-1]), words[-1])
    ]


def test_verbs_profiles_sources_encoders_and_options_are_completed():
    assert set(completed("re")) == {"repro", "review", "report", "relabel"}
    assert {"demo", "paper", "photos"} <= set(completed("use", ""))
    assert completed("repro", "--profile", "pap") == ["paper"]
    assert completed("ingest-report", "") == PARAMS["sources"]
    assert completed("export-yolo", "") == PARAMS["detectors"]
    assert completed("score-vectors", "--benchmark", "") == PARAMS["benchmarks"]
    assert completed("repro", "train_encoder@") == [f"train_encoder@{name}" for name in PARAMS["trained_encoders"]]
    assert completed("repro", "--keep-edits", "ingest@sh") == ["ingest@shoes"]
    assert {"simclr", "classifier", "encoder"} <= set(completed("seeds", "--only", ""))
    assert completed("seeds", "--o") == ["--only"]
    assert len(completed("ablation", "")) > 3


def test_where_a_path_is_due_the_shell_completes_files(monkeypatch, tmp_path):
    (item,) = BashComplete(cli, {}, "seamline", COMPLETE).get_completions(["match"], "pho")
    assert (item.value, item.type) == ("pho", "file")
    monkeypatch.chdir(tmp_path)  # no checkout has no names
    (item,) = BashComplete(cli, {}, "seamline", COMPLETE).get_completions(["ingest-report"], "sh")
    assert item.type == "file"
