"""Networks of the encoders that recipes train, and the registry of all kinds."""
