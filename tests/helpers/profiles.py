"""The project's profiles as tests see them."""

from functools import cache
from pathlib import Path

from stages.profiles.compose import compose, profile_names, resolved

FOLDER = Path(__file__).resolve().parents[2] / "profiles"
NAMES = profile_names(FOLDER)


@cache
def composed(name):
    """What params.yaml holds under a profile: nobody may change it."""
    return compose(name, FOLDER)


@cache
def whole(name):
    """Every section of a profile, listed or not: nobody may change it."""
    return resolved(name, FOLDER)
