"""Backbones and frozen extractors, pictures as their input, their features as files."""
