"""Losses that learn only from labels that are there, checked by slow loops."""

import math

import pytest
import torch

from stages.classifier.training.batches import UNKNOWN, class_weights, masked_sums

LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 0.5], [0.0, 3.0, 1.0], [-1.0, 0.0, 1.0]])
TARGETS = torch.tensor([0, UNKNOWN, 2, 1])


def masked_loss(*arguments, **options):
    """The loss of one process."""
    total, weight = masked_sums(*arguments, **options)
    return total / weight


def by_hand(logits, targets, weights, focal_share, gamma):
    total = total_weight = 0.0
    for row, target in zip(logits.tolist(), targets.tolist(), strict=True):
        if target == UNKNOWN:
            continue
        p = math.exp(row[target]) / sum(math.exp(value) for value in row)
        weight = weights[target] if weights else 1.0
        cross = -math.log(p)
        total += weight * ((1 - focal_share) * cross + focal_share * (1 - p) ** gamma * cross)
        total_weight += weight
    return total / total_weight


@pytest.mark.parametrize("weights", [None, [1.0, 2.0, 0.5]])
@pytest.mark.parametrize(("share", "gamma"), [(0, 2), (1, 2), (0.5, 2), (1, 0), (0.3, 1.5)])
def test_loss_is_the_loop_by_hand(weights, share, gamma):
    given = None if weights is None else torch.tensor(weights)
    loss = masked_loss(LOGITS, TARGETS, given, share, gamma)
    assert loss.item() == pytest.approx(by_hand(LOGITS, TARGETS, weights, share, gamma), rel=1e-5)


def test_focal_loss_agrees_with_torchvision_for_two_classes():
    """Two logits z and 0 are one sigmoid of z; torchvision's focal loss with alpha off is the same formula."""
    from torchvision.ops import sigmoid_focal_loss

    z = torch.tensor([1.3, -0.4, 2.2, -3.0])
    targets = torch.tensor([1, 0, 0, 1])
    logits = torch.stack([torch.zeros(4), z], dim=1)
    expected = sigmoid_focal_loss(z, targets.float(), alpha=-1, gamma=2, reduction="mean")
    assert masked_loss(logits, targets, None, 1, 2).item() == pytest.approx(expected.item(), rel=1e-5)


def test_without_focal_share_it_is_torch_cross_entropy_with_ignored_rows():
    weights = torch.tensor([1.0, 2.0, 0.5])
    expected = torch.nn.functional.cross_entropy(LOGITS, TARGETS, weights, ignore_index=UNKNOWN)
    assert masked_loss(LOGITS, TARGETS, weights, 0, 2).item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize("weights", [None, torch.tensor([1.0, 2.0, 0.5])])
def test_no_label_at_all_weighs_nothing_and_moves_nothing(weights):
    logits = LOGITS.clone().requires_grad_()
    total, weight = masked_sums(logits, torch.full((4,), UNKNOWN), weights, 0.5, 2)
    assert (total.item(), weight.item()) == (0, 0)
    total.backward()
    assert (logits.grad == 0).all()


def test_rows_without_a_label_get_no_gradient():
    logits = LOGITS.clone().requires_grad_()
    masked_loss(logits, TARGETS, None, 0.5, 2).backward()
    assert (logits.grad[1] == 0).all()
    assert all((logits.grad[row] != 0).any() for row in (0, 2, 3))


def test_unlabeled_rows_do_not_change_the_loss():
    known = TARGETS != UNKNOWN
    assert masked_loss(LOGITS, TARGETS, None, 0.5, 2) == masked_loss(LOGITS[known], TARGETS[known], None, 0.5, 2)


def test_certain_and_right_costs_nothing_and_has_a_finite_gradient():
    logits = torch.tensor([[200.0, 0.0]], requires_grad=True)
    loss = masked_loss(logits, torch.tensor([0]), None, 1, 2)
    loss.backward()
    assert loss.item() == 0
    assert torch.isfinite(logits.grad).all()


def test_class_weights_by_hand():
    # Counts 4 and 1: inverse roots 1/2 and 1; times 5 rows over (4/2 + 1) = 5/3.
    weights = class_weights(torch.tensor([0, 0, 0, 0, 1, UNKNOWN]), 2)
    assert weights.tolist() == pytest.approx([5 / 6, 5 / 3])
    assert (4 * weights[0] + weights[1]).item() / 5 == pytest.approx(1)


def test_equal_classes_weigh_one_and_a_class_without_rows_is_finite():
    assert class_weights(torch.tensor([0, 1, 2, 0, 1, 2]), 3).tolist() == pytest.approx([1, 1, 1])
    assert torch.isfinite(class_weights(torch.tensor([0, 0, UNKNOWN]), 3)).all()


def test_label_smoothing_is_torchs_own():
    logits, targets = torch.randn(6, 4), torch.tensor([0, 3, UNKNOWN, 1, 2, UNKNOWN])
    ours = masked_loss(logits, targets, None, 0.0, 2.0, smoothing=0.1)
    known = targets != UNKNOWN
    assert ours == pytest.approx(torch.nn.functional.cross_entropy(logits[known], targets[known], label_smoothing=0.1))


def test_focal_share_weighs_a_smoothed_loss_by_the_true_class_alone():
    logits = torch.log(torch.tensor([[0.7, 0.2, 0.1]]))
    smoothed = -(0.9 * math.log(0.7) + 0.1 / 3 * (math.log(0.7) + math.log(0.2) + math.log(0.1)))
    ours = masked_loss(logits, torch.tensor([0]), None, 1.0, 2.0, smoothing=0.1)
    assert float(ours) == pytest.approx(0.3**2 * smoothed, rel=1e-5)
