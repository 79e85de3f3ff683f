"""The siamese network: contrastive loss by hand, pairs within a split, and what the branch computes."""

import numpy as np
import pytest
import torch

from stages.core.errors import StageError
from stages.encoders.examples import epoch_generator
from stages.encoders.siamese import SiameseTask, contrastive_loss, draw_pairs, frequent

CATEGORIES = np.array([0, 0, 0, 1, 1, -1, 2])


def test_contrastive_loss_by_hand():
    distance, same = torch.tensor([0.5, 2.0, 0.25, 3.0]), torch.tensor([True, True, False, False])
    # Positives .5^2 and 2^2; negatives (1 - .25)^2, and nothing beyond the margin.
    assert contrastive_loss(distance, same, 1.0).item() == pytest.approx((0.25 + 4 + 0.5625 + 0) / 4)


def test_contrastive_loss_agrees_with_pytorch_metric_learning():
    """Theirs is linear in how far a pair is from where it should be; ours is the mean of its square."""
    from pytorch_metric_learning.distances import LpDistance
    from pytorch_metric_learning.losses import ContrastiveLoss
    from pytorch_metric_learning.reducers import DoNothingReducer

    torch.manual_seed(0)
    vectors, labels = torch.randn(6, 4), torch.tensor([0, 0, 1, 1, 2, 2])
    first, second = torch.triu_indices(6, 6, 1)
    ours = contrastive_loss((vectors[first] - vectors[second]).norm(dim=1), labels[first] == labels[second], 2.5)
    theirs = ContrastiveLoss(
        pos_margin=0, neg_margin=2.5, reducer=DoNothingReducer(),
        distance=LpDistance(normalize_embeddings=False, p=2),
    )(vectors, labels)  # fmt: skip
    each = torch.cat([theirs["pos_loss"]["losses"], theirs["neg_loss"]["losses"]])
    assert len(each) == 30 and 0 < (each == 0).sum() < 24  # every pair both ways; some negatives beyond the margin
    assert ours.item() == pytest.approx((each**2).mean().item(), rel=1e-4)


def test_pairs_share_a_category_or_not_and_never_pair_a_row_with_itself():
    pairs = np.concatenate([draw_pairs(CATEGORIES, 3, epoch_generator(0, epoch)) for epoch in range(50)])
    first, second, same = pairs.T
    assert (first != second).all()
    assert ((CATEGORIES[first] == CATEGORIES[second]) == (same == 1)).all()
    assert 5 not in first and 5 not in second  # takes no part
    # Five rows have a partner; the row alone in its category has negatives only.
    assert (same == 1).sum() == 50 * 5 and (same == 0).sum() == 50 * 6 * 3
    assert set(second[(first == 0) & (same == 1)]) == {1, 2}
    assert set(second[(first == 0) & (same == 0)]) == {3, 4, 6}


def test_positive_partners_are_equally_likely():
    pairs = np.concatenate([draw_pairs(np.zeros(4, int), 1, epoch_generator(0, epoch)) for epoch in range(600)])
    counts = np.bincount(pairs[pairs[:, 0] == 2, 1], minlength=4)
    assert counts[2] == 0
    assert (abs(counts[[0, 1, 3]] - 200) < 50).all()


def test_cached_features_give_the_vectors_of_the_network(recipe, examples, cpu):
    from stages.networks.backbones.features import square

    task = SiameseTask(recipe("siamese"), *examples)
    task.network.eval()
    with torch.no_grad():
        expected = task.network(square(32).decode(examples[1].data)).numpy()
    np.testing.assert_allclose(task.embed("val", np.arange(15)), expected, rtol=0, atol=1e-5)


def test_pairs_of_a_step_come_from_one_split_with_the_ratio_asked_for(recipe, examples, cpu):
    task = SiameseTask(recipe("siamese", negatives=3), *examples)
    train, val = torch.cat(task.batches(0)), torch.cat(task.val_batches())
    assert (train[:, 2] == 0).sum() == 3 * (train[:, 2] == 1).sum() == 72
    assert len(val) == 15 * 4 and val[:, :2].max() < 15
    assert not torch.equal(train, torch.cat(task.batches(1)))
    assert torch.equal(val, torch.cat(task.val_batches()))


def test_accuracy_stands_beside_that_of_guessing(recipe, examples, cpu):
    # Every validation row has a positive and three negatives.
    assert SiameseTask(recipe("siamese", negatives=3), *examples).chance == {"accuracy": pytest.approx(3 / 4)}


def test_validation_without_known_categories_has_no_pairs_and_no_loss(recipe, examples, cpu):
    train, val = examples
    strangers = val.take(np.arange(15))
    strangers.categories[:] = "hat"
    task = SiameseTask(recipe("siamese"), train, strangers)
    assert task.val_batches() == [] and task.chance == {}


def test_rare_categories_take_no_part(recipe, examples):
    assert frequent(np.array(["a", "b", "a", None], object), 2) == ["a"]
    with pytest.raises(StageError, match="siamese: 0 categories have 13 training pictures"):
        SiameseTask(recipe("siamese", min_images=13), *examples)
