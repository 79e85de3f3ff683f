"""A profile that is based on a layer has the layer's settings between the base's and its own."""

import pytest
import yaml

from stages.core.errors import StageError
from stages.profiles.compose import profile_names, read_profile


@pytest.fixture
def folder(tmp_path):
    for name, content in {
        "base": {"a": 1, "b": {"c": 1, "d": 1, "e": 1}},
        "own": {"b": {"d": 2, "e": 2}},
        "mine": {"based_on": "own", "b": {"e": 3}},
        "plain": {"b": {"e": 3}},
        "wrong": {"based_on": "plain"},
    }.items():
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(content))
    return tmp_path


def test_the_layer_lies_over_the_base_and_below_the_profile(folder):
    assert read_profile("mine", folder) == {"a": 1, "b": {"c": 1, "d": 2, "e": 3}}
    assert read_profile("plain", folder) == {"a": 1, "b": {"c": 1, "d": 1, "e": 3}}


def test_a_layer_is_no_profile_and_a_profile_no_layer(folder):
    assert profile_names(folder) == ["mine", "plain", "wrong"]
    with pytest.raises(StageError, match="no profile 'own'; there are: mine, plain, wrong"):
        read_profile("own", folder)
    with pytest.raises(StageError, match=r"profiles/wrong.yaml: `based_on` is 'plain'; expected one of: own"):
        read_profile("wrong", folder)
