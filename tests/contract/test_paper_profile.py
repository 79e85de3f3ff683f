"""The published settings hold together without the published data: plan, params and the classifier at full size."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from profiles import composed
from stages.core.params import section
from stages.report.run_seeds import copy_tree

ROOT = Path(__file__).resolve().parents[2]
PAPER = composed("paper")
PUBLISHED_CLASSES = {"gender": 2, "type": 32, "usage": 4, "color": 13, "fabric": 7, "pattern": 7}


@pytest.mark.slow
def test_switching_to_paper_plans_every_stage_once_after_the_stages_it_needs(tmp_path):
    tree = tmp_path / "tree"
    copy_tree(ROOT, tree)
    (tree / ".dvc" / "config.local").write_text(f"[core]\nno_scm = true\n[cache]\ndir = {tmp_path}/cache\n")
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "SEAMLINE_TRACKING": "off",
    }

    def command(*words: str) -> str:
        done = subprocess.run(words, cwd=tree, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    command(sys.executable, "-m", "stages.run", "use", "paper", "--discard-edits")  # what `make use PROFILE=paper` runs
    assert yaml.safe_load((tree / "params.yaml").read_text(encoding="utf-8")) == PAPER
    from dvc.repo import Repo

    with Repo(str(tree)) as repo:
        stages = {one.name: one for one in repo.index.stages}
        outs = {name: [Path(out.fs_path) for out in one.outs] for name, one in stages.items()}
        deps = {name: [Path(dep.fs_path) for dep in one.deps if dep.protocol != "params" and hasattr(dep, "fs_path")]
                for name, one in stages.items()}  # fmt: skip
    # DVC hashes deps even where it only plans, so there must be something in each place.
    for path in [
        *(tree / "data" / "raw" / source for source in PAPER["sources"]),
        *(p for ps in outs.values() for p in ps),
    ]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch() if path.suffix else path.mkdir(exist_ok=True)

    planned = re.findall(r"^Running stage '(.+)':$", command("dvc", "repro", "--dry"), re.MULTILINE)
    assert sorted(planned) == sorted(stages), "each stage once"
    place = {name: index for index, name in enumerate(planned)}
    for name, needed in deps.items():
        for other, made in outs.items():
            if other != name and any(a == b or a in b.parents or b in a.parents for a in needed for b in made):
                assert place[other] < place[name], f"{name} before {other}"

    expected = {f"{stage}@{item}" for stage, items in [
        ("ingest", PAPER["sources"]), ("boxes", PAPER["detectors"]), ("train_detector", PAPER["detectors"]),
        ("labels", PAPER["label_sources"]), ("crops", PAPER["label_sources"]), ("benchmark", PAPER["benchmarks"]),
        ("train_encoder", PAPER["trained_encoders"]),
    ] for item in items} | {"dataset", "pretrain", "train_classifier", "evaluate_detector", "evaluate_classifier", "embed",
                            "evaluate_retrieval", "statistics", "leakage"}  # fmt: skip
    assert expected <= set(planned)
    assert not [name for name in planned if name.startswith("demo")], "nothing is drawn"


# The classifier at full size.


def test_tables_give_the_published_numbers_of_classes():
    from stages.labels.merging import read_label_tables

    vocabulary = read_label_tables(ROOT / "tables").vocabulary()
    assert {head: len(vocabulary[head]) for head in PUBLISHED_CLASSES} == PUBLISHED_CLASSES
    assert PAPER["classifier"]["heads"] == list(PUBLISHED_CLASSES)


# Sections of A as the publication prints them, typed from its tables; what it leaves open is not here.
PUBLISHED = {
    "labels": {"gender_policy": "drop_row"},
    "crops": {"agreement": "required", "assignment": "each_alone", "no_detection": "reject", "confidence": 0.34},
    "classifier": {
        # Input: crops, "resize (256, 256)", and the predicted label of the detector, of every row.
        "image_size": 256, "fit": "stretch", "detector_class": "scalar", "class_missing": 0,
        # ResNet101's 2048 features -> [1024 + 1 -> 512 -> 512] with BatchNorm.
        "pooling": "last", "extra_backbones": [], "standardize": False, "color_heads": [],
        "projection": 1024, "hidden": [512, 512], "batch_norm": True,
        # The backbone learns with the heads: Adam, 1e-4 heads and FC, 5e-5 backbone, 20 epochs, no scheduler.
        "freeze_backbone": False, "cached_views": 0, "epochs": 20, "learning_rate": 1e-4,
        "backbone_learning_rate": 5e-5, "schedule": "constant", "warmup_epochs": 0, "average": 0,
        # Focal loss and masked cross entropy with class weights; sources take turns.
        "class_weights": True, "label_smoothing": 0, "missing_labels": "masked", "interleave": "batches",
    },
}  # fmt: skip
AUGMENTATION = {
    "effects_on": "crop",  # the table ends with the resize
    "blur": 0.3, "blur_sigma": [0.5, 1.5], "brightness": 0.1, "contrast": 0.1, "factor": [0.8, 1.2],
    "jpeg": 0.3, "jpeg_quality": [40, 70],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "key", "value"), [(name, key, value) for name, own in PUBLISHED.items() for key, value in own.items()]
)
def test_settings_of_labels_crops_and_classifier_are_the_published_ones(name, key, value):
    assert PAPER[name][key] == value


def test_augmentation_of_the_classifier_is_the_published_table_and_nothing_else():
    augment = dict(PAPER["classifier"]["augment"])
    geometry = augment.pop("geometry")
    assert augment == AUGMENTATION
    assert (geometry["flip"], geometry["rotation"], geometry["min_scale"], geometry["mask"]) == (0, 0, 1, 0)


def test_both_losses_of_the_classifier_take_part_and_it_uses_dropout():
    section = PAPER["classifier"]
    assert 0 < section["focal_share"] < 1 and section["dropout"] > 0


def test_rates_of_the_classifier_are_the_published_ones_in_its_last_step_too(monkeypatch):
    import numpy as np
    import torch
    from small import PLAIN_RUNTIME

    from stages.classifier.training.batches import Samples
    from stages.classifier.training.trainer import Trainer
    from stages.learning.acceleration import RuntimeParams
    from stages.networks.backbones.backbones import Backbone
    from stages.networks.backbones.features import Pictures
    from stages.networks.classifier import ClassifierParams, MultiHead, encode_detected

    monkeypatch.setenv("SEAMLINE_DEVICE", "cpu")
    params = section(ClassifierParams, "classifier", PAPER)
    superclasses = ["top", "bottom"]
    network = MultiHead(Backbone("test_resnet", "none", "last"), {"gender": ["a", "b"]}, superclasses, params)
    detected = encode_detected(params.detector_class, ["top"] * 40, superclasses)
    rows = Samples(Pictures([], 256), detected, {"gender": torch.zeros(40, dtype=torch.long)}, np.array(["s"] * 40))
    trainer = Trainer(network, rows, params, RuntimeParams(**PLAIN_RUNTIME))
    assert type(trainer.optimizer) is torch.optim.Adam
    rates = set()
    for _ in range(20 * 2):  # epochs, and batches of 32 among 40 rows
        rates.add(tuple(group["lr"] for group in trainer.optimizer.param_groups))
        trainer.optimizer.step()
        trainer.schedule.step()
    assert rates == {(1e-4, 5e-5)}


@pytest.mark.slow
def test_classifier_of_the_paper_has_the_published_widths_and_learns_in_one_step():
    import torch

    from stages.classifier.training.batches import masked_sums
    from stages.labels.merging import read_label_tables
    from stages.networks.backbones.backbones import Backbone
    from stages.networks.classifier import ClassifierParams, MultiHead, encode_detected

    torch.manual_seed(0)
    params = section(ClassifierParams, "classifier", PAPER)
    tables = read_label_tables(ROOT / "tables")
    vocabulary = tables.vocabulary()
    classes = {head: sorted(vocabulary[head]) for head in params.heads}
    superclasses = list(tables.superclasses["superclass"])
    backbone = Backbone(PAPER["simclr"]["backbone"], "none", params.pooling)
    network = MultiHead(backbone, classes, superclasses, params)

    shape = {
        name: tuple(weight.shape) for name, weight in network.named_parameters() if not name.startswith("backbone.")
    }
    assert PAPER["simclr"]["backbone"] == "resnet101" and backbone.width == 2048
    # torchvision's ResNet101 has 44,549,160 parameters, 2,049,000 of them in the layer for ImageNet's 1000 classes.
    assert sum(weight.numel() for weight in backbone.parameters()) == 44_549_160 - 2_049_000
    assert shape["projection.weight"] == (1024, 2048)
    assert shape["blocks.0.linear.weight"] == (512, 1024 + 1)
    assert shape["blocks.1.linear.weight"] == (512, 512)
    assert len(network.blocks) == 2
    heads = {head: shape[f"heads.head_{head}.weight"] for head in classes}
    assert heads == {head: (count, 512) for head, count in PUBLISHED_CLASSES.items()}

    own = [weight for name, weight in network.named_parameters() if not name.startswith("backbone.")]
    groups = [{"params": own, "lr": params.learning_rate},
              {"params": list(backbone.parameters()), "lr": params.backbone_learning_rate}]  # fmt: skip
    optimizer = torch.optim.Adam(groups, weight_decay=params.weight_decay)
    before = {name: weight.detach().clone() for name, weight in network.named_parameters()}
    images = torch.randint(0, 256, (2, 3, params.image_size, params.image_size), dtype=torch.uint8)
    detected = encode_detected(params.detector_class, ["top", "footwear"], superclasses)
    assert (params.image_size, detected.shape) == (256, (2, 1))

    network.train()
    logits = network(images, detected)
    assert {head: tuple(values.shape) for head, values in logits.items()} == {
        head: (2, count) for head, count in PUBLISHED_CLASSES.items()
    }
    # The second row knows no fabric: -1 teaches nothing, and the head still learns from the first.
    targets = {head: torch.tensor([1, -1 if head == "fabric" else 0]) for head in classes}
    sums = [masked_sums(logits[head], targets[head], None, params.focal_share, params.focal_gamma) for head in classes]
    loss = torch.stack([total / weight for total, weight in sums]).mean()
    loss.backward()
    optimizer.step()
    assert torch.isfinite(loss)
    still = [name for name, weight in network.named_parameters() if torch.equal(weight, before[name])]
    # timm starts every residual branch at zero (the last norm of a block), so the first step cannot reach into them.
    branch = re.compile(r"backbone\.network\.layer\d\.\d+\.(conv\d|bn[12])\.")
    assert [name for name in still if not branch.match(name)] == [], "stem, last norms, projection, blocks, heads moved"
    assert len(still) == 231 == 33 * 7, "seven tensors of each of the 33 blocks"
    assert all(torch.isfinite(weight).all() for weight in network.parameters())
