"""The attention recipe: its losses by hand or by slow loops, cached views, labels, drawn sheets."""

import math

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from stages.core.errors import StageError
from stages.encoders.attention import (
    AttentionLossParams,
    AttentionTask,
    anchor_loss,
    classification_loss,
    diversity_loss,
    label_matrix,
    localization_loss,
    most_frequent_share,
    overlap,
    positive_loss,
    scale_loss,
)
from stages.networks.encoders.attention.network import AttentionNetwork


def test_classification_loss_by_hand():
    # softmax of (ln 2, 0, 0) is (.5, .25, .25); labels 1 and 3 as a distribution are (.5, 0, .5).
    scores, labels = torch.tensor([[math.log(2), 0, 0]]), torch.tensor([[1.0, 0, 1]])
    assert classification_loss(scores, labels).item() == pytest.approx(0 + 0.0625 + 0.0625)


def test_classification_loss_is_the_mean_over_pictures_and_the_sum_over_classes():
    torch.manual_seed(0)
    scores, labels = torch.randn(4, 5), (torch.rand(4, 5) > 0.5).float()
    labels[:, 0] = 1
    labels[2] = 0  # a picture without a label takes no part
    total = 0.0
    for row in (0, 1, 3):
        exps = [math.exp(float(value)) for value in scores[row]]
        for c in range(5):
            total += (float(labels[row, c]) / float(labels[row].sum()) - exps[c] / sum(exps)) ** 2
    assert classification_loss(scores, labels).item() == pytest.approx(total / 3, rel=1e-5)
    assert classification_loss(scores, torch.zeros(4, 5)).item() == 0


def test_diversity_loss_by_a_slow_loop():
    torch.manual_seed(0)
    maps = torch.randn(2, 3, 4, 2).flatten(2).softmax(2).view(2, 3, 4, 2)
    total = 0.0
    for row in range(2):
        for k in (1, 2):
            total += sum(float(maps[row, k - 1, y, x] * maps[row, k, y, x]) for y in range(4) for x in range(2))
    assert diversity_loss(maps).item() == pytest.approx(total / 2 / 2, rel=1e-5)  # K - 1 = 2, and two pictures


def test_diversity_loss_is_zero_apart_and_highest_on_one_place():
    apart = torch.zeros(1, 2, 2, 2)
    apart[0, 0, 0, 0] = apart[0, 1, 1, 1] = 1
    together = torch.zeros(1, 2, 2, 2)
    together[0, :, 0, 0] = 1
    assert diversity_loss(apart).item() == 0
    assert diversity_loss(together).item() == 1
    assert diversity_loss(torch.full((1, 2, 2, 2), 0.25)).item() == pytest.approx(0.25)
    assert diversity_loss(together[:, :1]).item() == 0  # one glimpse has nothing to differ from


SIZE = torch.tensor([[[0.9, 0.5], [-0.7, 0.2]]])  # one picture, two glimpses
CENTER = torch.tensor([[[0.3, -0.5], [0.1, 0.4]]])
ANCHORS = torch.tensor([[0.0, -0.5], [0.0, 0.5]])


def test_scale_loss_by_hand():
    # .4^2 and 0 for the first region; |-.7| - .5 = .2 for the second; mean over the two.
    assert scale_loss(SIZE, 0.5).item() == pytest.approx((0.16 + 0.04) / 2)


def test_anchor_loss_by_hand():
    assert anchor_loss(CENTER, ANCHORS).item() == pytest.approx(((0.09 + 0) / 2 + (0.01 + 0.01) / 2) / 2)


def test_positive_loss_by_hand():
    # Only s_x = -.7 and s_y = .2 are below .3: 1.0 and .1.
    assert positive_loss(SIZE, 0.3).item() == pytest.approx(1.1 / 2)


def test_localization_loss_weighs_its_parts():
    params = AttentionLossParams(
        gamma_div=0.01, gamma_loc=0.1, lambda_anchor=0.01, lambda_positive=0.1, alpha=0.5, beta=0.3
    )
    expected = 0.1 + 0.01 * 0.0275 + 0.1 * 0.55
    assert localization_loss(SIZE, CENTER, ANCHORS, params).item() == pytest.approx(expected)


@pytest.fixture
def network(recipe, cpu):
    return AttentionNetwork(recipe("attention").network, 5).eval()


def test_overlap_is_what_two_maps_share():
    maps = torch.tensor([[[0.5, 0.5], [1.0, 0.0], [0.0, 1.0]]])[:, :, None]  # pairs share .5, .5 and 0
    assert float(overlap(maps)) == pytest.approx(1 / 3)
    assert float(overlap(maps[:, :1])) == 0
    assert float(overlap(maps[:, [0, 0]])) == 1


@pytest.mark.parametrize("branch", [None, "test_efficientnet"])
def test_cached_views_see_what_the_branch_sees_and_validation_is_the_same(branch, recipe, examples, cpu):
    still = {"flip": 0.0, "rotation": 0, "min_scale": 1.0, "mask": 0.0, "mask_share": 0.1}
    network = recipe("attention").network.model_dump() | {"freeze_branch": True, "branch": branch}
    tasks = []
    for views in (0, 2):
        torch.manual_seed(0)
        tasks.append(AttentionTask(recipe("attention", network=network, cached_views=views, geometry=still), *examples))
    fresh, cached = tasks
    cached.network.load_state_dict(fresh.network.state_dict())
    rows = torch.tensor([3, 0, 7, 4])
    for split in ("train", "val"):
        for task in tasks:
            task.training_mode()
        figures = [task.losses(split, rows) for task in tasks]
        assert {name: value.item() for name, value in figures[1].items()} == pytest.approx(
            {name: value.item() for name, value in figures[0].items()}, abs=1e-4
        )
        np.testing.assert_allclose(
            cached.embed(split, rows.numpy()), fresh.embed(split, rows.numpy()), rtol=0, atol=1e-4
        )


def test_cached_views_are_drawn_and_computed_once(recipe, examples, cpu, monkeypatch):
    network = recipe("attention").network.model_dump() | {"freeze_branch": True}
    task = AttentionTask(recipe("attention", network=network, cached_views=3), *examples)
    assert len(task.views) == 3 and not torch.equal(task.views[0], task.views[1])
    task.embed("val", np.arange(15))
    monkeypatch.setattr(task.network.branch, "forward", lambda images: pytest.fail("a frozen branch looked again"))
    task.losses("train", torch.arange(8))
    task.losses("val", torch.arange(8))
    task.embed("val", np.arange(15))


def test_views_of_a_branch_that_learns_are_not_cached(recipe):
    with pytest.raises(ValidationError, match="they change unless network.freeze_branch is true"):
        recipe("attention", cached_views=2)


def test_every_part_gets_a_gradient(recipe, examples, cpu):
    task = AttentionTask(recipe("attention"), *examples)
    # Two steps: locate's own input weights start at zero, so what is before it learns from the second on.
    optimizer = torch.optim.Adam(task.groups())
    for _ in range(2):
        optimizer.zero_grad()
        task.losses("train", torch.arange(8))["loss"].backward()
        optimizer.step()
    silent = [name for name, weight in task.network.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert set(silent) <= {"saliency.bias"}  # softmax over places does not see it


def test_labels_become_a_matrix_and_the_most_frequent_is_the_baseline(recipe, examples, cpu):
    assert label_matrix([["b"], [], ["a", "z"]], ["a", "b"]).tolist() == [[0, 1], [0, 0], [1, 0]]
    task = AttentionTask(recipe("attention"), *examples)
    assert task.names == ["cold", "plain", "shirt", "skirt", "warm"]
    # shirt and skirt are on half of the training rows each; the first is guessed: 6 of 15 validation rows are shirts.
    assert task.chance == {"top_label": pytest.approx(6 / 15)}
    assert most_frequent_share(torch.tensor([[1.0, 0], [1, 1]]), torch.zeros(3, 2)) == 0  # nothing to be right about


def test_labels_are_needed(recipe, examples):
    from dataclasses import replace

    train, val = examples
    with pytest.raises(StageError, match="attention: the training rows know 0 labels"):
        AttentionTask(recipe("attention"), replace(train, labels=[[] for _ in train.ids]), val)


def test_drawn_sheet_has_a_picture_and_a_map_for_each_glimpse(recipe, examples, tmp_path, cpu):
    task = AttentionTask(recipe("attention"), *examples)
    attention, recommendations = task.draw(tmp_path)
    with Image.open(recommendations) as sheet:
        assert sheet.size == (9 * (128 + 6) - 6, 6 * (192 + 6) - 6)
    with Image.open(attention) as sheet:
        assert sheet.size == (3 * (128 + 6) - 6, 6 * (192 + 6) - 6)
        assert np.asarray(sheet)[:192, 134:262].mean() < np.asarray(sheet)[:192, :128].mean()  # maps dim the picture
