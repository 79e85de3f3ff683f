"""System B: attention to regions of a picture, and retrieval by them."""
