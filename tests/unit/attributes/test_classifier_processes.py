"""The classifier in several processes: the same training as in one, written once, resumed by all."""

import shutil

import pandas as pd
import pytest
import torch
from launching import DIES_AFTER_ONE_EPOCH, TWO, contents, launch
from places import TABLES
from safetensors.torch import load
from small import PLAIN_RUNTIME, write_dataset

from stages.core.files import write_json
from stages.networks.backbones.backbones import Backbone
from stages.networks.backbones.features import save_encoder

STAGE = ("-m", "stages.run", "train_classifier")
INPUTS = ("dataset", "simclr", "tables")
PLAIN_AUGMENT = {
    "effects_on": "input", "blur": 0.0, "blur_sigma": [0.1, 1.0], "brightness": 0.0, "contrast": 0.0, "jpeg": 0.0, "jpeg_quality": [50, 90], "factor": [0.8, 1.2],
    "geometry": {"flip": 0.0, "rotation": 0.0, "min_scale": 1.0, "mask": 0.0, "mask_share": 0.0},
}  # fmt: skip
RUN = """
from stages.networks.classifier import ClassifierParams
from stages.classifier.training.train_classifier import main
from stages.learning.acceleration import RuntimeParams
from stages.runner.stage import Stage

sections = {"classifier": ("classifier", ClassifierParams), "runtime": ("runtime", RuntimeParams)}
Stage(main, ["dataset", "simclr", "tables", "out"], sections).run()
"""


@pytest.fixture
def project(crops, params, cpu, tmp_path):
    """A project with a tiny data set; runs commands there and gives their log and the bytes of the outs."""
    rows = [
        {
            "crop_id": f"{split}{number:02}", "bytes": crops[number % 6], "split": split, "source": "ab"[number % 2],
            "detected_class": ("top", "dress")[number % 2], "type": ("dress", "shirt", "skirt")[number % 3],
            # Two rows in all: of most batches one process knows no colour, of many none does.
            "color": {2: "blue", 9: "red"}.get(number) if split == "train" else ("blue", "red")[number % 2],
        }
        for split in ("train", "val") for number in range(14)
    ]  # fmt: skip
    write_dataset(tmp_path / "dataset", rows)
    names = {"type": ["dress", "shirt", "skirt"], "color": ["blue", "red"]}
    write_json(tmp_path / "dataset" / "vocabulary.json", names)
    (tmp_path / "tables").mkdir()
    shutil.copy(TABLES / "superclasses.csv", tmp_path / "tables")

    def run(out, *command, backbone, script=None, dies=False, processes=2, **changes):
        torch.manual_seed(0)
        (tmp_path / "simclr").mkdir(exist_ok=True)
        save_encoder(Backbone(backbone, "none"), {"backbone": backbone}, tmp_path / "simclr")
        small = {
            "epochs": 3,
            "projection": 16,
            "hidden": [16, 16],
            "learning_rate": 0.01,
            "batch": 5,
            "pooling": "last",
        }
        content = {
            "runtime": PLAIN_RUNTIME | {"processes": processes},
            "classifier": params(**small, **changes).model_dump(mode="json"),
        }
        log = launch(tmp_path, *command, *INPUTS, out, params=content, script=script, dies=dies)
        return log, {} if dies else contents(tmp_path / out)

    return run


@pytest.mark.slow
def test_two_processes_compute_what_one_computes(project, tmp_path):
    """Without batch norm, which CPUs cannot synchronise, and without random numbers, of which each draws its own."""
    changes = {
        "backbone": "test_convnext", "batch_norm": False, "dropout": 0.0, "average": 0.9, "interleave": "rows",
        "backbone_learning_rate": 0.001, "weight_decay": 0.01, "class_weights": True, "augment": PLAIN_AUGMENT,
        "class_missing": 0.0,
    }  # fmt: skip
    _, alone = project("alone", *STAGE, processes=1, **changes)
    _, both = project("both", *STAGE, **changes)
    history = [pd.read_csv(tmp_path / out / "history.csv") for out in ("alone", "both")]
    assert history[1]["train_loss"].tolist() == pytest.approx(history[0]["train_loss"].tolist(), rel=1e-4)
    assert history[0]["train_loss"][2] < history[0]["train_loss"][0]
    one, other = load(alone["weights.safetensors"]), load(both["weights.safetensors"])
    assert sorted(one) == sorted(other)
    assert all(torch.allclose(value, other[name], rtol=1e-3, atol=1e-4) for name, value in one.items())


@pytest.mark.slow
@pytest.mark.parametrize("views", [0, 2])
def test_two_processes_write_once_and_resume_together(project, tmp_path, views):
    changes = {"backbone": "test_efficientnet", "dropout": 0.3, "freeze_backbone": True, "cached_views": views}
    log, unbroken = project("unbroken", *STAGE, **changes)
    assert sorted(unbroken) == ["encoder.json", "history.csv", "params.json", "weights.safetensors"]
    assert [log.count(f"classifier: epoch {number}/3,") for number in (1, 2, 3)] == [1, 1, 1]
    assert not list((tmp_path / ".work/train_classifier").iterdir())
    project("broken", *TWO, "script.py", script=DIES_AFTER_ONE_EPOCH + RUN, dies=True, **changes)
    (checkpoint,) = (tmp_path / ".work/train_classifier").glob("*/*")
    assert (checkpoint.name, checkpoint.parent.name[-2:]) == ("checkpoint", "-2")
    log, resumed = project("broken", *STAGE, **changes)
    assert log.count("classifier: resumed after epoch 1 of 3") == 1
    assert log.count("classifier: epoch 1/3") == 0
    assert resumed == unbroken
