"""Writes the drawn photos in the formats of the upstream data sets, with defects."""
