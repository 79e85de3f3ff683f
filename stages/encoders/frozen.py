"""Frozen feature extractors (system C): a backbone without its last layer, pooled, compared by cosine.

Nothing is trained: the weights are loaded once (downloaded, packaged or random) and written next to the card, so that
no later stage needs a network connection.
"""

import logging
from typing import Any, Literal

import numpy as np
from torch import nn

from stages.core.determinism import device
from stages.encoders.examples import Examples
from stages.encoders.recipe_task import Fitted, Run
from stages.encoders.recipes import Recipe
from stages.encoders.validation import Validation, before_and_after
from stages.learning.loop import shown_row
from stages.networks.backbones.backbones import Extractor, Pool, Weights
from stages.networks.backbones.features import Pictures, embed_pictures
from stages.networks.encoders.kinds import card_of

log = logging.getLogger(__name__)


class FrozenRecipe(Recipe):
    """A recipe of kind ``frozen``; the examples are only used for validation."""

    kind: Literal["frozen"]
    backbone: str
    weights: Weights
    pooling: Pool


RECIPE = FrozenRecipe


def fit(recipe: FrozenRecipe, train: Examples, val: Examples, run: Run) -> Fitted:
    """Load the weights and score the vectors on validation."""
    network = Extractor(recipe.backbone, recipe.weights, recipe.image_size, recipe.pooling).to(device())
    card = card_of("frozen", backbone=recipe.backbone, pooling=recipe.pooling, image_size=recipe.image_size)
    return scored(network, card, recipe, train, val, run)


def scored(
    network: nn.Module, card: dict[str, Any], recipe: Recipe, train: Examples, val: Examples, run: Run
) -> Fitted:
    """A network that stays as it is, with the scores of its vectors on validation; they are compared by cosine.

    Args:
        network: on this process's device.
    """
    validation = Validation(train, val, recipe.validation)

    def vectors(rows: Examples) -> np.ndarray:
        return embed_pictures(network, Pictures(rows.data, recipe.image_size, keep=False), recipe.validation.batch)

    scores = validation.scores(vectors(val), lambda: vectors(train.take(validation.reference)), "cosine")
    row = {"epoch": 0} | {f"val_{name}": value for name, value in scores.items()}
    log.info(f"{run.name}: {shown_row(row)}; chance {shown_row(validation.chance)}")
    return Fitted(network, card, list(row), [list(row.values())], before_and_after(row, row, validation.chance))
