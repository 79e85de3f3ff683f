"""Key metrics of the metrics, as files and as git have them."""

import json
import subprocess
from pathlib import Path

import pytest

from stages.report.key_metrics import committed_metrics, key_metrics, read_metrics


def test_encoders_that_share_the_best_score_are_all_named():
    folder = "retrieval"
    two = {f"{folder}/one": {"a.hit@1": 0.5}, f"{folder}/two": {"a.hit@1": 0.5}, f"{folder}/three": {"a.hit@1": 0.2}}
    assert key_metrics(two)[0].baseline == "one and two, best of 3"
    three = two | {f"{folder}/three": {"a.hit@1": 0.5}}
    assert key_metrics(three)[0].baseline == "3 encoders, best of 3"


@pytest.fixture
def repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = Path("metrics/demo/retrieval/one.json")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"wardrobe": {"hit@1": 0.5}}))
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run([*git, *command], check=True)
    return path


def test_before_is_what_git_has_and_now_what_the_files_say(repository):
    repository.write_text(json.dumps({"wardrobe": {"hit@1": 0.75}}))
    folder = Path("metrics/demo")
    assert committed_metrics(folder) == {"retrieval/one": {"wardrobe.hit@1": 0.5}}
    assert read_metrics(folder) == {"retrieval/one": {"wardrobe.hit@1": 0.75}}


def test_without_a_commit_nothing_is_before(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert committed_metrics(Path("metrics/demo")) == {}
