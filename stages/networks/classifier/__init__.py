"""The multi-head classifier's network."""
