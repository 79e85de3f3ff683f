"""The loop of trainings: what it asks of an epoch, and which epoch it keeps."""

import math

import pytest
import torch
from torch.optim.lr_scheduler import LambdaLR

from stages.core.errors import StageError
from stages.learning.checkpoints import Checkpoints
from stages.learning.loop import cosine, drops, fit, train_epoch


class Line:
    """One weight that starts at 1 and is drawn to the mean of its rows by gradient descent at rate .25."""

    name, rates, schedule_by = "line", "line.rate", "epoch"

    def __init__(self, scores, rows=((2.0, 4.0), (3.0,))):
        self.kept = self.averaged = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.ones_(self.kept.weight)
        self.optimizer = torch.optim.SGD(self.kept.parameters(), lr=0.25)
        self.schedule = LambdaLR(self.optimizer, drops([1], 0.5))
        self.scores, self.rows = scores, [torch.tensor(one) for one in rows]
        self.train = self.stepped = lambda: None
        self.state, self.load_state = self.kept.state_dict, self.kept.load_state_dict
        self.warn = lambda row: None

    def batches(self, epoch):
        return self.rows

    def losses(self, rows):
        return {"loss": (self.kept.weight - rows).square().mean()} if (rows > 0).all() else None

    def weight(self, rows):
        return len(rows)

    def validate(self, epoch):
        return {"score": self.scores[epoch]}

    def score(self, row):
        return row["score"]


def test_epoch_by_hand_means_count_rows_and_the_rate_drops():
    line = Line([])
    # From 1: mean of 1 and 9, half way to the mean 3, which is 2; then 1, and half way to 3.
    assert train_epoch(line, 0) == {"learning_rate": 0.25, "train_loss": pytest.approx((2 * 5 + 1) / 3)}
    assert line.kept.weight.item() == pytest.approx(2.5)
    assert train_epoch(line, 1)["learning_rate"] == 0.125


def test_batch_that_knows_nothing_teaches_nothing_and_counts_for_nothing():
    line = Line([], rows=((2.0, 4.0), (-1.0,)))
    assert train_epoch(line, 0)["train_loss"] == pytest.approx(5)
    assert line.kept.weight.item() == pytest.approx(2)


@pytest.mark.parametrize(
    ("keep", "of_equals", "epoch"), [("best", "last", 2), ("best", "first", 1), ("last", "first", 3)]
)
def test_epoch_that_is_kept(keep, of_equals, epoch, tmp_path):
    line = Line([0.1, 0.8, 0.8, 0.3])
    trained = fit(line, 3, Checkpoints(tmp_path, "key"), keep=keep, of_equals=of_equals)
    assert (trained.epoch, trained.row["score"]) == (epoch, line.scores[epoch])
    again = Line([None] * 4)
    weights = [again.kept.weight.item()]
    for number in range(epoch):
        train_epoch(again, number)
        weights.append(again.kept.weight.item())
    assert trained.weights["weight"].item() == weights[-1]


def test_best_start_is_kept_where_it_has_a_score(tmp_path):
    trained = fit(Line([0.9, 0.8]), 1, Checkpoints(tmp_path, "key"))
    assert (trained.epoch, trained.weights["weight"].item()) == (0, 1)


def test_epoch_without_anything_to_learn_from_is_one_message(tmp_path):
    with pytest.raises(StageError, match=r"line: no batch of epoch 1 had a label to learn from\. Add labeled rows"):
        fit(Line([0, 0], rows=((-1.0,),)), 1, Checkpoints(tmp_path, "key"))


def test_rate_is_half_a_cosine():
    share = cosine(100)
    assert share(0) == 1
    assert [share(50), share(25), share(100)] == pytest.approx([0.5, 0.5 + math.sqrt(2) / 4, 0])
