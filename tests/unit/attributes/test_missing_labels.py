"""Options of the ladder: no BatchNorm, and missing labels as a class of their own."""

import pandas as pd
import pytest
import torch
from small import PLAIN_RUNTIME
from torch import nn

from stages.classifier.training.batches import UNKNOWN, accuracies, as_class, class_weights, masked_sums, prepare
from stages.classifier.training.train_classifier import choose_classes
from stages.classifier.training.trainer import Trainer
from stages.learning.acceleration import RuntimeParams
from stages.networks.backbones.backbones import Backbone
from stages.networks.classifier import Block, MultiHead

VOCABULARY = {"type": ["dress", "shirt"], "color": ["blue", "red"]}


def test_a_missing_label_is_the_last_class():
    assert as_class(torch.tensor([0, UNKNOWN, 1, UNKNOWN]), 3).tolist() == [0, 2, 1, 2]


def test_unknown_is_one_more_class_only_where_it_is_wanted():
    assert choose_classes(VOCABULARY, ["color"]) == {"color": ["blue", "red"]}
    assert choose_classes(VOCABULARY, ["color"], "as_class") == {"color": ["blue", "red", "unknown"]}
    assert VOCABULARY["color"] == ["blue", "red"]


def test_block_without_batch_norm_is_linear_then_leaky_relu(params):
    block = Block(2, 2, params(batch_norm=False, dropout=0.0))
    assert isinstance(block.norm, nn.Identity)
    with torch.no_grad():
        block.linear.weight.copy_(torch.eye(2))
        block.linear.bias.zero_()
    assert block(torch.tensor([[3.0, -2.0]])).tolist()[0] == pytest.approx([3.0, -0.02])
    assert not [name for name in block.state_dict() if name.startswith("norm")]
    assert isinstance(Block(2, 2, params(batch_norm=True)).norm, nn.BatchNorm1d)


@pytest.fixture
def trainer(cpu, params, superclasses, crops):
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


def test_masked_rows_teach_nothing_and_unknown_rows_teach_unknown(trainer):
    for missing, expected in (("masked", None), ("as_class", 3)):
        one, rows, options = trainer(missing)
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
