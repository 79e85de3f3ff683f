"""What the profiles' comments say of a library's defaults is what the installed library has."""

import inspect
import re

import pytest

from profiles import FOLDER, composed, whole
from stages.core.params import load_params

PAPER, BASE = composed("paper"), load_params(FOLDER / "base.yaml")
CLAIM = re.compile(r"(Ultralytics|lightly|timm|torch|torchvision|pytorch-metric-learning)('s|') (own )?defaults?")


def parameters(function):
    """Name -> default of a function's parameters."""
    return {name: one.default for name, one in inspect.signature(function).parameters.items()}


def ultralytics():
    from ultralytics.cfg import DEFAULT_CFG

    return DEFAULT_CFG


def confidence():
    from ultralytics.engine.predictor import BasePredictor

    return BasePredictor(overrides={"save": False}).args.conf


def rotation():
    from lightly.transforms.rotation import random_rotation_transform
    from lightly.transforms.simclr_transform import SimCLRViewTransform

    given = parameters(SimCLRViewTransform)
    return given["rr_prob"], random_rotation_transform(1.0, given["rr_degrees"]).angle


def jitter():
    from lightly.transforms.simclr_transform import SimCLRTransform

    names = ("cj_prob", "cj_bright", "cj_contrast", "cj_sat", "cj_hue", "random_gray_scale", "cj_strength")
    return [parameters(SimCLRTransform)[name] for name in names]


def temperature():
    from lightly.loss import NTXentLoss

    return NTXentLoss().temperature


def slope():
    import torch

    return torch.nn.LeakyReLU().negative_slope


def arcface():
    from pytorch_metric_learning.losses import ArcFaceLoss

    given = parameters(ArcFaceLoss)
    return given["margin"], given["scale"]


def suppression():
    """Overlap, and whether boxes of all classes are taken for one."""
    return ultralytics().iou, ultralytics().agnostic_nms


NMS = composed("photos")["nms"]
DETECTOR = BASE["detector"]["defaults"]
# Profile and words of a remark -> what the library has, what the remark or its setting says.
REMARKS = {
    ("base", "Ultralytics' 64 gives too few steps"): lambda: (ultralytics().nbs, 64),
    ("base", "Ultralytics' default is 10 of 100"): lambda: ((ultralytics().close_mosaic, ultralytics().epochs), (10, 100)),
    ("base", "half precision where it is safe (Ultralytics' default)"): lambda: (ultralytics().amp, DETECTOR["amp"]),
    ("base", ".25 is Ultralytics' default"): lambda: (confidence(), BASE["crops"]["confidence"]),
    ("base", "lightly's default, .5, is too high"): lambda: (temperature(), 0.5),
    ("base", "lightly's defaults are SimCLR's: .8, .8, .8, .8, .2 and .2"):
        lambda: (jitter(), [0.8, 0.8, 0.8, 0.8, 0.2, 0.2, 1.0]),
    ("base", "torch's default"): lambda: (slope(), BASE["classifier"]["negative_slope"]),
    ("base", "both pytorch-metric-learning's defaults"):
        lambda: (arcface(), tuple(BASE["encoder"]["normsoftmax"][key] for key in ("margin", "scale"))),
    ("paper", "are Ultralytics' defaults. Only the shoes' training can end early by a patience of 100"): lambda: (ultralytics().patience, PAPER["detector"]["shoes"]["patience"]),
    ("photos", "This is Ultralytics' default."):
        lambda: (suppression(), (NMS["iou"], not NMS["per_class"])),
    ("paper", "Not published; lightly's default"): lambda: (temperature(), PAPER["simclr"]["temperature"]),
    ("paper", "lightly has no rotation by default, or else one by exactly 90 degrees"):
        lambda: (rotation(), (0.0, 90)),
}  # fmt: skip


def comments(profile):
    """The profile's comments, each block as one line."""
    lines = (FOLDER / f"{profile}.yaml").read_text(encoding="utf-8").splitlines()
    text = "\n".join(line.strip() for line in lines)
    return [re.sub(r"\n# ?", " ", block).removeprefix("# ") for block in re.findall(r"^#.*(?:\n#.*)*", text, re.M)]


@pytest.mark.parametrize(("profile", "words"), REMARKS)
def test_remark_about_a_default_is_true_of_the_installed_library(profile, words):
    assert sum(words in block for block in comments(profile)) == 1, "the remark has gone, or stands twice"
    theirs, said = REMARKS[profile, words]()
    assert theirs == pytest.approx(said)


@pytest.mark.parametrize("profile", ["base", "demo", "paper", "photos"])
def test_every_remark_about_a_default_is_checked(profile):
    known = [words for name, words in REMARKS if name == profile]
    for block in comments(profile):
        claims = len(CLAIM.findall(block))
        assert claims == sum(len(CLAIM.findall(words)) for words in known if words in block), block


def test_weights_of_systems_c_and_d_are_imagenets_and_see_the_size_they_were_trained_on():
    """timm's tags: ImageNet-1k, not the larger sets; what the size of a picture should be stands with the weights."""
    import timm

    encoders = whole("paper")["encoder"]
    names = ["inception_v3", "resnet50", "vgg16", "siamese", *(name for name in PAPER["encoders"] if "_oc" in name)]
    assert len(names) == 4 + 4 * 3
    for name in names:
        cfg = timm.get_pretrained_cfg(encoders[name]["backbone"])
        assert cfg.tag.endswith("in1k") and cfg.num_classes == 1000, name
        assert cfg.input_size == (3, encoders[name]["image_size"], encoders[name]["image_size"]), name
