"""The environment that `python -m stages.run` gives a stage, for tests that call its code."""

import atexit
import gc

import pytest

from stages.core.determinism import pin_process, use_runtime
from stages.core.log import show_log

pin_process()
show_log()
atexit.register(gc.unfreeze)  # else extension modules report at the end that nobody freed them


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """No garbage is collected while tests import what they need: it all stays, and no later pass need look at it."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(autouse=True)
def runtime_of_this_test():
    """A test that writes a params.yaml computes with it, and none with the one of the test before."""
    use_runtime(None)
    yield
    use_runtime(None)
