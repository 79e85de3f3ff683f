"""Trained detectors: their files, their networks, and how they are run."""
