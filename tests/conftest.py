"""The environment that `python -m stages.run` gives a stage, for tests that call its code."""

import pytest

from stages.core.determinism import pin_process, use_runtime
from stages.core.log import show_log

pin_process()
show_log()


@pytest.fixture(autouse=True)
def runtime_of_this_test():
    """A test that writes a params.yaml computes with it, and none with the one of the test before."""
    use_runtime(None)
    yield
    use_runtime(None)
