"""The loop of the recipes: precision, validation, batches."""

import shutil

import pytest
import torch
from torch import nn

from stages.core.errors import StageError
from stages.encoders import recipe_task as training
from stages.encoders.normsoftmax import NormsoftmaxTask
from stages.encoders.recipe_task import Run, Trainer, accelerate
from stages.encoders.recipes import recipe_module
from stages.encoders.siamese import SiameseTask
from stages.encoders.validation import Validation
from stages.learning.acceleration import RuntimeParams
from stages.learning.checkpoints import Checkpoints
from stages.learning.distributed import Group


def runtime(**changes):
    plain = {"threads": 1, "deterministic": True, "pin_instruction_set": True, "precision": "float32",
             "channels_last": False, "compile": False, "processes": 1, "engine": "local", "gpus": 0}  # fmt: skip
    return RuntimeParams.model_validate(plain | changes)


def test_trunk_computes_in_bfloat16_while_it_trains_and_gives_float32():
    torch.manual_seed(0)
    trunk = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 36, 5))
    images = torch.rand(2, 3, 8, 8)
    before = trunk(images)
    inside = []
    trunk[0].register_forward_hook(lambda module, given, result: inside.append(result.dtype))
    accelerate(trunk, runtime(precision="bfloat16"))
    trained, judged = trunk(images), trunk.eval()(images)
    assert inside == [torch.bfloat16, torch.float32]
    assert trained.dtype == judged.dtype == torch.float32
    assert torch.equal(judged, before) and not torch.equal(trained, before)
    assert torch.allclose(trained, before, atol=0.05)


def test_float32_leaves_the_trunk_as_it_is():
    trunk = nn.Sequential(nn.Conv2d(3, 4, 3))
    accelerate(trunk, runtime())
    assert "forward" not in vars(trunk)


@pytest.mark.parametrize("kind", ["fir", "normsoftmax", "attention"])
def test_recipe_trains_in_the_precision_asked_for_and_is_judged_in_float32(kind, recipe, examples, cpu, tmp_path):
    made = recipe(kind)
    made = made.model_copy(update={"schedule": made.schedule.model_copy(update={"epochs": 1, "drop_at": []})})
    found = {}
    for precision in ("float32", "bfloat16"):
        torch.manual_seed(0)
        work = Checkpoints(tmp_path / precision, "key")
        fitted = recipe_module(kind, "test").fit(made, *examples, Run(kind, work, runtime(precision=precision)))
        found[precision] = [dict(zip(fitted.header, row, strict=True)) for row in fitted.history]
    (start, one), (start_16, one_16) = found["float32"], found["bfloat16"]
    assert start == start_16
    assert one["train_loss"] != one_16["train_loss"]
    assert one_16["train_loss"] == pytest.approx(one["train_loss"], rel=0.1)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.parametrize("kind", ["fir", "normsoftmax", "attention"])
def test_compiled_recipe_learns_what_it_learns_otherwise(kind, recipe, examples, cpu, tmp_path):
    made = recipe(kind)
    made = made.model_copy(update={"schedule": made.schedule.model_copy(update={"epochs": 1, "drop_at": []})})
    if kind == "attention":  # compiled dropout draws other numbers
        made = made.model_copy(update={"network": made.network.model_copy(update={"dropout": 0.0})})
    losses = []
    for compiled in (False, True):
        torch.manual_seed(0)
        work = Checkpoints(tmp_path / str(compiled), "key")
        fitted = recipe_module(kind, "test").fit(made, *examples, Run(kind, work, runtime(compile=compiled)))
        losses.append(dict(zip(fitted.header, fitted.history[-1], strict=True))["train_loss"])
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)


def test_validation_loss_counts_each_pair_alike_however_small_the_last_batch(recipe, examples, cpu):
    task = SiameseTask(recipe("siamese"), *examples)  # 45 pairs in batches of 8
    trainer = training.Trainer(
        training.Run("mine", None), task, Validation(*examples, task.recipe.validation), task.recipe.schedule
    )
    with torch.no_grad():
        whole = {name: float(value) for name, value in task.losses("val", torch.cat(task.val_batches())).items()}
    row = trainer.validate(1)
    assert (row["val_loss"], row["val_accuracy"]) == pytest.approx((whole["loss"], whole["accuracy"]), rel=1e-5)


def test_batch_too_small_for_its_processes_is_refused(recipe, examples, cpu):
    group = Group(0, 5)
    task = NormsoftmaxTask(recipe("normsoftmax"), *examples, group)
    probe = Validation(*examples, task.recipe.validation)
    with pytest.raises(
        StageError, match=r"a batch of 8 rows is too small for 5 processes.*encoder.mine.schedule.batch"
    ):
        Trainer(Run("mine", None, None, group), task, probe, task.recipe.schedule)
