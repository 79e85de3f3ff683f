"""A folder models/<profile> with untrained networks that find something: one detector, the classifier, an encoder."""

import torch
import yaml
from places import ROOT
from small_classifier import CLASSES
from torch import nn

from stages.core.params import Section
from stages.networks.backbones.backbones import Backbone
from stages.networks.backbones.features import save_encoder
from stages.networks.classifier import ClassifierParams, MultiHead
from stages.networks.detector.model import new_network, save_detector
from stages.networks.encoders.kinds import card_of

NAMES = ["top", "bottom", "dress"]
SUPERCLASSES = ["outwear", "bottom", "dress", "top", "vest", "headwear", "footwear"]
SMALL = {"image_size": 48, "projection": 32, "hidden": [24, 16], "heads": list(CLASSES), "pooling": "stages_colors",
         "color_heads": ["color"], "extra_backbones": [], "freeze_backbone": False, "cached_views": 0}  # fmt: skip


def noisy_detector(side=96):
    """An untrained nano network for three classes that detects something: its BatchNorms have seen fields of color, so
    that scores differ from place to place, and its class biases are not those of rare objects.
    """
    torch.manual_seed(0)
    network = new_network("yolo11n.yaml", len(NAMES))
    with torch.no_grad():
        for branch in network.model[-1].cv3:
            branch[-1].bias.fill_(-2.0)
            branch[-1].weight.mul_(0.1)  # no score so near to 1 that rounding makes ties
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = None  # the plain mean of what is seen
        network.train()(nn.functional.interpolate(torch.rand(16, 3, 5, 4), (side, side), mode="bilinear"))
        network.eval()
    return network


def write_detector(folder, side=96):
    """An untrained detector as its training writes it."""
    folder.mkdir(parents=True)
    network = noisy_detector(side)
    save_detector(network.state_dict(), {"model": "yolo11n.yaml", "superclasses": NAMES, "image_size": side}, folder)
    return network


def classifier_params(**changes):
    """Section ``classifier`` of the demo, made small."""
    values = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["classifier"]
    return ClassifierParams.model_validate(values | SMALL | changes)


def small_network(params):
    """An untrained classifier of ``CLASSES`` whose BatchNorms have seen something."""
    torch.manual_seed(1)
    network = MultiHead(Backbone("test_efficientnet", "none", params.pooling), CLASSES, SUPERCLASSES, params)
    with torch.no_grad():
        width = {"none": 0, "scalar": 1, "onehot": len(SUPERCLASSES) + 1}[params.detector_class]
        size = params.image_size
        network.train()(torch.randint(0, 256, (8, 3, size, size), dtype=torch.uint8), torch.rand(8, width))
    return network.eval()


def write_classifier(folder, temperatures=None, **changes):
    """An untrained classifier as its training writes it."""
    folder.mkdir(parents=True)
    params = classifier_params(**changes)
    network = small_network(params)
    card = card_of(
        "classifier", backbone="test_efficientnet", image_size=params.image_size, classes=CLASSES,
        superclasses=SUPERCLASSES, params=Section.model_dump(params, mode="json"),
    )  # fmt: skip
    save_encoder(network, card | ({"temperatures": temperatures} if temperatures else {}), folder)
    return network


def write_frozen(folder):
    """An untrained encoder of another kind."""
    from stages.networks.backbones.backbones import Extractor

    folder.mkdir(parents=True)
    torch.manual_seed(2)
    network = Extractor("test_resnet", "none", 32, "average")
    save_encoder(network, card_of("frozen", backbone="test_resnet", pooling="average", image_size=32), folder)


def write_project(root):
    """A checkout of profile ``mine`` with its params and models."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params |= {"profile": "mine", "detectors": ["clothes", "more"], "encoders": ["classifier", "plain"]}
    params["crops"] |= {"confidence": 0.3}
    root.mkdir(parents=True, exist_ok=True)
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    write_detector(root / "models/mine/detectors/clothes")
    write_detector(root / "models/mine/detectors/more", side=64)
    write_classifier(root / "models/mine/encoders/classifier", temperatures={"type": 2.0})
    write_frozen(root / "models/mine/encoders/plain")
