"""Measurements of speed and memory, on data that they generate themselves: `make bench`."""

from stages.core.determinism import pin_process

pin_process()
