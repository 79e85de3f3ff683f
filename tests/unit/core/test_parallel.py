"""Work over processes: in order, whatever their number."""

import logging
import os
import signal
import threading

import pytest

from stages.core.determinism import use_runtime
from stages.core.errors import StageError
from stages.core.parallel import in_processes, workers


@pytest.mark.parametrize("count", ["1", "2"])
def test_results_come_in_the_order_of_the_items(monkeypatch, count):
    monkeypatch.setenv("SEAMLINE_WORKERS", count)
    assert workers() == int(count)
    assert list(in_processes(abs, [-3, 1, -2])) == [3, 1, 2]
    assert list(in_processes(abs, [])) == []


def test_killed_process_is_one_message(monkeypatch):
    monkeypatch.setenv("SEAMLINE_WORKERS", "2")
    with pytest.raises(StageError, match="ended without a message, most likely because memory ran out"):
        list(in_processes(signal.raise_signal, [signal.SIGKILL, signal.SIGKILL]))


@pytest.mark.parametrize("given", ["x", "0", "-1", "1.5"])
def test_number_of_workers_that_is_none_is_one_message(monkeypatch, given):
    monkeypatch.setenv("SEAMLINE_WORKERS", given)
    with pytest.raises(StageError, match="SEAMLINE_WORKERS is .* expected a number of processes"):
        workers()


def warned(name):
    logging.getLogger("stages.some.job").warning("%s is small", name)


def test_what_a_job_logs_in_its_own_process_is_shown(monkeypatch, capfd):
    monkeypatch.setenv("SEAMLINE_WORKERS", "2")
    list(in_processes(warned, ["a", "b"]))
    assert sorted(capfd.readouterr().err.splitlines()) == ["WARNING a is small", "WARNING b is small"]


def test_networks_run_in_this_process_and_arrow_in_threads_of_it(monkeypatch):
    monkeypatch.setenv("SEAMLINE_WORKERS", "2")

    def place(_):
        return os.getpid(), threading.current_thread() is threading.main_thread()

    assert list(in_processes(place, [1, 2], "networks")) == [(os.getpid(), True)] * 2
    assert list(in_processes(place, [1, 2], "arrow")) == [(os.getpid(), False)] * 2


def test_unknown_engine_is_one_message():
    use_runtime({"engine": "spark"})
    with pytest.raises(StageError, match="`runtime.engine` is 'spark'; expected one of: local, ray"):
        list(in_processes(abs, [1]))
