"""The published detectors (docs/methods.md, section A) at their full size."""

import resource
import time
from argparse import Namespace
from types import SimpleNamespace

import pytest

from profiles import composed
from stages.core.params import section
from stages.detection.params import DetectorParams
from stages.detection.training import train_detector as train
from stages.networks.detector.model import Detector
from stages.networks.detector.params import NmsParams

PAPER = composed("paper")
EPOCHS = {"deepfashion2": 57, "headwear": 20, "shoes": 150}
# Ultralytics' own summary of YOLO11x for COCO's 80 classes (cfg/models/11/yolo11.yaml). Its last layers are three
# convolutions of 384 channels to the classes, one for each stride: a class costs 3 x (384 + 1) parameters.
COCO_PARAMETERS, COCO_CLASSES, CLASS_PARAMETERS = 56_966_176, 80, 3 * 385


def options(name):
    return section(DetectorParams, f"detector.{name}", PAPER)


@pytest.mark.parametrize("name", EPOCHS)
def test_recipe_is_the_published_one(name):
    from ultralytics.cfg import DEFAULT_CFG

    published = {
        "imgsz": 256,
        "batch": 32,
        "optimizer": "SGD",
        "momentum": 0.937,
        "cos_lr": True,
        "epochs": EPOCHS[name],
    }
    arguments = options(name).ultralytics()
    assert published.items() <= arguments.items()
    # Mosaic, HSV, flip and affine, each at Ultralytics' default, as all that the publication does not say.
    rest = {key: value for key, value in arguments.items() if key not in {*published, "seed", "freeze", "copy_paste"}}
    assert rest == {key: getattr(DEFAULT_CFG, key) for key in rest}
    assert set(rest) >= {"mosaic", "hsv_h", "hsv_s", "hsv_v", "fliplr", "translate", "scale", "patience", "lr0"}
    assert (arguments["copy_paste"], arguments["freeze"]) == (0.0, None)
    assert (options(name).model, options(name).weights) == ("yolo11x.yaml", "download")


def test_suppression_is_ultralytics_default():
    from ultralytics.cfg import DEFAULT_CFG

    nms = section(NmsParams, "nms", PAPER)
    assert (nms.iou, not nms.per_class) == (DEFAULT_CFG.iou, DEFAULT_CFG.agnostic_nms) == (0.7, False)


def test_detectors_are_the_three_published_ones():
    assert PAPER["detectors"] == list(EPOCHS)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "classes"), [("deepfashion2", 5), ("headwear", 1), ("shoes", 1)])
def test_network_is_yolo11x_with_the_classes_of_the_detector(name, classes):
    import torch

    from stages.networks.detector.model import new_network

    assert len(options(name).superclasses) == classes
    network = new_network(options(name).model, classes)
    parameters = sum(weight.numel() for weight in network.parameters())
    assert parameters == COCO_PARAMETERS - CLASS_PARAMETERS * (COCO_CLASSES - classes)
    assert round(parameters / 1e6, 1) == 56.9
    assert network.stride.tolist() == [8, 16, 32]
    assert (network.model[-1].nc, network.yaml["nc"]) == (classes, classes)
    with torch.no_grad():
        found = network(torch.zeros(1, 3, 256, 256))[0]
    # A box and a score for each class in every cell of the three maps.
    assert found.shape == (1, 4 + classes, 32**2 + 16**2 + 8**2)


@pytest.mark.slow
def test_one_training_step_at_full_size(draw_rectangles, tmp_path, monkeypatch):
    """The stage itself, with the published params but two pictures, one epoch and no weights to download."""
    import torch

    from stages.detection.training.trainer import ResumableTrainer

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEAMLINE_DEVICE", "cpu")
    (tmp_path / "params.yaml").write_text("runtime: {threads: 2, deterministic: true}\n")
    end, seen = ResumableTrainer._end_batch, []

    def spy(trainer):
        before = [weight.detach().clone() for weight in trainer.model.parameters() if weight.requires_grad]
        end(trainer)
        after = [weight for weight in trainer.model.parameters() if weight.requires_grad]
        moved = sum(not torch.equal(one, other) for one, other in zip(before, after, strict=True))
        seen.append((trainer, moved, len(after), trainer.loss_items))

    monkeypatch.setattr(ResumableTrainer, "_end_batch", spy)
    root = draw_rectangles(train=2, val=1)
    changed = {"superclasses": ["top", "bottom"], "weights": "none", "epochs": 1, "batch": 2, "close_mosaic": 0}
    paper = options("deepfashion2").model_copy(update=changed)
    args = Namespace(detector="tiny", ingested=root / "ingested", boxes=root / "boxes/tiny", out=tmp_path / "out")
    started = time.monotonic()
    report = train.main(args, SimpleNamespace(detector=paper))
    torch.use_deterministic_algorithms(False)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"one step, validation and writing: {time.monotonic() - started:.0f} s, peak memory {peak:.1f} GiB")
    ((trainer, moved, weights, losses),) = seen
    assert trainer.train_loader.batch_size == 2 and trainer.args.imgsz == 256
    assert type(trainer.optimizer) is torch.optim.SGD and trainer.optimizer.param_groups[0]["nesterov"]
    assert len(losses) == 3 and all(0 < float(loss) < float("inf") for loss in losses.values())
    assert moved > 0.9 * weights  # what no cell with a garment reaches has no gradient
    assert report.curves["train_box_loss"][0] == pytest.approx(float(losses["box_loss"]), abs=1e-4)
    assert Detector(tmp_path / "out").names == ["top", "bottom"]
