"""Params of a small classifier, and crops that differ by color."""

import pytest
from small import SUPERCLASSES, classifier_params


@pytest.fixture
def params():
    """Section ``classifier`` with changes."""
    return classifier_params


@pytest.fixture
def superclasses():
    return list(SUPERCLASSES)


@pytest.fixture(scope="session")
def crops(crops):
    """Six JPEG crops, each of another color."""
    return crops[:6]
