"""Runs stages and shows their progress, on the terminal and in MLflow; it never changes what a stage writes."""
