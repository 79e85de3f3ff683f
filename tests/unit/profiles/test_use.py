"""What switching profiles leaves behind."""

import re
from pathlib import Path

import pytest
import yaml

from profiles import FOLDER
from stages.profiles import use
from stages.profiles.use import leftovers


def test_only_outs_that_no_stage_makes_are_leftovers():
    stages = {"evaluate_retrieval": [Path("metrics/p/retrieval")], "embed@b": [Path("data/p/embeddings/b")]}
    gone = {
        "evaluate_retrieval@a": ["metrics/p/retrieval/a.json"],  # lies in what a stage of now makes
        "embed@a": ["data/p/embeddings/a", "data/other/embeddings/a"],
        "embed": ["data/p/embeddings"],  # holds what a stage of now makes
    }
    assert leftovers(gone, "p", stages) == [Path("data/p/embeddings/a")]


@pytest.mark.parametrize("left_out", [(), ("train_encoder@siamese",)])
def test_lock_loses_what_went_and_no_other_byte(left_out, tmp_path, monkeypatch):
    lock = (FOLDER.parent / "dvc.lock").read_text(encoding="utf-8")
    (tmp_path / "dvc.lock").write_text(lock, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    stages = {name: [] for name in yaml.safe_load(lock)["stages"] if name not in left_out}
    monkeypatch.setattr(use, "active_stages", lambda: stages)
    monkeypatch.setattr(use, "write_composed", lambda *_: {})
    use.use("demo")
    entries = re.split(r"(?m)^(?=  \S)", lock)
    expected = [entry for entry in entries if not entry.strip().startswith(tuple(f"{name}:" for name in left_out))]
    assert len(expected) == len(entries) - len(left_out)
    assert Path("dvc.lock").read_text(encoding="utf-8") == "".join(expected)
