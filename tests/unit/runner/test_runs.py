"""Parent and child runs in a real SQLite store."""

from types import SimpleNamespace

import pytest

from stages.runner import runs

EVENT = {
    "repro": "make-1", "stage": "embed@one", "started": 10.0, "ended": 12.5, "failed": False, "tags": {"input.a": "1"},
    "metrics": {"rows": 3}, "curves": {"loss": [2.0, None, 1.0]}, "params": {"batch": 8}, "scores": {"hit": 0.5},
    "pictures": ["gone.jpg"],
}  # fmt: skip


@pytest.mark.slow
def test_parent_has_the_params_of_the_repro_and_is_found_by_its_key(store):
    assert runs.find_parent(store, "make-1") is None
    run_id = runs.create_parent(store, "make-1", 10.0)
    assert runs.find_parent(store, "make-1") == run_id
    run = store.get_run(run_id)
    assert run.data.params == {"profile": "demo", "simclr.epochs": "2"}
    assert (run.info.run_name, run.info.start_time) == ("demo ccccccc", 10_000)
    newer = runs.create_parent(store, "make-1", 20.0, named="mine")
    assert runs.find_parent(store, "make-1") == newer
    assert store.get_run(newer).info.run_name == "mine"


@pytest.mark.slow
def test_stage_becomes_a_child_whose_scores_go_to_the_parent(store):
    runs.log_stage(store, EVENT)
    parent = store.get_run(runs.find_parent(store, "make-1"))
    (child,) = store.search_runs([runs.experiment(store)], "tags.stage = 'embed@one'")
    assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert child.data.tags["input.a"] == "1"
    assert (child.data.metrics, child.data.params) == ({"rows": 3, "loss": 1.0}, {"batch": "8"})
    assert [(point.step, point.value) for point in store.get_metric_history(child.info.run_id, "loss")] == [
        (1, 2),
        (3, 1),
    ]
    assert (child.info.status, child.info.start_time, child.info.end_time) == ("FINISHED", 10_000, 12_500)
    assert (parent.data.metrics, parent.info.status) == ({"hit": 0.5}, "FINISHED")


@pytest.mark.slow
def test_failed_stage_fails_its_parent_too(store):
    runs.log_stage(store, EVENT | {"failed": True})
    assert store.get_run(runs.find_parent(store, "make-1")).info.status == "FAILED"


def test_values_are_logged_a_hundred_at_a_time():
    calls = []
    client = SimpleNamespace(
        log_batch=lambda run_id, metrics, params: calls.append((run_id, len(metrics), len(params)))
    )
    runs.log(client, "r", list(range(250)), list(range(120)))
    assert calls == [("r", 100, 100), ("r", 100, 20), ("r", 50, 0)]
