"""A small classifier, and crops that differ by color."""

import pytest
from small_classifier import network, params, superclasses

__all__ = ["network", "params", "superclasses"]


@pytest.fixture(scope="session")
def crops(crops):
    """Six JPEG crops, each of another color."""
    return crops[:6]
