"""What is frozen stays as it was: weights, gradients and buffers, for every kind of encoder; the rest learns."""

import numpy as np
import pytest
import torch
from small import PLAIN_RUNTIME
from torch import nn

from stages.classifier.training.rows import Rows
from stages.classifier.training.trainer import Trainer as ClassifierTrainer
from stages.encoders.attention import AttentionTask
from stages.encoders.fir import FirTask
from stages.encoders.normsoftmax import NormsoftmaxTask
from stages.encoders.recipes import TrainedRecipe, recipe_module
from stages.encoders.siamese import SiameseTask
from stages.learning.acceleration import RuntimeParams
from stages.networks.backbones.backbones import Backbone, norms_with_statistics
from stages.networks.backbones.features import Pictures
from stages.networks.classifier import ClassifierParams, MultiHead
from stages.networks.encoders.kinds import KINDS, RECIPES

LITE = {"backbone": "tf_efficientnet_lite0", "weights": "packaged"}  # comes with the statistics of ImageNet
TASKS = {"fir": FirTask, "normsoftmax": NormsoftmaxTask, "attention": AttentionTask}


def snapshot(module):
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def moved(module, before):
    """Names of the weights and buffers that are other than ``before``."""
    return {name for name, value in module.state_dict().items() if not torch.equal(value, before[name])}


def steps(task, rows=12, count=2):
    """A few steps of a task's own optimizer, in its own mode."""
    optimizer = torch.optim.Adam(task.groups())
    for _ in range(count):
        task.training_mode()
        optimizer.zero_grad()
        task.figures("train", torch.arange(rows))["loss"].backward()
        optimizer.step()


def attention(recipe, **changes):
    """A small attention network on a branch of ImageNet's."""
    values = recipe("attention").network.model_dump() | {"branch": LITE["backbone"], "weights": "packaged"} | changes
    return recipe("attention").network.model_validate(values)


def build(kind, recipe, examples, **changes):
    """The task of a kind on a network that came with statistics."""
    if kind == "attention":
        return AttentionTask(recipe(kind, network=attention(recipe).model_dump(), **changes), *examples)
    return TASKS[kind](recipe(kind, **LITE, **changes), *examples)


def norm_names(network, chosen):
    return {name for name, module in network.named_modules() if any(module is one for one in chosen)}


@pytest.mark.parametrize("kind", TASKS)
def test_freeze_norm_keeps_weights_and_statistics_of_layers_that_came_with_them(kind, recipe, examples, cpu):
    task = build(kind, recipe, examples, freeze_norm=True)
    of_trunk = {name for name, one in task.trunk.named_modules() if isinstance(one, nn.BatchNorm2d)}
    frozen = norms_with_statistics(task.network)
    assert len(frozen) == len(of_trunk) > 20
    before = snapshot(task.network)
    steps(task)
    names = norm_names(task.network, frozen)
    changed = moved(task.network, before)
    assert {name for name in changed if name.rpartition(".")[0] in names} == set()
    assert all(weight.grad is None for norm in frozen for weight in norm.parameters())
    assert any("conv" in name for name in changed)  # the network around them learns


@pytest.mark.parametrize("kind", TASKS)
def test_without_freeze_norm_all_of_batch_norm_moves(kind, recipe, examples, cpu):
    task = build(kind, recipe, examples, freeze_norm=False)
    before = snapshot(task.network)
    steps(task)
    statistics = {name for name in before if name.endswith("running_mean")}
    assert statistics and statistics <= moved(task.network, before)


def test_batch_norm_of_the_texture_branch_is_a_live_one_though_batch_norm_is_frozen(recipe, examples, cpu):
    task = build("attention", recipe, examples, freeze_norm=True)
    own = task.network.reduce[1]
    before = snapshot(own)
    steps(task)
    assert own.training and own.weight.grad.any()
    assert moved(own, before) == {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}


def test_freeze_norm_leaves_layers_alone_that_came_without_statistics(recipe, examples, cpu):
    """A new layer that is frozen would be an identity."""
    task = TASKS["fir"](recipe("fir", backbone="test_efficientnet", freeze_norm=True), *examples)
    assert norms_with_statistics(task.network) == []
    before = snapshot(task.network)
    steps(task)
    assert {name for name in before if name.endswith("running_mean")} <= moved(task.network, before)


@pytest.mark.parametrize("norm", [False, True], ids=["batch norm live", "batch norm frozen"])
@pytest.mark.parametrize("branch", [None, LITE["backbone"]], ids=["published", "pretrained"])
def test_frozen_branch_keeps_weights_and_statistics_and_the_rest_learns(branch, norm, recipe, examples, cpu):
    weights = "packaged" if branch else "none"
    network = attention(recipe, branch=branch, weights=weights, freeze_branch=True)
    task = AttentionTask(recipe("attention", network=network.model_dump(), freeze_norm=norm), *examples)
    before, rest = snapshot(task.network.branch), snapshot(task.network)
    steps(task, count=3)
    assert moved(task.network.branch, before) == set()
    assert all(weight.grad is None for weight in task.network.branch.parameters())
    learns = {name for name, _ in task.network.named_parameters() if not name.startswith("branch.")}
    assert learns - moved(task.network, rest) <= {"saliency.bias"}  # softmax over places does not see it


def test_siamese_backbone_keeps_weights_and_statistics_and_the_dense_layer_learns(recipe, examples, cpu):
    task = SiameseTask(recipe("siamese", **LITE), *examples)
    pooled, dense = snapshot(task.network.pooled), snapshot(task.network.dense)
    optimizer = torch.optim.Adam(task.groups(), lr=0.01)
    task.training_mode()
    for batch in task.batches(0)[:2]:
        optimizer.zero_grad()
        task.figures("train", batch)["loss"].backward()
        optimizer.step()
    assert moved(task.network.pooled, pooled) == set()
    assert all(weight.grad is None for weight in task.network.pooled.parameters())
    assert moved(task.network.dense, dense) == {"weight"}  # distances do not see the bias


@pytest.mark.parametrize("kind", ["frozen", "ensemble"])
def test_what_is_only_fitted_keeps_the_weights_and_statistics_it_came_with(kind, recipe, examples, tmp_path, cpu):
    from stages.encoders.loop import Run
    from stages.learning.checkpoints import Checkpoints

    members = [LITE | {"pooling": "average"}, LITE | {"pooling": "stages"}]
    one = recipe(kind, **({"members": members} if kind == "ensemble" else LITE))
    network = recipe_module(kind, "test").fit(one, *examples, Run("mine", Checkpoints(tmp_path, "key"))).network
    fresh = Backbone(LITE["backbone"], "packaged").network
    copies = {name: value for name, value in network.state_dict().items() if name not in ("columns", "share")}
    assert len(copies) >= len(fresh.state_dict())
    for name, value in copies.items():
        assert torch.equal(value, fresh.state_dict()[name.partition("network.")[2]]), name


def test_frozen_backbone_of_the_classifier_keeps_weights_and_statistics_and_the_blocks_learn(crops, cpu):
    import yaml

    with open("params.yaml", encoding="utf-8") as stream:
        values = yaml.safe_load(stream)["classifier"]
    params = ClassifierParams.model_validate(
        values | {"image_size": 32, "hidden": [16, 16], "projection": 16, "heads": ["color"], "color_heads": [],
                  "pooling": "last", "beside": [], "detector_class": "none", "cached_views": 0, "average": 0.0,
                  "freeze_backbone": True, "standardise": True, "batch": 6}
    )  # fmt: skip
    network = MultiHead(Backbone(*LITE.values()), {"color": ["a", "b"]}, [], params)
    targets = {"color": torch.arange(12) % 2}
    rows = Rows(Pictures(crops, 32), torch.zeros(12, 0), targets, np.array(["s"] * 12))
    trainer = ClassifierTrainer(network, rows, params, RuntimeParams(**PLAIN_RUNTIME))
    before = snapshot(network)
    for batch in trainer.batches(0):
        trainer.train()
        trainer.optimizer.zero_grad()
        trainer.figures(batch)["loss"].backward()
        trainer.optimizer.step()
    changed = moved(network, before)
    assert {name for name in changed if name.startswith("backbone.")} == set()
    assert all(weight.grad is None for weight in network.backbone.parameters())
    assert {"standardise.running_mean", "projection.weight", "blocks.0.norm.running_mean"} <= changed


def test_every_kind_of_encoder_is_asked_here():
    """SimCLR trains all of its network and freezes nothing: there is no key for it."""
    from stages.simclr.model import SimclrParams

    trained = {kind for kind in RECIPES if issubclass(recipe_module(kind, "test").RECIPE, TrainedRecipe)}
    assert trained == set(TASKS)
    assert set(KINDS) - set(RECIPES) == {"classifier", "simclr"}
    assert not [name for name in SimclrParams.model_fields if "freeze" in name]
