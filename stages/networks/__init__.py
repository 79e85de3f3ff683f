"""Networks, and trained networks as encoders of pictures."""
