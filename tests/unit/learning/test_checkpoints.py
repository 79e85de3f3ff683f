"""A checkpoint is exactly right or not found, and whole or not there."""

import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from launching import Killed
from places import ROOT

from stages.core.determinism import use_runtime
from stages.core.params import Section
from stages.learning import checkpoints as module
from stages.learning.checkpoints import Checkpoints, random_state, restore_random_state, training_key

STATE = {"epoch": 3, "weights": {"a": torch.arange(6.0)}, "history": [[0, None, 0.1], [1, 0.25, 1 / 3]], "best": -1.0}


@pytest.fixture
def store(tmp_path):
    return Checkpoints(tmp_path / "pretrain", "one")


def test_what_was_saved_last_comes_back(store):
    assert store.load() is None
    store.save({"epoch": 1})
    store.save(STATE)
    found = store.load()
    assert torch.equal(found["weights"].pop("a"), STATE["weights"]["a"])
    assert found == STATE | {"weights": {}}


def test_another_key_finds_nothing(store, tmp_path):
    store.save(STATE)
    assert Checkpoints(tmp_path / "pretrain", "two").load() is None
    assert Checkpoints(tmp_path / "train_classifier", "one").load() is None


def test_folder_is_gone_after_clear_and_others_stay(store, tmp_path):
    other = Checkpoints(tmp_path / "pretrain", "two")
    store.save(STATE)
    other.save(STATE)
    store.clear()
    store.clear()
    assert store.load() is None and not store.folder.exists()
    assert other.load() is not None


@pytest.mark.parametrize("step", ["write", "rename"])
def test_kill_while_writing_leaves_the_checkpoint_before(store, monkeypatch, step):
    def kill(*arguments):
        raise Killed

    store.save({"epoch": 1})
    with monkeypatch.context() as patch:
        patch.setattr(*((module.os, "fsync") if step == "write" else (Path, "replace")), kill)
        with pytest.raises(Killed):
            store.save({"epoch": 2})
    assert len(list(store.folder.iterdir())) == 2  # the half-written one lies there
    assert store.load() == {"epoch": 1}
    store.save({"epoch": 3})
    assert store.load() == {"epoch": 3}
    assert [path.name for path in store.folder.iterdir()] == ["checkpoint"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:20],
        lambda content: content[: len(content) // 2],
        lambda content: content[:400] + bytes([content[400] ^ 1]) + content[401:],
        lambda content: b"not a checkpoint" * 9,
    ],
    ids=["empty", "checksum cut", "half", "one bit", "other file"],
)
def test_damaged_checkpoint_is_ignored_and_said(store, damage, capsys):
    store.save(STATE)
    store.path.write_bytes(damage(store.path.read_bytes()))
    assert store.load() is None
    said = capsys.readouterr().err
    assert "damaged and ignored" in said and str(store.path) in said and said.count("\n") == 1


def test_file_that_would_run_code_is_not_loaded(store, capsys):
    store.save({"trap": Trap(store.folder)})
    assert store.load() is None
    assert "damaged and ignored" in capsys.readouterr().err
    assert not (store.folder / "ran").exists()


class Trap:
    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder / "ran"),)


def test_full_disk_warns_and_keeps_the_checkpoint_before(store, monkeypatch, capsys):
    def refuse(descriptor):
        raise OSError(28, "No space left on device")

    store.save({"epoch": 1})
    monkeypatch.setattr(module.os, "fsync", refuse)
    store.save({"epoch": 2})
    assert "No space left" in capsys.readouterr().err
    assert store.load() == {"epoch": 1}
    assert [path.name for path in store.folder.iterdir()] == ["checkpoint"]


def draw():
    return [random.random(), random.gauss(0, 1), np.random.rand(), np.random.normal(), torch.rand(3).tolist()]


def test_generators_go_on_where_they_were(store):
    random.gauss(0, 1), np.random.normal()  # both keep the second number of a pair for the next call
    store.save(random_state())
    expected = [draw(), draw()]
    restore_random_state(store.load())
    assert [draw(), draw()] == expected


class Example(Section):
    rate: float
    seed: int


@pytest.fixture
def key(tmp_path, monkeypatch):
    """The key of a small training, in a project of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEAMLINE_DEVICE", "cpu")
    monkeypatch.setattr(module, "_SOURCES", tmp_path / "stages")
    (tmp_path / "params.yaml").write_text("runtime: {threads: 2, deterministic: true}\n")
    (tmp_path / "shard").write_bytes(b"crops")
    for area in ("core", "encoders", "report"):
        (tmp_path / "stages" / area).mkdir(parents=True)
        (tmp_path / "stages" / area / "one.py").write_text("x = 1\n")

    def make(**changes):
        params = Example.model_validate({"rate": 0.1, "seed": 0} | changes)
        return training_key(params, [tmp_path / "shard"], ("core", "encoders"))

    return make


def test_key_repeats_and_ignores_what_plays_no_part(key, tmp_path):
    before = key()
    (tmp_path / "stages/report/one.py").write_text("x = 2\n")
    (tmp_path / "stages/core/__pycache__").mkdir()
    (tmp_path / "stages/core/__pycache__/one.pyc").write_bytes(b"code")
    assert key() == before and len(before) == 16


def test_key_changes_with_every_param(key):
    assert len({key(), key(rate=0.2), key(seed=1)}) == 3


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("params.yaml", "runtime: {threads: 1, deterministic: true}\n"),
        ("params.yaml", "runtime: {threads: 2, deterministic: false}\n"),
        ("shard", "other crops"),
        ("stages/core/one.py", "x = 2\n"),
        ("stages/encoders/one.py", "x = 2\n"),
        ("stages/encoders/two.py", ""),
    ],
)
def test_key_changes_with_runtime_inputs_and_code(key, tmp_path, file, content):
    before = key()
    (tmp_path / file).write_text(content)
    use_runtime(None)  # another process
    assert key() != before


def test_key_is_the_same_on_a_cluster(key, tmp_path):
    before = key()
    (tmp_path / "params.yaml").write_text("runtime: {threads: 2, deterministic: true, engine: ray, gpus: 1}\n")
    use_runtime(None)
    assert key() == before


def test_key_changes_with_the_device_and_the_release_of_torch(key, monkeypatch):
    before = key()
    monkeypatch.setenv("SEAMLINE_DEVICE", "cuda:0")
    on_gpu = key()
    monkeypatch.setenv("SEAMLINE_DEVICE", "cuda:1")  # which of the GPUs plays no part
    assert key() == on_gpu != before
    monkeypatch.setenv("SEAMLINE_DEVICE", "cpu")
    monkeypatch.setattr(module, "version", lambda name: "0.1")
    assert key() != before


def test_importing_does_not_import_torch():
    code = "import sys, stages.learning.checkpoints; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
