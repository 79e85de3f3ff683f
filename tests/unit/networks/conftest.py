"""Params of a small classifier."""

import pytest
from small import SUPERCLASSES, classifier_params


@pytest.fixture
def params():
    """Section ``classifier`` with changes."""
    return classifier_params


@pytest.fixture
def superclasses():
    return list(SUPERCLASSES)
