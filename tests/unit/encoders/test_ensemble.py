"""The ensemble: columns chosen on train alone, the weight on validation, and the average itself."""

import numpy as np
import pytest
import torch

from stages.encoders import ensemble
from stages.encoders.recipe_task import Run
from stages.learning.checkpoints import Checkpoints
from stages.networks.backbones.features import square


def test_columns_with_the_highest_f_are_kept():
    """F by hand: variance between the categories' means over the variance within."""
    draw = np.random.default_rng(0)
    categories = np.repeat(["a", "b", "c"], 20)
    vectors = draw.normal(size=(60, 12))
    vectors[:, [2, 7, 11]] += np.repeat([0.0, 2, 4], 20)[:, None]
    vectors[:, 5] = 1  # constant: tells nothing
    ratio = []
    for column in np.delete(vectors, 5, axis=1).T:
        groups = column.reshape(3, 20)
        between = 20 * ((groups.mean(1) - column.mean()) ** 2).sum() / 2
        within = ((groups - groups.mean(1, keepdims=True)) ** 2).sum() / 57
        ratio.append(between / within)
    expected = sorted(np.delete(np.arange(12), 5)[np.argsort(ratio)[-4:]])
    assert ensemble.best_columns(vectors, categories, 4).tolist() == expected
    assert {2, 7, 11} <= set(expected)


@pytest.fixture
def fitted(recipe, examples, cpu, tmp_path):
    return ensemble.fit(recipe("ensemble"), *examples, Run("ensemble", Checkpoints(tmp_path, "key")))


def test_weight_is_the_best_on_validation_and_the_network_gives_those_scores(fitted, examples):
    from stages.encoders.validation import hit_at_1

    at = {name: number for number, name in enumerate(fitted.header)}
    assert [row[at["share"]] for row in fitted.history] == [0, 0.5, 1]
    hits = [row[at["val_hit_at_1"]] for row in fitted.history]
    assert float(fitted.network.share) == [0, 0.5, 1][int(np.argmax(hits))]
    with torch.no_grad():
        vectors = fitted.network.eval()(square(32).decode(examples[1].data)).numpy()
    assert hit_at_1(vectors, examples[1].items, "cosine") == max(hits)


def test_columns_do_not_depend_on_validation(fitted, recipe, examples, tmp_path):
    train, val = examples
    torch.manual_seed(0)
    one = ensemble.fit(recipe("ensemble"), train, val, Run("e", Checkpoints(tmp_path, "key")))
    torch.manual_seed(0)
    two = ensemble.fit(recipe("ensemble"), train, val.take(np.arange(6)), Run("e", Checkpoints(tmp_path, "key")))
    assert torch.equal(one.network.columns, two.network.columns)
