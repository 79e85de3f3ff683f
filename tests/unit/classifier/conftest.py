"""A small classifier, and crops that differ by color."""

import pytest
from small_classifier import network, params, plain_crops, superclasses

__all__ = ["network", "params", "superclasses"]


@pytest.fixture(scope="session")
def crops():
    return plain_crops()
