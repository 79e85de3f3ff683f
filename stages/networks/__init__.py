"""Networks, and trained ones as encoders of pictures."""
