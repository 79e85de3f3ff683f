"""Running a pipeline with several seeds, in a small DVC project of its own: one stage without a seed, one with."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from stages.core.errors import StageError
from stages.report.run_seeds import copy_tree, link_inputs, main, measure

PIPELINE = """
stages:
  prepare:
    cmd: python prepare.py
    deps: [prepare.py, data/raw/shop]
    outs: [data/tiny/rows]
  train:
    cmd: python train.py
    deps: [train.py, data/tiny/rows]
    params: [classifier]
    outs: [models/tiny, data/tiny/report/classifier.json]
    metrics: [{metrics/tiny/classifier.json: {cache: false}}]
"""
PREPARE = """
import os, pathlib
open(os.environ["RUNS"], "a").write("prepare\\n")
text = pathlib.Path("data/raw/shop/labels.csv").read_text()
pathlib.Path("data/tiny").mkdir(parents=True, exist_ok=True)
pathlib.Path("data/tiny/rows").write_text(text)
"""
TRAIN = """
import json, os, pathlib, yaml
seed = yaml.safe_load(open("params.yaml"))["classifier"]["seed"]
open(os.environ["RUNS"], "a").write(f"train {seed}\\n")
if os.environ.get("BROKEN") == str(seed):
    raise SystemExit("broken")
rows = len(pathlib.Path("data/tiny/rows").read_text().split())
pathlib.Path("models/tiny").mkdir(parents=True)
pathlib.Path("models/tiny/weights").write_text(str(seed))
head = {"accuracy": 1 / (seed + 2), "baseline_majority_given_detected": rows / 8}
pathlib.Path("metrics/tiny").mkdir(parents=True, exist_ok=True)
pathlib.Path("metrics/tiny/classifier.json").write_text(json.dumps({"color": head["accuracy"]}))
pathlib.Path("data/tiny/report").mkdir(parents=True, exist_ok=True)
pathlib.Path("data/tiny/report/classifier.json").write_text(json.dumps({"heads": {"color": head}}))
"""


def git(*command: str, cwd: Path) -> None:
    subprocess.run(["git", *command], cwd=cwd, check=True, capture_output=True)


@pytest.fixture
def project(tmp_path, monkeypatch):
    root = tmp_path / "project"
    (root / "data" / "raw" / "shop").mkdir(parents=True)
    (root / "data" / "raw" / "shop" / "labels.csv").write_text("a b")
    files = {"dvc.yaml": PIPELINE, "prepare.py": PREPARE, "train.py": TRAIN, "params.yaml": "profile: tiny\nclassifier: {seed: 0}\n",
             ".gitignore": "/.work/\n/data/\n/models/\n"}  # fmt: skip
    for name, text in files.items():
        (root / name).write_text(text)
    git("init", "-q", cwd=root)
    git("add", ".", cwd=root)
    monkeypatch.setenv("RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    monkeypatch.chdir(root)
    return root


def runs(tmp_path: Path) -> list[str]:
    return (tmp_path / "runs").read_text().split("\n")[:-1]


def test_tree_gets_tracked_and_new_files_with_uncommitted_changes_and_nothing_ignored(project, tmp_path):
    (project / "train.py").write_text("changed")
    (project / "new.py").write_text("new")
    (project / "prepare.py").unlink()
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "deleted_since.py").write_text("")
    copy_tree(project, tree)
    assert {path.name for path in tree.iterdir()} == {"dvc.yaml", "params.yaml", ".gitignore", "train.py", "new.py"}
    assert (tree / "train.py").read_text() == "changed"


def test_tree_that_ran_keeps_its_own_lock_and_metrics(project, tmp_path):
    tree = tmp_path / "tree"
    for folder, text in ((project, "root's"), (tree, "its own")):
        (folder / "metrics").mkdir(parents=True)
        (folder / "metrics" / "m.json").write_text(text)
        (folder / "dvc.lock").write_text(text)
    copy_tree(project, tree)
    assert (tree / "dvc.lock").read_text() == (tree / "metrics" / "m.json").read_text() == "its own"
    (tree / "dvc.lock").unlink()
    copy_tree(project, tree)
    assert (tree / "dvc.lock").read_text() == (tree / "metrics" / "m.json").read_text() == "root's"


def test_downloads_are_linked_and_outlive_the_tree(project, tmp_path):
    tree = tmp_path / "tree"
    link_inputs(project, tree)
    link_inputs(project, tree)
    assert (tree / "data" / "raw" / "shop" / "labels.csv").read_text() == "a b"
    shutil.rmtree(tree / "data")
    assert (project / "data" / "raw" / "shop" / "labels.csv").read_text() == "a b"


def test_fewer_than_three_different_seeds_are_refused(project):
    for seeds in ([0, 1], [0, 1, 1], []):
        with pytest.raises(StageError, match="expected 3 or more different seeds"):
            measure(project, seeds, None, keep=False)


def test_unknown_profile_is_refused(project):
    with pytest.raises(StageError, match="no profile 'papr'"):
        measure(project, [0, 1, 2], "papr", keep=False)


@pytest.mark.parametrize(
    ("only", "file", "command"),
    [
        ([], "seeds.json", "make seeds PROFILE=tiny"),
        (["simclr", "encoder"], "seeds_encoder_simclr.json", 'make seeds ONLY="simclr encoder" PROFILE=tiny'),
    ],
)
def test_table_of_what_was_never_measured_is_one_message(project, monkeypatch, capsys, only, file, command):
    monkeypatch.setattr(sys, "argv", ["seeds_run", "--markdown", *(["--only", *only] if only else [])])
    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().err == f"ERROR metrics/tiny/{file}: no such file. `{command}` measures and writes it.\n"


@pytest.mark.slow
def test_only_what_a_seed_touches_runs_again_and_a_broken_run_goes_on(project, tmp_path, monkeypatch):
    subprocess.run(["dvc", "init", "-q"], check=True)
    subprocess.run(["dvc", "repro", "-q"], check=True)
    assert runs(tmp_path) == ["prepare", "train 0"]
    state = {
        name: (project / name).read_bytes() for name in ("params.yaml", "dvc.lock", "metrics/tiny/classifier.json")
    }

    monkeypatch.setenv("BROKEN", "2")
    with pytest.raises(StageError, match=r"seed 2: `dvc repro` failed"):
        measure(project, [0, 1, 2], None, keep=False)
    assert runs(tmp_path) == ["prepare", "train 0", "train 1", "train 2"], "prepare and seed 0 come from the cache"
    assert not (project / "metrics" / "tiny" / "seeds.json").exists()
    monkeypatch.delenv("BROKEN")
    measure(project, [0, 1, 2], None, keep=False)
    assert runs(tmp_path)[4:] == ["train 2"]
    assert not (project / ".work/seeds/tiny-1/models").exists(), "DVC's cache has it"
    assert (project / "data/raw/shop/labels.csv").read_text() == "a b", "links go, what they point to stays"

    content = json.loads((project / "metrics" / "tiny" / "seeds.json").read_text())
    # 1/2, 1/3, 1/4: mean 13/36, squared distances 25/1296, 1/1296, 16/1296, over 2: 21/1296.
    assert content["rows"]["classifier/color accuracy"] == {
        "mean": round(13 / 36, 6), "deviation": round(21**0.5 / 36, 6), "min": 0.25, "max": 0.5, "baseline": 0.25,
        "baseline_name": "majority given the detected class", "values": {"0": 0.5, "1": 0.333333, "2": 0.25},
    }  # fmt: skip
    assert content["metrics"]["classifier"]["color"]["values"] == {"0": 0.5, "1": 0.333333, "2": 0.25}
    assert (content["profile"], content["seeds"]) == ("tiny", [0, 1, 2])
    written = (project / "metrics" / "tiny" / "seeds.json").read_bytes()
    measure(project, [2, 1, 0], None, keep=True)
    assert runs(tmp_path)[5:] == [], "nothing is trained twice"
    assert (project / "metrics" / "tiny" / "seeds.json").read_bytes() == written, "equal runs give equal bytes"
    assert (project / ".work/seeds/tiny-1/models/tiny/weights").read_text() == "1", "kept where wanted"

    measure(project, [0, 1, 2], None, keep=False, only=["encoder"])
    assert runs(tmp_path)[5:] == [], "the classifier keeps its seed where only encoders change theirs"
    alone = json.loads((project / "metrics" / "tiny" / "seeds_encoder.json").read_text())
    assert (alone["sections"], alone["rows"]["classifier/color accuracy"]["deviation"]) == (["encoder"], 0)
    assert (project / "metrics" / "tiny" / "seeds.json").read_bytes() == written

    assert {name: (project / name).read_bytes() for name in state} == state, "the project's own files stay"
    assert yaml.safe_load((project / ".work/seeds/tiny-2/params.yaml").read_text())["classifier"] == {"seed": 2}
