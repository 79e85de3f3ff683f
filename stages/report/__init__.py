"""Collected accounts and the table of metrics."""
