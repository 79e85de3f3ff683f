"""Training of a detector."""
