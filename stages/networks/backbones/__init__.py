"""Backbones and frozen extractors, their input pictures, and encoders as files."""
