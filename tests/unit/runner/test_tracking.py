"""Tracking mirrors what files say and never fails a stage."""

import json
import os
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from stages.runner import tracking
from stages.runner.stage import Report

GIT = {"git_commit": "c" * 40, "git_dirty": "False"}


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_STAGE", "crops@shop")
    monkeypatch.delenv("SEAMLINE_TRACKING", raising=False)
    monkeypatch.delenv("SEAMLINE_REPRO", raising=False)
    (tmp_path / "params.yaml").write_text("profile: demo\n")
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    return tmp_path


def test_nested_params_get_dotted_keys():
    nested = {"a": {"b": {"c": 1}, "d": [1, 2]}, "e": None}
    assert tracking.flatten(nested) == {"a.b.c": 1, "a.d": [1, 2], "e": None}


def test_inputs_are_outs_of_other_stages_at_or_below_an_argument(project):
    (project / "dvc.lock").write_text(
        "stages:\n"
        "  ingest@shop:\n    outs:\n    - {path: data/ingested/shop, md5: aaa}\n"
        "  ingest@shop2:\n    outs:\n    - {path: data/ingested/shop2, md5: bbb}\n"
        "  train@x:\n    outs:\n    - {path: models/detectors/x, md5: ccc}\n"
        "  crops@shop:\n    outs:\n    - {path: data/crops/shop, md5: ddd}\n"
        "  no_outs: {cmd: x}\n"
    )
    arguments = ["shop", "data/ingested/shop", "models/detectors", "data/crops/shop"]
    assert tracking._inputs(arguments) == {"data/ingested/shop": "aaa", "models/detectors/x": "ccc"}


def test_without_a_lock_file_or_with_an_empty_one_there_are_no_inputs(project):
    assert tracking._inputs(["data"]) == {}
    (project / "dvc.lock").touch()
    assert tracking._inputs(["data"]) == {}


@pytest.mark.parametrize(
    ("stage", "switch", "on"), [("x", None, True), ("x", "off", False), (None, None, False), ("", None, False)]
)
def test_tracking_is_on_only_for_stages_that_dvc_runs(monkeypatch, stage, switch, on):
    for name, value in (("DVC_STAGE", stage), ("SEAMLINE_TRACKING", switch)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert tracking.enabled() is on


def test_same_commit_and_files_are_the_same_repro(project, monkeypatch):
    monkeypatch.setattr(tracking, "git_tags", lambda: GIT)
    first = tracking.repro_key()
    assert first == tracking.repro_key()
    (project / "params.yaml").write_text("profile: paper\n")
    assert first != tracking.repro_key()


def test_event_that_cannot_be_written_only_warns(project, capsys):
    (project / ".work").write_text("a file where the queue's folder should be")
    tracking.track_stage(Report(metrics={"a": 1.0}), {}, [], 0.0)
    assert "WARNING not tracked in MLflow" in capsys.readouterr().err


def test_error_of_the_worker_is_told_by_the_next_stage_once(project, monkeypatch, capsys):
    monkeypatch.setattr(tracking, "git_tags", lambda: GIT)
    monkeypatch.setattr(tracking.subprocess, "Popen", lambda *args, **kwargs: None)
    tracking.QUEUE.mkdir(parents=True)
    (tracking.QUEUE / "error").write_text("OSError: disk full\n")
    tracking.track_stage(Report(), {}, [], 0.0)
    tracking.track_stage(Report(), {}, [], 0.0)
    assert capsys.readouterr().err == "WARNING not tracked in MLflow: OSError: disk full\n"


@pytest.mark.slow
def test_unusable_store_leaves_an_error_and_the_worker_ends_well(project, monkeypatch):
    """The real worker, with a store in a folder that cannot be."""
    (project / "file").write_text("")
    tracking._enqueue(
        {
            "stage": "x",
            "repro": "r",
            "failed": False,
            "started": 0,
            "ended": 1,
            "params": {},
            "metrics": {},
            "curves": {},
            "pictures": [],
            "tags": {},
            "scores": {},
        }
    )
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///file/below/mlflow.db")
    monkeypatch.setattr(sys, "argv", ["track", "now"])
    tracking.main()
    assert (tracking.QUEUE / "error").read_text().strip()


class Store:
    """Stands for MLflow's client; keeps what it is told."""

    def __init__(self):
        self.runs, self.batches, self.ended = [], [], []

    def get_experiment_by_name(self, name):
        return None

    def create_experiment(self, name, artifact_location, tags):
        return "7"

    def create_run(self, experiment, start_time=None, tags=None, run_name=None):
        self.runs.append((run_name, tags))
        return SimpleNamespace(info=SimpleNamespace(run_id="child"))

    def log_batch(self, run_id, metrics, params):
        self.batches.append((run_id, metrics, params))

    def search_runs(self, experiments, query, order_by, max_results):
        assert "repro_key = 'r'" in query
        return [SimpleNamespace(info=SimpleNamespace(run_id="p"))]

    def set_terminated(self, run_id, status, end_time):
        self.ended.append((run_id, status))


def test_queued_stage_becomes_a_child_run_and_its_key_metrics_go_to_the_parent(project, monkeypatch):
    store = Store()
    monkeypatch.setattr("stages.runner.runs.connect", lambda: store)
    event = {"stage": "x", "repro": "r", "failed": False, "started": 1, "ended": 2, "params": {f"k{n}": n for n in range(150)},
             "metrics": {"a": 1}, "curves": {"loss": [3, None, 2]}, "pictures": ["none.png"], "tags": {"t": "u"},
             "scores": {"classifier/heads/color/accuracy": 0.5}}  # fmt: skip
    tracking._enqueue(json.loads(json.dumps(event)))
    tracking.work(linger=0)
    assert store.runs == [("x", {"mlflow.parentRunId": "p", "stage": "x", "t": "u"})]
    assert [(run, len(params)) for run, _, params in store.batches] == [("child", 100), ("child", 50), ("p", 0)]
    logged = [(run, one.key, one.value, one.step) for run, metrics, _ in store.batches for one in metrics]
    assert logged == [
        ("child", "a", 1, 0),
        ("child", "loss", 3, 1),
        ("child", "loss", 2, 3),
        ("p", "classifier/heads/color/accuracy", 0.5, 0),
    ]
    assert store.ended == [("child", "FINISHED"), ("p", "FINISHED")]


@pytest.mark.slow
def test_worker_stays_while_make_repro_is_under_way_and_goes_with_it(project):
    tracking.QUEUE.mkdir(parents=True)
    marker = tracking.QUEUE / "repro-make-1"
    marker.touch()
    worker = threading.Thread(target=tracking._drain, args=(0.1,), daemon=True)
    worker.start()
    worker.join(1.0)
    assert worker.is_alive()
    marker.unlink()
    worker.join(5.0)
    assert not worker.is_alive()


def test_end_of_make_repro_waits_neither_for_the_worker_nor_for_the_one_behind_it(project):
    tracking.QUEUE.mkdir(parents=True)
    (tracking.QUEUE / "repro-make-1").touch()
    workers = [threading.Thread(target=tracking.work, args=(30.0,), daemon=True) for _ in range(2)]
    for worker in workers:
        worker.start()
    time.sleep(0.5)  # one works, the other one waits for its turn
    end = threading.Thread(target=tracking.work, args=(0.0,), daemon=True)
    end.start()
    for thread in (end, *workers):
        thread.join(5.0)
        assert not thread.is_alive()
    assert not (tracking.QUEUE / "hurry").exists()


def test_make_repro_that_was_killed_holds_no_worker(project):
    tracking.QUEUE.mkdir(parents=True)
    marker = tracking.QUEUE / "repro-make-1"
    marker.touch()
    long_ago = marker.stat().st_mtime - tracking.REPRO_SECONDS - 1
    os.utime(marker, (long_ago, long_ago))
    tracking._drain(0.1)


def test_lasting_failure_warns_once_and_again_after_tracking_has_worked(project, monkeypatch, capsys):
    monkeypatch.setattr(tracking, "git_tags", lambda: GIT)
    monkeypatch.setattr(tracking.subprocess, "Popen", lambda *args, **kwargs: None)
    monkeypatch.setattr("stages.runner.runs.connect", Store)
    tracking.QUEUE.mkdir(parents=True)
    for attempt in range(3):
        (tracking.QUEUE / "error").write_text(f"MlflowException: no answer, attempt {attempt}\n")
        tracking.track_stage(Report(), {}, [], 0.0)
    assert capsys.readouterr().err.count("WARNING") == 1
    monkeypatch.setattr("stages.runner.runs.log_stage", lambda client, event: None)
    tracking.work(linger=0)
    (tracking.QUEUE / "error").write_text("MlflowException: no answer\n")
    tracking.track_stage(Report(), {}, [], 0.0)
    assert capsys.readouterr().err.count("WARNING") == 1


def test_other_failure_is_told_too(project, capsys):
    tracking.QUEUE.mkdir(parents=True)
    tracking.warn("OSError: disk full")
    tracking.warn("MlflowException: no answer")
    assert capsys.readouterr().err.count("WARNING") == 2
