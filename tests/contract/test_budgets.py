"""Sizes that a person can read: held for good."""

import pytest

from profiles import FOLDER

LINES = {"base": 610, "demo": 200, "photos": 115, "paper": 240}
COLUMNS = 100
PARAMS_BYTES = 20_000  # without comments


@pytest.mark.parametrize("name", LINES)
def test_profile_is_short_and_narrow(name):
    lines = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= LINES[name]
    assert [line for line in lines if len(line) > COLUMNS] == []


def test_every_profile_has_its_budget():
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(LINES)


def test_params_of_the_demo_are_small_and_narrow():
    text = (FOLDER.parent / "params.yaml").read_text(encoding="utf-8")
    values = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    assert len("\n".join(values).encode()) < PARAMS_BYTES
    assert max(map(len, text.splitlines())) <= COLUMNS
