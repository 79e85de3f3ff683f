"""Recipes of the encoders in section ``encoder`` of params.yaml: what they have in common, and the module of a kind."""

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
    """A recipe before its kind is known: only the kind is checked."""

    model_config = ConfigDict(extra="allow", frozen=True)

    kind: str


class LearnsFrom(Section):
    """Which pictures an encoder learns from, and what counts as the same item, category and label.

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
    """How an encoder is judged on the validation split.

    Attributes:
        select: the figure that decides which epoch (or ensemble weight) is kept.
        k: neighbors of the k-NN vote.
        reference: training rows, at most, that k-NN searches.
        batch: pictures per forward pass.
    """

    select: Literal["hit_at_1", "knn", "loss"]
    k: int = Field(gt=0)
    reference: int = Field(gt=0)
    batch: int = Field(gt=0)


class ScheduleParams(Section):
    """Adam, its learning rate, and the epochs at which that drops.

    Attributes:
        epochs: passes over the training rows.
        batch: rows (siamese: pairs) of one step.
        learning_rate: of everything but the weights of a classifier-style loss.
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
    probe: ValidationParams
    seed: Seed


class TrainedRecipe(Recipe):
    """What every recipe has that takes gradient steps on pictures.

    Attributes:
        freeze_norm: batch norms that came with statistics keep them and their weights; new ones learn. Small batches of
            small data spoil what ImageNet's 1.2 million pictures have estimated.
    """

    freeze_norm: bool
    schedule: ScheduleParams
    geometry: GeometryParams


def recipe_module(kind: str, where: str) -> ModuleType:
    """The module of a kind of recipe.

    Raises:
        StageError: when there is no such kind.
    """
    if kind not in RECIPES:
        raise StageError(f"params.yaml: `{where}.kind` is {kind!r}, expected one of: {shown(RECIPES)}.")
    return import_module(f"stages.encoders.{kind}")


def read_recipe(name: str, content: Mapping[str, Any], path: Path = PARAMS_FILE) -> Recipe:
    """The typed recipe of encoder ``name``.

    Args:
        content: params, of which section ``encoder`` counts.
        path: where they come from, for messages.

    Raises:
        StageError: unknown kind, or a key that is missing, unknown or out of range.
    """
    where = f"encoder.{name}"
    module = recipe_module(section(AnyRecipe, where, dict(content), path).kind, where)
    return section(module.RECIPE, where, dict(content), path)
