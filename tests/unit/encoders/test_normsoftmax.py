"""Classifier-style metric losses: the equation, their own weights and their rate."""

import math

import numpy as np
import pytest
import torch

from stages.core.errors import StageError
from stages.encoders.normsoftmax import NormsoftmaxTask, build_loss


def test_normalized_softmax_by_a_slow_loop(recipe):
    """Zhai & Wu 2019, equation 2: softmax over cosines to the class vectors, divided by the temperature."""
    torch.manual_seed(0)
    loss = build_loss(recipe("normsoftmax"), 4, 6)
    vectors, labels = torch.randn(5, 6), torch.tensor([0, 3, 1, 1, 2])
    total = 0.0
    for vector, label in zip(vectors, labels, strict=True):
        cosines = [float(vector @ proxy / (vector.norm() * proxy.norm())) for proxy in loss.W.detach().T]
        total -= math.log(math.exp(cosines[label] / 0.05) / sum(math.exp(one / 0.05) for one in cosines))
    assert loss(vectors, labels).item() == pytest.approx(total / 5, rel=1e-4)


def test_arcface_adds_its_angle_to_the_right_class(recipe):
    """Deng et al. 2019, equation 3."""
    torch.manual_seed(0)
    loss = build_loss(recipe("normsoftmax", loss="arcface"), 3, 6)
    vectors, labels = torch.randn(4, 6), torch.tensor([0, 2, 1, 1])
    total = 0.0
    for vector, label in zip(vectors, labels, strict=True):
        angles = [math.acos(float(vector @ proxy / (vector.norm() * proxy.norm()))) for proxy in loss.W.detach().T]
        logits = [64 * math.cos(angle + (math.radians(28.6) if at == label else 0)) for at, angle in enumerate(angles)]
        total -= logits[label] - torch.tensor(logits, dtype=torch.float64).logsumexp(0).item()
    assert loss(vectors, labels).item() == pytest.approx(total / 4, rel=1e-3)


def test_the_losses_weights_are_in_the_modules_and_learn_at_their_own_rate(recipe, examples, cpu):
    task = NormsoftmaxTask(recipe("normsoftmax"), *examples)
    network, loss = task.groups()
    assert [one.shape for one in loss["params"]] == [(96, 7)]  # seven known garments
    assert (network["lr"], loss["lr"]) == (0.01, pytest.approx(0.1))
    assert "loss.W" in task.modules.state_dict()


def test_rows_of_unknown_item_are_left_out_and_batches_are_balanced(recipe, examples, cpu):
    task = NormsoftmaxTask(recipe("normsoftmax"), *examples)
    for batch in task.batches(0):
        targets = task.targets[batch]
        assert targets.min() >= 0
        assert sorted(set(torch.bincount(torch.from_numpy(targets)).tolist()) - {0}) == [2]
    shuffled = NormsoftmaxTask(recipe("normsoftmax", per_class=1), *examples)
    assert set(torch.cat(shuffled.batches(0)).tolist()) <= set(range(21))


def test_classes_may_be_categories_and_one_class_is_refused(recipe, examples, cpu):
    assert NormsoftmaxTask(recipe("normsoftmax", target="category"), *examples).classes == ["shirt", "skirt"]
    train, val = examples
    one = train.take(np.arange(3))
    with pytest.raises(StageError, match=r"needs two classes; the training rows know 1 \(item\)"):
        NormsoftmaxTask(recipe("normsoftmax"), one, val)


def test_features_are_layer_normalized_without_weights(recipe, examples, cpu):
    task = NormsoftmaxTask(recipe("normsoftmax"), *examples)
    vectors = torch.from_numpy(task.embed("val", np.arange(4)))
    assert vectors.mean(1).abs().max() < 1e-5
    assert vectors.var(1, correction=0).tolist() == pytest.approx([1] * 4, abs=0.05)


def test_imprinted_class_vectors_are_the_means_of_their_pictures(recipe, examples, cpu):
    task = NormsoftmaxTask(recipe("normsoftmax", imprint=True), *examples)
    vectors = task.embed("train", np.arange(3))  # the first garment's pictures
    mean = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).mean(0)
    assert task.modules["loss"].W[:, 0].tolist() == pytest.approx(mean / np.linalg.norm(mean), abs=1e-5)
    assert torch.allclose(task.modules["loss"].W.norm(dim=0), torch.ones(7), atol=1e-5)
