"""The stage: heads are chosen, a killed training goes on, several processes train the same as one."""

import shutil
from argparse import Namespace
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from launching import DIES_AFTER_ONE_EPOCH, TWO, Killed, contents, launch
from places import TABLES
from safetensors.torch import load
from small import PLAIN_RUNTIME, write_dataset
from small_classifier import RUNTIME

from stages.classifier.training import train_classifier as train
from stages.classifier.training import trainer
from stages.classifier.training.batches import predict, prepare
from stages.classifier.training.calibration import temperatures
from stages.classifier.training.train_classifier import choose_classes
from stages.core.determinism import use_runtime
from stages.core.errors import StageError
from stages.core.files import read_json, write_json
from stages.learning import loop
from stages.networks.backbones.backbones import Backbone
from stages.networks.backbones.features import read_crops, save_encoder
from stages.networks.classifier import ClassifierEncoder, ClassifierParams

STEPS = 3  # of an epoch: 12 rows in batches of 4


def encoder_params(folder):
    return ClassifierParams.model_validate(read_json(folder / "params.json"))


@pytest.fixture
def stage(crops, params, cpu, tmp_path, monkeypatch):
    """Runs the stage in a project of its own; gives the bytes of its outs and the epochs that it trained."""
    small = params(epochs=4, projection=16, hidden=[16, 16], dropout=0.3, learning_rate=0.01)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("runtime: {threads: 1, deterministic: true}\n")
    rows = [
        {
            "crop_id": f"{split}{number:02}", "bytes": crops[number % 6], "split": split, "source": "ab"[number % 2],
            "detected_class": "top", "superclass": "top", "type": ("dress", "shirt", "skirt")[number % 3],
            "color": None if number == 5 else ("blue", "red")[number % 2],
        }
        for split in ("train", "val") for number in range(12)
    ]  # fmt: skip
    write_dataset(tmp_path / "dataset", rows)
    write_json(
        tmp_path / "dataset" / "vocabulary.json", {"type": ["dress", "shirt", "skirt"], "color": ["blue", "red"]}
    )
    (tmp_path / "simclr").mkdir()
    encoder = Backbone("test_efficientnet", "none")
    save_encoder(encoder, {"backbone": "test_efficientnet"}, tmp_path / "simclr")
    (tmp_path / "tables").mkdir()
    shutil.copy(TABLES / "superclasses.csv", tmp_path / "tables")
    step, epoch, epochs = train.Trainer._loss, loop.train_epoch, []

    def counted(task, number, group):
        epochs.append(number)
        return epoch(task, number, group)

    monkeypatch.setattr(loop, "train_epoch", counted)

    def run(out, kill_at_step=None, **changes):
        left = iter(range(kill_at_step if kill_at_step is not None else 10**6))

        def loss(*arguments):
            if next(left, None) is None:
                raise Killed
            return step(*arguments)

        monkeypatch.setattr(train.Trainer, "_loss", loss)
        epochs.clear()
        args = Namespace(**{name: tmp_path / name for name in ("dataset", "simclr", "tables")}, out=tmp_path / out)
        report = train.main(args, SimpleNamespace(classifier=small.model_copy(update=changes), runtime=RUNTIME))
        files = ("weights.safetensors", "history.csv", "encoder.json", "params.json")
        return {name: (tmp_path / out / name).read_bytes() for name in files}, report

    yield run, epochs, tmp_path
    torch.use_deterministic_algorithms(False)


def test_card_has_the_temperature_of_each_head_fitted_on_validation(stage):
    run, _, project = stage
    run("out")
    card, encoder = read_json(project / "out" / "encoder.json"), ClassifierEncoder(project / "out")
    assert encoder.temperatures == card["temperatures"]
    assert encoder.superclass_of == {"dress": "top", "shirt": "top", "skirt": "top"}
    rows = prepare(
        read_crops(project / "dataset", "val"), card["classes"], card["superclasses"], encoder_params(project / "out")
    )
    assert temperatures(predict(encoder.network, rows, 4), rows.targets) == pytest.approx(
        card["temperatures"], abs=1e-3
    )


def test_superclass_of_a_type_is_that_of_most_of_its_rows():
    rows = pd.DataFrame(
        [("Shirt", "top"), ("Shirt", "outwear"), ("Shirt", "top"), ("Vest", "top"), ("Vest", "outwear"), (None, "top")],
        columns=["type", "superclass"],
    )
    assert train.superclasses_of_types(rows) == {"Shirt": "top", "Vest": "outwear"}


@pytest.mark.slow
def test_killed_training_goes_on_and_ends_with_the_same_bytes(stage, capsys):
    run, epochs, project = stage
    unbroken = run("unbroken")
    assert epochs == [0, 1, 2, 3] and not list((project / ".work/train_classifier").iterdir())
    for steps, started in ((STEPS + 1, [0, 1]), (2 * STEPS + 2, [1, 2, 3])):
        with pytest.raises(Killed):
            run("broken", kill_at_step=steps)
        assert epochs == started
    capsys.readouterr()
    assert run("broken") == unbroken
    assert epochs == [3]
    assert "classifier: resumed after epoch 3 of 4\n" in capsys.readouterr().err
    assert not list((project / ".work/train_classifier").iterdir())


@pytest.mark.slow
def test_best_weights_of_an_epoch_before_the_kill_are_kept(stage, monkeypatch):
    run, epochs, _ = stage
    # Scores that fall from epoch to epoch: the best weights are the first's.
    monkeypatch.setattr(trainer, "accuracies", lambda probabilities, rows: {"type": 1 / (1 + epochs[-1])})
    unbroken = run("unbroken")
    with pytest.raises(Killed):
        run("broken", kill_at_step=2 * STEPS + 1)
    assert run("broken") == unbroken
    assert epochs == [2, 3]


@pytest.mark.slow
def test_kill_while_the_outs_are_written_trains_nothing_again(stage, monkeypatch):
    def kill(*arguments):
        raise Killed

    run, epochs, _ = stage
    unbroken = run("unbroken")
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(train, "save_encoder", kill)
        run("broken")
    assert run("broken") == unbroken
    assert epochs == []


@pytest.mark.parametrize("changed", ["params", "runtime", "encoder", "vocabulary"])
def test_what_changes_the_result_starts_over(stage, capsys, changed):
    run, epochs, project = stage
    with pytest.raises(Killed):
        run("out", kill_at_step=STEPS + 1, epochs=2)
    if changed == "runtime":
        use_runtime({"threads": 1, "deterministic": False})
    if changed == "encoder":
        save_encoder(
            Backbone("test_efficientnet", "none"), read_json(project / "simclr/encoder.json"), project / "simclr"
        )
    if changed == "vocabulary":
        names = {"type": ["skirt", "shirt", "dress"], "color": ["blue", "red"]}
        write_json(project / "dataset/vocabulary.json", names)
    run("out", epochs=2, **({"dropout": 0.0} if changed == "params" else {}))
    assert epochs == [0, 1]
    assert "resumed" not in capsys.readouterr().err


VOCABULARY = {"type": ["dress", "shirt"], "color": ["blue", "red"]}


def test_unknown_is_one_more_class_only_where_it_is_wanted():
    assert choose_classes(VOCABULARY, ["color"]) == {"color": ["blue", "red"]}
    assert choose_classes(VOCABULARY, ["color"], "as_class") == {"color": ["blue", "red", "unknown"]}
    assert VOCABULARY["color"] == ["blue", "red"]


def test_wanted_heads_are_chosen_and_others_refused():
    vocabulary = {"type": ["a", "b"], "color": ["red"], "gender": ["m", "w"]}
    assert choose_classes(vocabulary, ["type"]) == {"type": ["a", "b"]}
    with pytest.raises(StageError, match="'sleeve' is no head; the data set has color, gender, type"):
        choose_classes(vocabulary, ["sleeve"])
    with pytest.raises(StageError, match=r"'color' has 1 classes in the training split \(red\); a head needs two"):
        choose_classes(vocabulary, ["type", "color"])


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
            "detected_class": ("top", "dress")[number % 2], "superclass": "top", "type": ("dress", "shirt", "skirt")[number % 3],
            # Two rows in all: of most batches one process knows no color, of many none does.
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
    """Without batch norm, which CPUs cannot synchronize, and without random numbers, of which each draws its own."""
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
