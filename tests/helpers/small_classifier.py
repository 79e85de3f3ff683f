"""A classifier small enough for tests: fixtures for the conftest of a package, its classes and rows of six crops."""

import pandas as pd
import pytest
import yaml
from PIL import Image
from places import ROOT
from small import PLAIN_RUNTIME

from stages.contracts.images import encode_jpeg
from stages.learning.acceleration import RuntimeParams
from stages.networks.backbones.backbones import Backbone
from stages.networks.classifier import ClassifierParams, MultiHead

RUNTIME = RuntimeParams(**PLAIN_RUNTIME)
CLASSES = {"type": ["dress", "shirt", "skirt"], "color": ["blue", "red"]}


@pytest.fixture
def params():
    """Section ``classifier`` with changes."""

    def make(**changes):
        values = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["classifier"]
        small = {"image_size": 32, "projection": 1024, "hidden": [512, 512], "batch": 4, "heads": ["type", "color"],
                 "dropout": 0.2, "freeze_backbone": False, "cached_views": 0, "average": 0.0, "label_smoothing": 0.0,
                 "pooling": "stages", "standardize": False, "color_heads": [], "extra_backbones": [], "keep": "best"}  # fmt: skip
        return ClassifierParams.model_validate(values | small | changes)

    return make


@pytest.fixture
def superclasses():
    return ["outwear", "bottom", "dress", "top", "vest", "headwear", "footwear"]


@pytest.fixture
def network(cpu, params, superclasses):
    """Makes a network of ``CLASSES`` with changed params, and gives the params too."""

    def make(**changes):
        options = params(**changes)
        return MultiHead(
            Backbone("test_efficientnet", "none", options.pooling), CLASSES, superclasses, options
        ), options

    return make


def plain_crops():
    """Six JPEG crops of one color each."""
    names = ("red", "green", "blue", "white", "black", "gray")
    return [encode_jpeg(Image.new("RGB", (40, 40), color)) for color in names]


def head_of(model, head):
    """The linear layer of a head, whatever prefix its module's name has."""
    (layer,) = [layer for name, layer in model.heads.items() if name.endswith(head)]
    return layer


def frame(crops):
    """Rows of six crops from two sources; one lacks its type, one its color."""
    return pd.DataFrame({
        "bytes": crops, "source": ["a"] * 3 + ["b"] * 3, "detected_class": ["top", "dress", "none"] * 2,
        "type": ["shirt", "dress", "skirt", "skirt", None, "shirt"], "color": ["red", None, "blue", "blue", "red", "red"],
    })  # fmt: skip
