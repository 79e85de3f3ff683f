"""Backbones, SimCLR pre-training, and what turns crops into vectors."""
