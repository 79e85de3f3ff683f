"""FIR: equation 1 by hand, the two paths, what each loss draws and learns from, and the word about a collapse."""

import numpy as np
import pytest
import torch

from stages.core.errors import StageError
from stages.encoders.fir import FirTask, Triplets

# Unit vectors at these angles; the squared distance of two is 2 - 2 cos.
ANGLES = torch.tensor([0.0, 20.0, 50.0, 70.0]).deg2rad()
VECTORS = torch.stack([ANGLES.cos(), ANGLES.sin()], 1)
LABELS = torch.tensor([0, 0, 1, 1])


def squared(i, j):
    return float(2 - 2 * torch.cos(ANGLES[i] - ANGLES[j]))


def triplet(a, p, n, margin=0.3):
    return max(0.0, margin + squared(a, p) - squared(a, n))


def test_mean_over_all_triplets_by_a_slow_loop():
    found = [triplet(a, p, n) for a in range(4) for p in range(4) for n in range(4)
             if a != p and LABELS[a] == LABELS[p] and LABELS[a] != LABELS[n]]  # fmt: skip
    assert len(found) == 8
    assert Triplets(0.3, "all")(VECTORS, LABELS).item() == pytest.approx(np.mean(found), abs=1e-6)


def test_hard_triplets_are_the_farthest_positive_and_the_nearest_negative():
    found = [triplet(0, 1, 2), triplet(1, 0, 2), triplet(2, 3, 1), triplet(3, 2, 1)]
    assert Triplets(0.3, "hard")(VECTORS, LABELS).item() == pytest.approx(np.mean(found), abs=1e-6)


def test_semihard_triplets_violate_the_margin_in_the_right_order():
    found = [triplet(a, p, n) for a, p in ((0, 1), (1, 0), (2, 3), (3, 2)) for n in range(4)
             if LABELS[n] != LABELS[a] and 0 < squared(a, n) - squared(a, p) <= 0.3]  # fmt: skip
    assert 0 < len(found) < 8
    assert Triplets(0.3, "semihard")(VECTORS, LABELS).item() == pytest.approx(np.mean(found), abs=1e-6)


@pytest.mark.parametrize("miner", ["all", "semihard", "hard"])
def test_unknown_labels_are_negatives_of_everything(miner):
    labels = torch.tensor([0, 0, -1, -1])
    assert Triplets(0.3, miner)(VECTORS, labels).item() == pytest.approx(
        Triplets(0.3, miner)(VECTORS, torch.tensor([0, 0, 5, 6])).item()
    )
    nothing = Triplets(0.3, miner)(VECTORS, torch.full((4,), -1))
    assert nothing.item() == 0


def test_collapsed_vectors_cost_the_margin():
    assert Triplets(0.3, "hard")(torch.ones(4, 2) / 2**0.5, LABELS).item() == pytest.approx(0.3)


def task(recipe, examples, **changes):
    return FirTask(recipe("fir", **changes), *examples)


@pytest.mark.parametrize(
    ("losses", "parts"),
    [(["OC"], {"ce", "accuracy"}), (["OC", "OS"], {"ce", "accuracy", "triplet_os"}),
     (["OC", "IS"], {"ce", "accuracy", "triplet_is"}), (["IS"], {"triplet_is"})],
)  # fmt: skip
def test_loss_is_alpha_cross_entropy_plus_beta_triplets(losses, parts, recipe, examples, cpu):
    one = task(recipe, examples, losses=losses, alpha=0.7, beta=0.2)
    one.modules.eval()
    with torch.no_grad():
        figures = one.losses("val", torch.arange(9))
    assert set(figures) == {"loss"} | parts
    expected = 0.7 * figures.get("ce", 0) + sum(0.2 * value for name, value in figures.items() if "triplet" in name)
    assert torch.allclose(figures["loss"], torch.as_tensor(expected))
    assert (one.network.relaxation is None) == ("OC" not in losses)


def test_category_loss_leaves_rows_of_unknown_category_out(recipe, examples, cpu):
    train, val = examples
    blank = val.take(np.arange(15))
    blank.categories[3:] = None
    one = FirTask(recipe("fir", losses=["OC"]), train, blank)
    one.modules.eval()
    with torch.no_grad():
        some, known = one.losses("val", torch.arange(15)), one.losses("val", torch.arange(3))
        none = one.losses("val", torch.arange(3, 15))
    assert some["ce"].item() == pytest.approx(known["ce"].item(), abs=1e-5)
    assert none["ce"].item() == 0


def test_each_loss_draws_its_batches(recipe, examples, cpu):
    alone = task(recipe, examples, losses=["OC"])
    assert len(set(torch.cat(alone.batches(0)).tolist())) == 24  # every row once
    assert torch.cat(alone.val_batches()).tolist() == list(range(15))  # none left out, though 15 are no whole batches
    category = task(recipe, examples, losses=["OC", "OS"], per_label=4).batches(0)
    item = task(recipe, examples).batches(0)
    by_item = task(recipe, examples).of_item["train"]
    for batch in category:
        assert np.bincount(task(recipe, examples).of_category["train"][batch]).tolist() == [4, 4]
    for batch in item:
        counts = np.bincount(by_item[batch][by_item[batch] >= 0])
        assert counts.max() == 2 and (counts == 2).sum() >= 2


def test_gradient_of_the_category_loss_reaches_the_backbone(recipe, examples, cpu):
    one = task(recipe, examples, losses=["OC"])
    one.losses("train", torch.arange(8))["loss"].backward()
    assert next(one.network.maps.parameters()).grad.abs().sum() > 0


def test_loss_stuck_at_the_margin_is_said(recipe, examples, cpu):
    one = task(recipe, examples)
    assert one.warn({"train_triplet_is": 0.2, "val_spread": 0.01}) is None
    assert one.warn({"train_triplet_is": 0.299, "val_spread": 0.4}) is None  # hard triplets of vectors that differ
    assert "triplet_is 0.2990 is stuck at the margin 0.3" in one.warn({"train_triplet_is": 0.299, "val_spread": 0.0})


def test_losses_without_what_they_need_are_refused(recipe, examples, cpu):
    train, val = examples
    with pytest.raises(StageError, match="needs items with two pictures; the training rows have none"):
        FirTask(recipe("fir"), train.take(np.arange(0, 24, 3)), val)
    with pytest.raises(StageError, match="need two categories; the training rows know 1"):
        FirTask(recipe("fir"), train.take(np.arange(3)), val)
