"""Queries and galleries of the retrieval benchmarks."""
