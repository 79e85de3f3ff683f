"""The ensemble of system C: a weighted average of two frozen extractors' vectors.

SelectKBest reduces the wider extractor to the width of the narrower one: it keeps the columns whose means differ most
between categories (ANOVA F) in the training split. The weight is the one with the best score on validation.
"""

import logging
import warnings
from typing import Literal

import numpy as np
import torch
from pydantic import Field

from stages.core.determinism import device
from stages.core.errors import StageError
from stages.core.params import Section, Share
from stages.encoders.examples import Examples, vocabulary
from stages.encoders.recipe_task import Fitted, Run
from stages.encoders.recipes import Recipe
from stages.encoders.validation import Validation, before_and_after, check_select
from stages.learning.loop import shown_row
from stages.networks.backbones.backbones import Pool, Weights
from stages.networks.backbones.features import Pictures, embed_pictures
from stages.networks.encoders.kinds import card_of
from stages.networks.encoders.metric_learning import Ensemble

log = logging.getLogger(__name__)


class MemberParams(Section):
    """One extractor."""

    backbone: str
    weights: Weights
    pooling: Pool


class EnsembleRecipe(Recipe):
    """A recipe of kind ``ensemble``.

    Attributes:
        members: the two extractors.
        shares: weights of the first extractor to try; the second one has the rest.
    """

    kind: Literal["ensemble"]
    members: list[MemberParams] = Field(min_length=2, max_length=2)
    shares: list[Share] = Field(min_length=1)


RECIPE = EnsembleRecipe


def best_columns(vectors: np.ndarray, categories: np.ndarray, count: int) -> np.ndarray:
    """The ``count`` columns with the highest ANOVA F between categories, ascending int64.

    Args:
        vectors: [n, d] of training rows.
        categories: strings [n].
    """
    from sklearn.feature_selection import SelectKBest, f_classif

    with np.errstate(divide="ignore", invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # for constant columns, which have no F and come last
        chosen = SelectKBest(f_classif, k=count).fit(vectors, categories)
    return np.flatnonzero(chosen.get_support()).astype(np.int64)


def _vectors(network: Ensemble, data: list[bytes], recipe: EnsembleRecipe) -> list[np.ndarray]:
    """Each member's own vectors [n, d]."""
    pictures = Pictures(data, recipe.image_size)
    return [embed_pictures(member, pictures, recipe.validation.batch) for member in network.members]


def fit(recipe: EnsembleRecipe, train: Examples, val: Examples, run: Run) -> Fitted:
    """Choose columns on train and the weight on validation.

    Raises:
        StageError: the training rows have fewer than two categories.
    """
    network = Ensemble([_member(member) for member in recipe.members], [member.weights for member in recipe.members],
                       recipe.image_size).to(device())  # fmt: skip
    validation = Validation(train, val, recipe.validation)
    known = np.flatnonzero([category is not None for category in train.categories])
    if len(vocabulary(train.categories)) < 2:
        raise StageError(f"{run.name}: SelectKBest needs two categories in the training rows; there are fewer.")
    fitted_on = _vectors(network, train.take(known).data, recipe)
    columns = best_columns(fitted_on[network.wider], train.categories[known].astype(str), network.width)
    network.columns.copy_(torch.from_numpy(columns))
    log.info(
        f"{run.name}: {len(columns)} of {network.members[network.wider].width} columns of the wider extractor kept"
    )
    position = {row: at for at, row in enumerate(known)}
    reference = [vectors[[position[row] for row in validation.reference]] for vectors in fitted_on]
    of_val = _vectors(network, val.data, recipe)

    def mixed(vectors: list[np.ndarray]) -> np.ndarray:
        return network.mixed([torch.from_numpy(of_member).to(device()) for of_member in vectors]).cpu().numpy()

    rows = []
    for share in recipe.shares:
        network.share.fill_(share)
        scores = validation.scores(mixed(of_val), lambda: mixed(reference), "cosine")
        rows.append({"share": share} | {f"val_{name}": value for name, value in scores.items()})
        log.info(f"{run.name}: share {share:g} of the first: {shown_row(rows[-1])}")
    check_select(recipe.validation, rows[0])
    best = max(rows, key=lambda row: row[f"val_{recipe.validation.select}"])  # the first of equals
    network.share.fill_(best["share"])
    before = next((row for row in rows if row["share"] == 1), rows[0])  # the first extractor alone, if it was tried
    scores = before_and_after(before | {"epoch": 0}, best | {"epoch": 0}, validation.chance) | {"share": best["share"]}
    card = card_of("ensemble", members=[_member(member) for member in recipe.members], image_size=recipe.image_size)
    return Fitted(network, card, list(rows[0]), [list(row.values()) for row in rows], scores)


def _member(member: MemberParams) -> dict[str, str]:
    return {"backbone": member.backbone, "pooling": member.pooling}
