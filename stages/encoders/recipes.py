"""Recipes in section ``encoder`` of params.yaml: their common keys, and the module of each kind."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from pydantic import ConfigDict, Field, PositiveInt

from stages.core.errors import StageError, shown
from stages.core.params import PARAMS_FILE, Section, Seed, section
from stages.learning.augment import GeometryParams
from stages.networks.encoders.kinds import RECIPES


class AnyRecipe(Section):
    """A recipe of any kind: only ``kind`` is checked."""

    model_config = ConfigDict(extra="allow", frozen=True)

    kind: str


class LearnsFrom(Section):
    """Key ``learns_from``: the pictures that an encoder learns from, and their items, categories and labels.

    Attributes:
        table: ``dataset``, or the name of a benchmark with a train split of its own.
        category: the data set's column that is the category; a benchmark's train table has a column of this name.
        same_colorway: only the same colorway of a garment is the same item; a benchmark names its items itself.
        labels: the data set's heads whose values are the labels of a multi-label recipe; a benchmark lists its own.
        max_train, max_val: rows drawn at most (by a hash of their ids); null = all.
    """

    table: str
    category: Literal["superclass", "type"]
    same_colorway: bool
    labels: list[str]
    max_train: int | None = Field(gt=0)
    max_val: int | None = Field(gt=0)


class ValidationParams(Section):
    """Key ``validation``: scores on the validation split.

    Attributes:
        select: the score by which the epoch (or ensemble weight) is chosen.
        k: number of neighbors in the k-NN vote.
        reference: largest number of training rows that k-NN searches.
        batch: pictures per forward pass.
    """

    select: Literal["hit_at_1", "knn", "loss"]
    k: int = Field(gt=0)
    reference: int = Field(gt=0)
    batch: int = Field(gt=0)


class ScheduleParams(Section):
    """Key ``schedule``: Adam, its learning rate, and the epochs after which it drops.

    Attributes:
        epochs: passes over the training rows.
        batch: rows (siamese: pairs) of one step.
        learning_rate: of all weights, except those of a loss.
        drop_at: epochs after which the rate is multiplied by ``drop_factor``.
        weight_decay: Adam's.
    """

    epochs: int = Field(gt=0)
    batch: int = Field(gt=1)
    learning_rate: float = Field(gt=0)
    drop_at: list[PositiveInt]
    drop_factor: float = Field(gt=0, le=1)
    weight_decay: float = Field(ge=0)


class Recipe(Section):
    """What every recipe has."""

    kind: str
    learns_from: LearnsFrom
    image_size: int = Field(gt=0)
    validation: ValidationParams
    seed: Seed


class TrainedRecipe(Recipe):
    """Keys of every recipe that takes gradient steps on pictures.

    Attributes:
        freeze_norm: batch norms with pretrained statistics keep these and their weights; new ones learn. Small batches
            of a small data set give worse statistics than ImageNet's 1.2 million pictures.
    """

    freeze_norm: bool
    schedule: ScheduleParams
    geometry: GeometryParams


def recipe_module(kind: str, where: str) -> ModuleType:
    """The module of a kind of recipe.

    Raises:
        StageError: there is no such kind.
    """
    if kind not in RECIPES:
        raise StageError(f"params.yaml: `{where}.kind` is {kind!r}, expected one of: {shown(RECIPES)}.")
    return import_module(f"stages.encoders.{kind}")


def read_recipe(name: str, content: Mapping[str, Any], path: Path = PARAMS_FILE) -> Recipe:
    """The typed recipe of encoder ``name``.

    Args:
        content: params with section ``encoder``.
        path: of the params, for messages.

    Raises:
        StageError: unknown kind, or a key that is missing, unknown or out of range.
    """
    where = f"encoder.{name}"
    module = recipe_module(section(AnyRecipe, where, dict(content), path).kind, where)
    return section(module.RECIPE, where, dict(content), path)
