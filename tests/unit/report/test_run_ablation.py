"""`make ablation`: the lists are filled for one run, and params.yaml and dvc.lock are as before afterwards."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from stages.core.errors import StageError
from stages.report import run_ablation as ablation_run
from stages.report.run_ablation import chosen, forget, switched_on, with_list

PARAMS = """profile: demo
ablation_variants: []           # rungs
ablation_tables: []             # tables
"""
RUNGS = {"one": {"published": 0.3}, "two": {"published": 0.4}}


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(PARAMS)
    Path("profiles").mkdir()
    Path("profiles/base.yaml").write_text(yaml.safe_dump({"ablation": RUNGS}))
    Path("profiles/demo.yaml").write_text("{}")
    return tmp_path


def test_list_is_filled_and_its_comment_stays():
    assert (
        with_list(PARAMS, "ablation_tables", ["a", "b"]).splitlines()[2]
        == "ablation_tables: [a, b]             # tables"
    )
    assert with_list(with_list(PARAMS, "ablation_variants", ["a"]), "ablation_variants", []) == PARAMS


def test_list_over_several_lines_is_refused():
    with pytest.raises(StageError, match=r"expected one line `ablation_tables: \[\.\.\.\]`"):
        with_list("ablation_tables:\n- all\n", "ablation_tables", [])


def test_all_sections_are_run_when_none_is_named():
    assert chosen([], {"one": {}, "two": {}}) == ["one", "two"]
    assert chosen(["two"], {"one": {}, "two": {}}) == ["two"]
    with pytest.raises(StageError, match=r"no variant `ablation.three`; there are: one, two"):
        chosen(["three"], {"one": {}, "two": {}})


@pytest.mark.parametrize("error", [KeyboardInterrupt, StageError])
def test_params_are_put_back_whatever_happens_and_other_edits_stay(project, error):
    with pytest.raises(error), switched_on({"two": RUNGS["two"]}):
        content = yaml.safe_load(Path("params.yaml").read_text())
        assert (content["ablation_variants"], content["ablation_tables"]) == (["two"], ["all"])
        assert content["ablation"] == {"two": {"published": 0.4}}
        with open("params.yaml", "a") as stream:
            stream.write("mine: 1\n")
        raise error
    assert Path("params.yaml").read_text() == PARAMS + "mine: 1\n"


def test_only_the_ablations_entries_leave_the_lock(project):
    lock = (
        "schema: '2.0'\nstages:\n  train:\n    cmd: a\n  ablation@one:\n    cmd: b\n  ablation_table@all:\n    cmd: c\n"
    )
    Path("dvc.lock").write_text(lock)
    forget(Path("dvc.lock"))
    assert Path("dvc.lock").read_text() == "schema: '2.0'\nstages:\n  train:\n    cmd: a\n"


def test_list_that_was_filled_by_hand_stays(project, monkeypatch):
    by_hand = PARAMS.replace("variants: []", "variants: [one]").replace("tables: []", "tables: [all]")
    Path("params.yaml").write_text(by_hand)
    monkeypatch.setattr(ablation_run, "repro", lambda: 1)
    assert ablation_run.run([]) == 1
    with pytest.raises(StageError, match=r"`ablation_variants` was filled by hand: one"):
        ablation_run.run(["two"])
    assert Path("params.yaml").read_text() == by_hand
    Path("params.yaml").write_text(PARAMS.replace("variants: []", "variants: [one]"))
    with pytest.raises(StageError, match=r"needs `ablation_tables: \[all\]` as well"):
        ablation_run.run([])


PIPELINE = """
vars: [params.yaml]
stages:
  train: {cmd: echo 1 > model, deps: [data], outs: [model]}
  ablation:
    matrix: {variant: "${ablation_variants}"}
    cmd: >-
      mkdir -p metrics/demo/ablation && echo ran >> log && echo 1 > metrics/demo/ablation/${item.variant}.json
    deps: [data]
    params: ["ablation.${item.variant}"]
    metrics: [{"metrics/${profile}/ablation/${item.variant}.json": {cache: false}}]
  ablation_table:
    matrix: {table: "${ablation_tables}"}
    cmd: (echo variant,mean,mean_majority; echo one,0.5,0.25) > metrics/demo/ablation.csv
    deps: ["metrics/${profile}/ablation"]
    params: [ablation_variants]
    plots: [{"metrics/${profile}/ablation.csv": {cache: false}}]
"""


@pytest.mark.slow
def test_dvc_runs_the_ablation_once_and_a_plain_repro_leaves_it_alone(project, capsys):
    def dvc(*arguments):
        return subprocess.run(["dvc", *arguments], check=True, capture_output=True, text=True).stdout

    dvc("init", "--no-scm")
    Path("dvc.yaml").write_text(PIPELINE)
    Path("data").write_text("data\n")
    dvc("repro")
    before = Path("dvc.lock").read_text()
    assert not Path("metrics").exists()

    assert ablation_run.run([]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "one                      0.500 (0.250)"
    assert Path("params.yaml").read_text() == PARAMS
    assert Path("dvc.lock").read_text() == before
    assert Path("log").read_text().split() == ["ran", "ran"]

    shutil.rmtree("metrics")
    assert ablation_run.run([]) == 0  # from DVC's run cache: nothing runs again
    assert Path("log").read_text().split() == ["ran", "ran"]
    assert Path("metrics/demo/ablation/two.json").read_text() == "1\n"
    assert "up to date" in dvc("status")
