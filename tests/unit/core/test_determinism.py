"""Which pins params ``runtime`` sets."""

import platform
import random
import subprocess
import sys

import numpy as np
import pytest
import torch
import yaml
from places import ROOT

from stages.core import determinism

X86 = platform.machine() in ("x86_64", "AMD64")


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """An environment of its own, in an empty project folder."""
    monkeypatch.chdir(tmp_path)
    own = {}
    monkeypatch.setattr(determinism.os, "environ", own)
    monkeypatch.setattr(sys, "orig_argv", ["python", "-c", ""])
    return own


def runtime(text):
    with open("params.yaml", "w", encoding="utf-8") as stream:
        stream.write(f"runtime: {text}\n")


def test_threads_and_instruction_set_come_from_params(environment):
    runtime("{threads: 3, deterministic: true, pin_instruction_set: true}")
    determinism.pin_process()
    assert {environment[name] for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")} == {"3"}
    if X86:
        assert environment["ATEN_CPU_CAPABILITY"] == "avx2"
        assert environment["ONEDNN_MAX_CPU_ISA"] == "AVX2"


def test_nothing_is_pinned_that_params_do_not_ask_for(environment):
    runtime("{threads: null, deterministic: false, pin_instruction_set: false}")
    determinism.pin_process()
    assert not {"OMP_NUM_THREADS", "ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA"} & set(environment)


@pytest.mark.parametrize("text", ["3", "[1]", "{threads: [", ""])
def test_params_that_are_not_there_yet_or_broken_do_not_stop_the_import(environment, text):
    runtime(text)
    determinism.pin_process()
    assert "OMP_NUM_THREADS" not in environment


def test_telemetry_and_unasked_downloads_are_off(environment):
    determinism.pin_process()
    assert environment["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert environment["YOLO_OFFLINE"] == "true"
    assert environment["YOLO_CONFIG_DIR"].endswith(".work/ultralytics")


def test_stage_started_without_the_hash_seed_starts_itself_anew_with_it(environment, monkeypatch):
    calls = []
    monkeypatch.setattr(determinism.os, "execv", lambda path, arguments: calls.append(arguments))
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "stages.run", "ingest", "shop"])
    determinism.start_process()
    assert calls == [["python", "-m", "stages.run", "ingest", "shop"]]
    assert environment["PYTHONHASHSEED"] == "0"
    assert "glibc.malloc.hugetlb=1" in environment["GLIBC_TUNABLES"]
    determinism.start_process()
    assert len(calls) == 1


def test_allocator_that_somebody_chose_stays(environment, monkeypatch):
    monkeypatch.setattr(determinism.os, "execv", lambda *_: pytest.fail("started anew"))
    environment |= {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=0", "PYTHONHASHSEED": "0"}
    determinism.start_process()
    assert environment["GLIBC_TUNABLES"] == "glibc.malloc.hugetlb=0"


def test_importing_the_package_changes_nothing(environment):
    code = "import os; before = dict(os.environ); import stages, stages.core; print(before == dict(os.environ))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "True\n", done.stderr


def test_device_is_the_cpu_when_runs_must_repeat_unless_chosen(environment):
    runtime("{deterministic: true}")
    assert determinism.device() == "cpu"
    environment["SEAMLINE_DEVICE"] = "cuda:1"
    assert determinism.device() == "cuda:1"


def test_params_are_read_once_and_not_at_all_after_a_stage_handed_them_in(environment, monkeypatch):
    parsed = []
    monkeypatch.setattr(determinism, "parse_yaml", lambda text: parsed.append(text) or yaml.safe_load(text))
    runtime("{deterministic: true}")
    assert [determinism.device() for _ in range(3)] == ["cpu"] * 3
    assert len(parsed) == 1
    determinism.use_runtime({"deterministic": True, "threads": 5})
    assert determinism.runtime_params()["threads"] == 5
    determinism.runtime_params()["threads"] = 6  # a caller's copy
    assert determinism.runtime_params()["threads"] == 5


def test_seed_repeats_python_numpy_and_torch(environment):
    draws = []
    for _ in range(2):
        determinism.seed_everything(5)
        draws.append((random.random(), np.random.rand(), torch.rand(1).item()))
    assert draws[0] == draws[1]


def test_thread_count_is_set_again_after_a_library_changed_it(environment):
    before = torch.get_num_threads()
    try:
        runtime("{threads: 1}")
        torch.set_num_threads(2)
        determinism.fix_threads()
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
