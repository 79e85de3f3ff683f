"""Jobs on a cluster: with a stand-in of Ray that runs in this process and loses workers where a test says so.

A cluster with real processes is in tests/pipeline/test_cluster.py.
"""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from stages.core.cluster import AHEAD, LOSSES, QUEUED, Worker, _Pool, connected, on_cluster, places
from stages.core.determinism import runtime_params, use_runtime
from stages.core.errors import StageError


class RayError(Exception):
    pass


class RayTaskError(RayError):
    def __init__(self, cause):
        super().__init__(str(cause))
        self.cause = cause


class StandIn:
    """As much of Ray as the pool uses: the youngest call ends first, as results of a cluster come in any order.

    ``lost`` has the items that cost their next worker, once for each time that they are in it; ``stillborn`` workers end
    before they have started.
    """

    exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)

    def __init__(self, job=lambda item: item, lost=(), stillborn=0):
        self.job, self.lost, self.stillborn = job, list(lost), stillborn
        self.workers, self.waiting, self.most, self.started = [], {}, 0, []

    def new(self):
        worker = SimpleNamespace(dead=False, number=len(self.workers))
        worker.start = SimpleNamespace(remote=lambda: self.call(worker, None))
        worker.run = SimpleNamespace(remote=lambda item: self.call(worker, item))
        self.workers.append(Handle(worker))
        return self.workers[-1]

    def call(self, worker, item):
        reference = object()
        self.waiting[reference] = worker, item
        self.started += [item] * (item is not None)
        running = sum(item is not None for _, item in self.waiting.values())
        self.most = max(self.most, running)
        return reference

    def wait(self, references, timeout):
        assert set(references) == set(self.waiting)
        starting = [one for one in references if self.waiting[one][1] is None]
        return [(starting or references)[-1]], None

    def get(self, reference):
        worker, item = self.waiting.pop(reference)
        if item is None and self.stillborn:
            self.stillborn -= 1
            worker.dead = True
        if item in self.lost:
            self.lost.remove(item)
            worker.dead = True
        if worker.dead:
            self.waiting = {one: (at, what) for one, (at, what) in self.waiting.items() if at is not worker}
            raise RayError("The actor died.\nLong story.")
        if item is None:
            return None
        try:
            return self.job(item)
        except ValueError as error:
            raise RayTaskError(error) from None

    def kill(self, handle):
        handle.worker.dead = True


class Handle:
    """A worker as Ray hands it out: hashable."""

    def __init__(self, worker):
        self.worker, self.start, self.run = worker, worker.start, worker.run


def results(ray, items, count=3):
    pool = _Pool(ray, ray.new, items, count)
    values = list(pool.results())
    pool.end()
    assert all(handle.worker.dead for handle in ray.workers)
    return values


def test_results_come_in_the_order_of_the_items_though_they_end_in_another():
    ray = StandIn(lambda item: 10 * item)
    assert results(ray, [3, 1, 2, 5, 4, 6]) == [30, 10, 20, 50, 40, 60]
    assert len(ray.workers) == 3


def test_items_of_a_lost_worker_run_again_on_a_new_one(caplog):
    ray = StandIn(lost=[2, 5])
    assert results(ray, list(range(9))) == list(range(9))
    assert len(ray.workers) == 3 + 2
    assert sorted(set(ray.started)) == list(range(9)) and len(ray.started) > 9


def test_an_item_that_costs_every_worker_ends_the_stage():
    ray = StandIn(lost=[4] * LOSSES)
    with pytest.raises(StageError, match=rf"item 5 of 9 has cost {LOSSES} workers .*memory.*The actor died\.$"):
        results(ray, list(range(9)))


def test_workers_that_end_before_they_start_end_the_stage_only_if_all_do():
    assert results(StandIn(stillborn=2), [1, 2, 3], count=1) == [1, 2, 3]
    with pytest.raises(StageError, match=f"{LOSSES} workers of the cluster ended before they had started: The actor"):
        results(StandIn(stillborn=LOSSES), [1, 2, 3], count=1)


def test_a_fault_of_the_job_is_raised_as_itself():
    with pytest.raises(ValueError, match="invalid literal"):
        results(StandIn(int), ["1", "x", "3"])


def test_no_more_items_are_in_flight_than_the_workers_and_their_queues_hold():
    ray = StandIn()
    pool = _Pool(ray, ray.new, list(range(100)), 2)
    for number, value in enumerate(pool.results()):
        assert value == number
        assert max(ray.started) < number + 1 + AHEAD * 2  # the first item that is not yielded, and those after it
    assert ray.most <= QUEUED * 2


@pytest.mark.parametrize(
    ("machine", "need", "count"),
    [
        ({"CPU": 8.0}, {"CPU": 2.0, "GPU": 0.0}, 4),
        ({"CPU": 3.0}, {"CPU": 2.0, "GPU": 0.0}, 1),
        ({"CPU": 1.0}, {"CPU": 2.0, "GPU": 0.0}, 0),
        ({"CPU": 8.0, "GPU": 1.0}, {"CPU": 2.0, "GPU": 0.5}, 2),
        ({"CPU": 8.0}, {"CPU": 2.0, "GPU": 0.5}, 0),
        ({"CPU": 8.0, "GPU": 0.3}, {"CPU": 1.0, "GPU": 0.1}, 3),
        ({}, {"CPU": 1.0, "GPU": 0.0}, 0),
    ],
)
def test_as_many_workers_fit_on_a_machine_as_its_scarcest_resource_holds(machine, need, count):
    assert places(machine, need) == count


def test_a_worker_computes_with_the_params_and_in_the_folder_of_the_stage(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    worker = Worker((lambda item: (item, Path.cwd(), runtime_params()), str(tmp_path), {"threads": 1}, False))
    use_runtime({"threads": 9})
    monkeypatch.chdir("/")
    worker.start()
    assert worker.run("a") == ("a", tmp_path, {"threads": 1})


def test_a_machine_without_the_projects_folder_is_one_message(tmp_path):
    worker = Worker((abs, str(tmp_path / "missing"), {}, False))
    with pytest.raises(StageError, match="missing: No such file or directory on machine .*shared file system"):
        worker.start()


def test_nothing_to_do_needs_no_cluster(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert list(on_cluster(abs, [])) == []


def test_no_address_and_no_ray_are_one_message_each_that_says_what_to_run(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(StageError, match="RAY_ADDRESS names no cluster. Start one .`ray start --head"):
        connected()
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(StageError, match="pip install -r requirements-cluster.txt"):
        connected()


def test_a_cluster_that_is_too_small_is_one_message(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    nodes = [{"Alive": True, "Resources": {"CPU": 1.0}}, {"Alive": False, "Resources": {"CPU": 64.0}}]
    ray = SimpleNamespace(is_initialized=lambda: True, nodes=lambda: nodes)
    monkeypatch.setitem(sys.modules, "ray", ray)
    use_runtime({"threads": 2, "gpus": 0})
    with pytest.raises(StageError, match=r"10\.0\.0\.1:6379 has no machine with 2 CPUs and 0 GPUs"):
        list(on_cluster(abs, [1], networks=True))
