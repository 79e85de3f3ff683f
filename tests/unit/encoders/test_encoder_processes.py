"""Recipes in several processes: the same training as in one, written once, resumed by all."""

import pandas as pd
import pytest
import torch
from launching import DIES_AFTER_ONE_EPOCH, TWO, contents, launch
from safetensors.torch import load
from small import PLAIN_RUNTIME

from stages.contracts.tables import BENCHMARK_TRAIN, write_rows
from stages.core.errors import StageError
from stages.encoders.normsoftmax import NormsoftmaxTask
from stages.encoders.recipe_task import Run, Trainer
from stages.encoders.validation import Validation
from stages.learning import distributed
from stages.learning.distributed import Group

STAGE = ("-m", "stages.run", "train_encoder")
STILL = {"flip": 0.0, "rotation": 0.0, "min_scale": 1.0, "mask": 0.0, "mask_share": 0.0}
# Odd batches: the processes hold unequal parts.
SCHEDULE = {"epochs": 3, "batch": 7, "learning_rate": 0.01, "drop_at": [2], "drop_factor": 0.1, "weight_decay": 0.0}
KINDS = {
    "siamese": {"schedule": SCHEDULE},
    "fir": {"dropout": 0.0},
    "normsoftmax": {"embedding": 6},
    "attention": {},
}
RUN = """
from stages.encoders.train_encoder import STAGE

STAGE.run()
"""


@pytest.fixture
def project(train_rows, recipe_values, cpu, tmp_path):
    """A project with a tiny train table; runs commands there and gives their log and the bytes of the outs."""
    write_rows(tmp_path / "benchmarks/tiny/train.parquet", BENCHMARK_TRAIN, train_rows)

    def run(out, *command, kind, script=None, dies=False, processes=2, **changes):
        params = {
            "runtime": PLAIN_RUNTIME | {"processes": processes}, "encoder": {"mine": recipe_values(kind, **changes)}
        }  # fmt: skip
        arguments = ("mine", "benchmarks/tiny", out)
        log = launch(tmp_path, *command, *arguments, params=params, script=script, dies=dies)
        return log, {} if dies else contents(tmp_path / out)

    return run


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_compute_what_one_computes(kind, project, recipe_values, tmp_path):
    """Without batch statistics and random numbers: of each of these every process has its own.

    Statistics that come with a network's weights are frozen. Attention's own batch norms cannot be, so that its two
    processes are only near one.
    """
    changes = dict(KINDS[kind])
    near = 20 if kind == "attention" else 1
    if kind in ("fir", "normsoftmax"):
        changes |= {"backbone": "tf_efficientnet_lite0", "weights": "packaged"}
    if kind != "siamese":
        changes |= {"freeze_norm": True, "geometry": STILL, "schedule": SCHEDULE}
    if kind == "attention":
        changes["network"] = recipe_values(kind)["network"] | {"dropout": 0.0}
    _, alone = project("alone", *STAGE, kind=kind, processes=1, **changes)
    log, both = project("both", *STAGE, kind=kind, **changes)
    assert [log.count(f"mine: epoch {number}/3,") for number in (1, 2, 3)] == [1, 1, 1]
    history = [pd.read_csv(tmp_path / out / "history.csv") for out in ("alone", "both")]
    assert history[1]["train_loss"][1] == pytest.approx(history[0]["train_loss"][1], rel=near * 1e-4)
    assert history[1]["train_loss"].tolist()[1:] == pytest.approx(
        history[0]["train_loss"].tolist()[1:], rel=near * 1e-2
    )
    one, other = load(alone["weights.safetensors"]), load(both["weights.safetensors"])
    if kind in ("siamese", "normsoftmax"):  # Adam makes a step of a gradient that is zero but for rounding
        assert all(torch.allclose(value, other[name], rtol=1e-2, atol=1e-3) for name, value in one.items())
    assert sorted(one) == sorted(other)
    assert sorted(alone) == sorted(both)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["fir", "siamese"])
def test_two_processes_write_once_and_resume_together(kind, project, tmp_path):
    _, unbroken = project("unbroken", *STAGE, kind=kind)
    assert not list((tmp_path / ".work/train_encoder/mine").iterdir())
    project("broken", *TWO, "script.py", kind=kind, script=DIES_AFTER_ONE_EPOCH + RUN, dies=True)
    (checkpoint,) = (tmp_path / ".work/train_encoder/mine").glob("*/*")
    assert (checkpoint.name, checkpoint.parent.name[-2:]) == ("checkpoint", "-2")
    log, resumed = project("broken", *STAGE, kind=kind)
    assert log.count("mine: resumed after epoch 1 of 3") == 1
    assert log.count("mine: epoch 1/3") == 0
    assert resumed == unbroken


@pytest.mark.slow
def test_encoder_that_is_only_fitted_runs_in_one_process(project):
    log, _ = project("fitted", *STAGE, kind="frozen")
    assert log.count("mine: 24 training and 15 validation pictures") == 1


class Other(Group):
    """The first of two processes; the other's rows are known beforehand."""

    def total(self, values):
        return values + torch.tensor([[0.0], [0.0], [5.0]])


def test_whole_batch_has_the_others_rows_and_the_gradient_of_its_own():
    own = torch.tensor([[2.0], [3.0]], requires_grad=True)
    rows = Other(0, 2).gather_rows(own, 3)
    assert rows.tolist() == [[2], [3], [5]]
    (rows * torch.tensor([[1.0], [10.0], [100.0]])).sum().backward()
    assert own.grad.tolist() == [[2], [20]]  # times two: mean_gradients divides by two
    assert distributed.ALONE.gather_rows(own, 2) is own


def test_gradients_where_no_process_has_one_stay_none():
    class Idle(Group):
        def total(self, values):
            return values

    layer = torch.nn.Linear(1, 1)
    distributed.mean_gradients(layer, Idle(0, 2))
    assert layer.weight.grad is None


def test_batch_too_small_for_its_processes_is_refused(recipe, examples, cpu):
    group = Group(0, 5)
    task = NormsoftmaxTask(recipe("normsoftmax"), *examples, group)
    probe = Validation(*examples, task.recipe.probe)
    with pytest.raises(
        StageError, match=r"a batch of 8 rows is too small for 5 processes.*encoder.mine.schedule.batch"
    ):
        Trainer(Run("mine", None, None, group), task, probe, task.recipe.schedule)
