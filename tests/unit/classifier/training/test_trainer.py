"""How the classifier's training moves: its steps and rates, missing labels, the running mean of its weights."""

import numpy as np
import pandas as pd
import pytest
import torch
from small import PLAIN_RUNTIME
from small_classifier import CLASSES, RUNTIME, frame, head_of
from torch.testing import assert_close

from stages.classifier.training.batches import (
    UNKNOWN,
    Effects,
    Samples,
    accuracies,
    class_weights,
    masked_sums,
    prepare,
)
from stages.classifier.training.train_classifier import check_batch, choose_classes
from stages.classifier.training.trainer import Trainer
from stages.core.errors import StageError
from stages.learning import loop
from stages.learning.acceleration import RuntimeParams
from stages.learning.checkpoints import Checkpoints
from stages.learning.distributed import Group
from stages.learning.loop import cosine, train_epoch
from stages.networks.backbones.backbones import Backbone
from stages.networks.backbones.features import Pictures
from stages.networks.classifier import MultiHead, encode_detected


@pytest.fixture
def trainer(cpu, params, crops, superclasses):
    def make(detector_class="none", **changes):
        options = params(detector_class=detector_class, pooling="last", **changes)
        network = MultiHead(Backbone("mobilenetv3_small_050", "none"), {"color": ["a", "b"]}, superclasses, options)
        detected = encode_detected(detector_class, ["outwear", "top", "footwear"] * 2, superclasses)
        rows = Samples(Pictures(crops, 32), detected, {"color": torch.tensor([0, 1, 0, 1, 0, 1])}, np.array(["s"] * 6))
        return Trainer(network, rows, options, RUNTIME)

    return make


def test_processes_that_would_hold_a_single_row_are_refused(trainer, tmp_path):
    with pytest.raises(StageError, match="classifier.batch is 5, too few for 3 processes"):
        check_batch(5, 3, "classifier.batch")
    check_batch(6, 3, "classifier.batch")
    one = trainer()
    one.group = Group(0, 4)
    with pytest.raises(
        StageError, match=r"6 training crops, expected 8 or more: .*Add items .*or lower runtime.processes"
    ):
        one.fit(one.rows, Checkpoints(tmp_path, "key"))


def test_learning_rate_rises_over_the_warm_up_and_falls_with_the_cosine(trainer):
    share = cosine(40, 10)  # four epochs of ten steps, the first of them the warm-up
    shares = [share(step) for step in range(40)]
    assert shares[0] == pytest.approx(0.1)
    assert shares[:9] == sorted(shares[:9])
    assert shares[9:] == sorted(shares[9:], reverse=True)
    assert shares[20] == pytest.approx(0.5)  # half way down
    assert cosine(40, 0)(0) == 1.0
    one = trainer(epochs=2, warmup_epochs=1, learning_rate=0.2, backbone_learning_rate=0.1)  # two steps an epoch
    rates = [[group["lr"] for group in one.optimizer.param_groups]]
    for epoch in range(2):
        train_epoch(one, epoch)
        rates.append([group["lr"] for group in one.optimizer.param_groups])
    # Step 0: half way up; step 2: up, and half way down; after step 3: at the end of the cosine.
    assert rates == [pytest.approx([0.1, 0.05]), pytest.approx([0.1, 0.05]), pytest.approx([0, 0])]


def test_constant_rates_stay_what_they_are_to_the_last_step(trainer):
    one = trainer(epochs=3, schedule="constant", learning_rate=1e-4, backbone_learning_rate=5e-5)
    rates = []
    one.stepped = lambda: rates.append([group["lr"] for group in one.optimizer.param_groups])
    for epoch in range(3):
        train_epoch(one, epoch)
    assert rates == 6 * [[1e-4, 5e-5]]  # two steps an epoch


def test_constant_rates_rise_over_the_warm_up(trainer):
    one = trainer(epochs=2, schedule="constant", warmup_epochs=1, learning_rate=0.2)
    rates = []
    one.stepped = lambda: rates.append(one.optimizer.param_groups[0]["lr"])
    for epoch in range(2):
        train_epoch(one, epoch)
    assert rates == pytest.approx([0.1, 0.2, 0.2, 0.2])


def seen_classes(one, count):
    """Encoded classes [count, rows, width] that the network is given in as many steps on all six rows."""
    seen = []
    one.network.register_forward_hook(lambda network, given, out: seen.append(given[1]))
    for _ in range(count):
        one.losses(torch.arange(6))
    return torch.stack(seen)


NOTHING = {"scalar": [1.0], "onehot": [0.0] * 7 + [1.0]}  # what a benchmark shows that knows no detection


@pytest.mark.parametrize("kind", ["scalar", "onehot"])
def test_training_rows_see_no_class_as_often_as_asked_and_otherwise_their_own(trainer, kind):
    one = trainer(kind, class_missing=0.3)
    seen = seen_classes(one, 60)
    nothing = (seen == torch.tensor(NOTHING[kind])).all(dim=2)
    assert nothing.float().mean() == pytest.approx(0.3, abs=0.08)  # of 360
    assert torch.equal(seen[~nothing], one.rows.detected.expand(60, -1, -1)[~nothing])
    assert 0 < nothing[:, 0].sum() < 60  # anew in each step


def test_without_missing_classes_every_row_sees_its_own_and_nothing_is_drawn(trainer):
    one = trainer("scalar", class_missing=0.0)
    assert torch.equal(seen_classes(one, 3), one.rows.detected.expand(3, -1, -1))
    torch.manual_seed(5)
    one._detected(torch.arange(6))
    after = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(after, torch.rand(1))


@pytest.mark.parametrize("views", [0, 2])
def test_network_learns_from_crops_that_were_changed_at_their_own_size(trainer, params, monkeypatch, views):
    """Crops of 40 pixels, input of 32: the effects see the former."""
    sizes = []
    monkeypatch.setattr(Effects, "__call__", lambda self, image: sizes.append(image.size) or image)
    augment = params().augment.model_dump() | {"effects_on": "crop"}
    one = trainer(augment=augment, freeze_backbone=views > 0, cached_views=views)
    if views:
        one._cache(one.rows)
    else:
        one.losses(torch.arange(6))
    assert sizes == [(40, 40)] * 6 * (views or 1)


def test_missing_classes_reach_heads_on_cached_features_too(trainer):
    one = trainer("scalar", class_missing=0.5, freeze_backbone=True, cached_views=1)
    one._cache(one.rows)
    seen = []
    logits_of = one.network.logits_of
    one.network.logits_of = lambda features, detected: seen.append(detected) or logits_of(features, detected)
    for _ in range(20):
        one.losses(torch.arange(6))
    assert (torch.stack(seen) == 1).float().mean() == pytest.approx(0.5, abs=0.15)


@pytest.mark.parametrize(("keep", "epoch"), [("best", 2), ("last", 3)])
def test_epoch_that_is_kept(trainer, keep, epoch, monkeypatch, tmp_path):
    one, scores = trainer(epochs=3, keep=keep), iter([0.5, 0.75, 0.25])
    monkeypatch.setattr("stages.classifier.training.trainer.accuracies", lambda *_: {"color": next(scores)})
    states = []
    monkeypatch.setattr(loop, "train_epoch", lambda *_: states.append(_shift(one.network)) or {"train_loss": 1.0})
    trained = one.fit(one.rows, Checkpoints(tmp_path, "key"))
    assert (trained.epoch, trained.row["val_mean_accuracy"]) == (epoch, {2: 0.75, 3: 0.25}[epoch])
    assert torch.equal(one.network.projection.bias, states[epoch - 1])


def _shift(network):
    """A training that moves one bias; what it is now."""
    with torch.no_grad():
        network.projection.bias.add_(1.0)
    return network.projection.bias.clone()


def test_running_mean_of_the_weights_by_hand(trainer):
    one = trainer(average=0.5)
    name = "projection.weight"
    start = one.kept.state_dict()[name].clone()
    with torch.no_grad():
        one.network.state_dict()[name].add_(1.0)
    one.stepped()  # the first step: keeps 1/10 of what it was
    assert_close(one.kept.state_dict()[name], start + 0.9, rtol=0, atol=1e-5)
    one.schedule.last_epoch = 1000
    one.stepped()  # keeps the half that `average` allows
    assert_close(one.kept.state_dict()[name], start + 0.95, rtol=0, atol=1e-5)


def test_without_average_the_weights_themselves_are_scored(trainer):
    one = trainer(average=0.0)
    assert one.kept is one.network


def test_every_step_calls_the_network_as_a_whole_which_is_what_is_compiled(trainer):
    one, calls = trainer(freeze_backbone=False), []
    one.network.register_forward_hook(lambda *given: calls.append(1))
    train_epoch(one, 0)
    assert len(calls) == 2  # six rows in batches of four


def test_heads_on_cached_features_learn_what_they_would_from_the_pictures(cpu, params, crops, superclasses):
    """One view without augmentation: the same batches, so the same weights but for rounding.

    Adam divides a gradient by its size, so rounding turns the step of a weight without a gradient around.
    """
    still = {"flip": 0.0, "rotation": 0.0, "min_scale": 1.0, "mask": 0.0, "mask_share": 0.0}
    off = params().augment.model_dump() | {"blur": 0, "brightness": 0, "contrast": 0, "jpeg": 0, "geometry": still}
    results = []
    for views in (0, 1):
        torch.manual_seed(3)
        options = params(detector_class="none", pooling="last", augment=off, freeze_backbone=True, cached_views=views,
                         epochs=2, dropout=0.0)  # fmt: skip
        network = MultiHead(Backbone("mobilenetv3_small_050", "none"), {"color": ["a", "b"]}, superclasses, options)

        def rows():
            targets = {"color": torch.tensor([0, 1, 0, 1, 0, 1])}
            return Samples(Pictures(crops, 32), torch.zeros(6, 0), targets, np.array(["s"] * 6))

        one = Trainer(network, rows(), options, RUNTIME)
        trained = one.fit(rows(), NoCheckpoints())
        results.append((trained.history[0]["train_loss"], network.state_dict()["projection.weight"]))
    assert results[1][0] == pytest.approx(results[0][0], abs=1e-5)
    assert float(((results[1][1] - results[0][1]).abs() < 1e-4).float().mean()) > 0.9999


def test_validation_without_a_single_label_is_refused(trainer, crops):
    nothing = Samples(
        Pictures(crops[:2], 32), torch.zeros(2, 0), {"color": torch.tensor([-1, -1])}, np.array(["s"] * 2)
    )
    with pytest.raises(StageError, match="none of the 2 validation crops has a label of color"):
        trainer(epochs=1).fit(nothing, NoCheckpoints())


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_diverged_training_is_one_message(trainer, loss, monkeypatch):
    one = trainer(epochs=1)
    monkeypatch.setattr(loop, "train_epoch", lambda *_: {"train_loss": loss})
    with pytest.raises(StageError, match=rf"the loss is {loss} after epoch 1\. Lower classifier.learning_rate"):
        one.fit(one.rows, NoCheckpoints())


class NoCheckpoints:
    def load(self):
        return None

    def save(self, state):
        pass


VOCABULARY = {"type": ["dress", "shirt"], "color": ["blue", "red"]}


@pytest.fixture
def half_labeled(cpu, params, superclasses, crops):
    def make(missing):
        options = params(missing_labels=missing, freeze_backbone=True, pooling="last", class_weights=True)
        classes = choose_classes(VOCABULARY, ["type", "color"], missing)
        frame = pd.DataFrame({
            "bytes": crops, "source": ["a"] * 3 + ["b"] * 3, "detected_class": ["top"] * 6,
            "type": ["shirt", "dress"] * 3, "color": ["red", "blue", "red", None, None, None],
        })  # fmt: skip
        rows = prepare(frame, classes, superclasses, options)
        network = MultiHead(Backbone("test_efficientnet", "none", "last"), classes, superclasses, options)
        return Trainer(network, rows, options, RuntimeParams(**PLAIN_RUNTIME)), rows, options

    return make


def test_masked_rows_teach_nothing_and_unknown_rows_teach_unknown(half_labeled):
    for missing, expected in (("masked", None), ("as_class", 3)):
        one, rows, options = half_labeled(missing)
        logits = {head: torch.zeros(3, len(names)) for head, names in one.network.classes.items()}
        unlabeled = torch.tensor([3, 4, 5])
        loss = one._loss({"color": logits["color"]}, unlabeled)
        if expected is None:
            assert loss is None
            continue
        # Three rows of class "unknown" under three equal logits.
        targets = torch.full((3,), 2)
        weights = class_weights(torch.tensor([1, 0, 1, 2, 2, 2]), 3)
        total, weight = masked_sums(logits["color"], targets, weights, options.focal_share, options.focal_gamma)
        assert loss.item() == pytest.approx((total / weight).item())
        assert one.weights["color"].tolist() == pytest.approx(weights.tolist())
        # Scores leave rows without a label out all the same: saying "unknown" is never right.
        assert rows.targets["color"].tolist() == [1, 0, 1, UNKNOWN, UNKNOWN, UNKNOWN]
        always_unknown = torch.eye(3)[[2] * 6].numpy()
        assert accuracies({"color": always_unknown}, rows) == {"color": 0.0}


def test_epoch_trains_and_a_frozen_backbone_stays_as_it_was(network, crops, superclasses):
    for frozen in (True, False):
        torch.manual_seed(0)
        model, options = network(freeze_backbone=frozen)
        rows = prepare(frame(crops), CLASSES, superclasses, options)
        before = {name: value.clone() for name, value in model.state_dict().items()}
        assert np.isfinite(train_epoch(Trainer(model, rows, options, RUNTIME), 0)["train_loss"])
        changed = {name for name, value in model.state_dict().items() if not torch.equal(before[name], value)}
        assert any(name.startswith("heads.") for name in changed)
        assert any(name.startswith("backbone.") for name in changed) is not frozen


def test_head_without_labels_in_the_batch_is_not_touched(network, crops, superclasses):
    model, options = network(freeze_backbone=True)
    data = frame(crops).assign(color=None)
    before = head_of(model, "color").weight.clone()
    train_epoch(Trainer(model, prepare(data, CLASSES, superclasses, options), options, RUNTIME), 0)
    assert torch.equal(head_of(model, "color").weight, before)
