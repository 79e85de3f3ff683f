"""Fixtures of the tests that draw demo sources."""

from collections.abc import Callable
from typing import Any

import pytest
from small_demo import SMALL, draw


@pytest.fixture(autouse=True)
def in_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting processes takes a second; one test asks for two."""
    monkeypatch.setenv("SEAMLINE_WORKERS", "1")


@pytest.fixture
def redraw() -> Callable[..., None]:
    """`draw`, for another seed or other counts."""
    return draw


@pytest.fixture(params=sorted(SMALL))
def source(request: pytest.FixtureRequest) -> str:
    """Each source in turn."""
    return request.param


@pytest.fixture(scope="session")
def counts() -> Callable[[str], Any]:
    """Source -> the params it was drawn with."""
    return lambda source: SMALL[source]
