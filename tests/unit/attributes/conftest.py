"""Params of a small classifier, and crops that differ by color."""

import pytest
import torch
import yaml
from PIL import Image

from stages.contracts.images import encode_jpeg
from stages.networks.classifier import ClassifierParams

SUPERCLASSES = ["outwear", "bottom", "dress", "top", "vest", "headwear", "footwear"]


@pytest.fixture
def params():
    """Section ``classifier`` with changes."""

    def make(**changes):
        with open("params.yaml", encoding="utf-8") as stream:
            values = yaml.safe_load(stream)["classifier"]
        small = {"image_size": 32, "projection": 1024, "hidden": [512, 512], "batch": 4, "heads": ["type", "color"],
                 "dropout": 0.2, "freeze_backbone": False, "cached_views": 0, "average": 0.0, "label_smoothing": 0.0,
                 "pooling": "stages", "standardise": False, "color_heads": [], "beside": [], "keep": "best"}  # fmt: skip
        return ClassifierParams.model_validate(values | small | changes)

    return make


@pytest.fixture
def superclasses():
    return list(SUPERCLASSES)


@pytest.fixture(scope="session")
def crops():
    return [
        encode_jpeg(Image.new("RGB", (40, 40), color)) for color in ("red", "green", "blue", "white", "black", "gray")
    ]


@pytest.fixture
def cpu(monkeypatch):
    """The CPU with one thread, whatever the machine has, and one seed."""
    monkeypatch.setenv("SEAMLINE_DEVICE", "cpu")
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
