"""The environment that `python -m stages.run` gives a stage, for tests that call its code."""

from stages.core.determinism import pin_process

pin_process()
