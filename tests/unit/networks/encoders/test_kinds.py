"""Kinds of encoders: loaders, recipes, cards."""

from importlib import import_module
from typing import Literal

import pytest

from stages.encoders.recipes import recipe_module
from stages.networks.encoders.kinds import ENCODER_KINDS, RECIPES, card_of


def test_every_kind_has_its_loader_and_every_recipe_its_module():
    for name, kind in ENCODER_KINDS.items():
        assert hasattr(import_module(f"stages.networks.{kind.loader[0]}"), kind.loader[1]), name
    for name in RECIPES:
        module = recipe_module(name, "test")
        assert module.RECIPE.model_fields["kind"].annotation == Literal[name] and callable(module.fit)


def test_card_with_other_keys_than_its_kind_names_is_refused():
    assert card_of("ensemble", members=[], image_size=8)["metric"] == "cosine"
    with pytest.raises(TypeError, match="card of ensemble: got members, expected image_size, members"):
        card_of("ensemble", members=[])
