"""Writes the drawn photos as the upstream data sets publish theirs, defects included."""
