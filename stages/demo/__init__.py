"""Draws the embedded demo data sets in the upstream formats, the same bytes on every machine."""
