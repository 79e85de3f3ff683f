"""System B's network: attention to regions of a picture, and retrieval by them."""
