"""Every encoder of profile paper at full size: its network is built, takes one real step, and gives vectors."""

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
# Width of a vector, and millions of weights (to 1 %). SE-ResNet50's and SE-ResNeXt50's are those that D publishes.
SHAPES = {
    "untrained": (2048, 23.5),
    "imagenet": (1280, 3.37),
    "inception_v3": (2048, 21.8),
    "resnet50": (2048, 23.5),
    "vgg16": (512, 14.7),
    "dinov2": (768, 85.7),
    "clip": (768, 85.8),
    "siglip": (768, 92.9),
    "ensemble": (512, 38.2),
    "siamese": (256, 14.85),
    "fir_oc_is": (2048, 25.6),
    "densenet121_oc_is": (1024, 8.0),
    "seresnet50_oc_is": (2048, 28.1),
    "seresnext50_oc_is": (2048, 27.6),
    "fir_is": (2048, 23.5),
    "attention": (768, 3.66),
    "normsoftmax": (2048, 23.5),
    "arcface": (2048, 23.5),
}


def offline(recipe: Any) -> Any:
    """The recipe with random weights where it would download them."""
    if isinstance(recipe, list):
        return [offline(one) for one in recipe]
    if isinstance(recipe, dict):
        return {key: "none" if key == "weights" and one == "download" else offline(one) for key, one in recipe.items()}
    return recipe


def test_every_network_of_the_profile_is_among_those_that_take_a_step():
    def networks(names):
        return {(RECIPES[name]["kind"], str(RECIPES[name].get("backbone"))) for name in names}

    assert set(PAPER["trained_encoders"]) >= set(SHAPES)
    assert networks(SHAPES) == networks(PAPER["trained_encoders"])
    assert {RECIPES[name]["loss"] for name in SHAPES if "loss" in RECIPES[name]} == {"normsoftmax", "arcface"}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SHAPES))
def test_network_of_the_paper_takes_one_step(name, examples, cpu, tmp_path):
    """In float32 and not compiled, as in test_simclr_paper.py; with few pictures, at the published sizes."""
    raw = offline(RECIPES[name])
    if "schedule" in raw:
        raw["schedule"] |= {"epochs": 1, "batch": 4, "drop_at": []}
    raw |= {key: 2 for key in ("min_images", "per_label", "per_class") if key in raw}
    module = recipe_module(raw["kind"], name)
    recipe = module.RECIPE.model_validate(raw)
    runtime = RuntimeParams.model_validate(PAPER["runtime"] | {"precision": "float32", "compile": False})
    train, val = examples
    fitted = module.fit(recipe, train, val, Run(name, Checkpoints(tmp_path / "work", "key"), runtime))
    width, million = SHAPES[name]
    assert sum(weight.numel() for weight in fitted.network.parameters()) / 1e6 == pytest.approx(million, rel=0.01)
    (tmp_path / "out").mkdir()
    save_encoder(fitted.network, fitted.card, tmp_path / "out")
    encoder = load_encoder(tmp_path / "out")
    vectors = encoder.embed(encoder.pixels.decode(val.data[:2]), ["", ""])
    assert vectors.shape == (2, width) and np.isfinite(vectors).all()
    if "schedule" in raw:
        assert len(fitted.history) == 2 and fitted.scores["best_epoch"] == 1
