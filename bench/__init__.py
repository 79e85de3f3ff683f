"""Measurements of speed and memory, on data that they generate themselves: `make bench`."""
