"""A small classifier."""

from small_classifier import network, params, superclasses

__all__ = ["network", "params", "superclasses"]
