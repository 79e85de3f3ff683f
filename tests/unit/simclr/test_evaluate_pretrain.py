"""What SimCLR gave, on the test split: scores by hand, files repeatable to the byte."""

import copy
from argparse import Namespace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from small import SIMCLR, write_dataset

from stages.contracts.images import encode_jpeg
from stages.core.files import read_json, write_csv, write_json
from stages.networks.backbones.backbones import Backbone
from stages.networks.backbones.features import embed_pictures, load_weights, save_encoder
from stages.simclr import evaluate_pretrain as evaluate_simclr
from stages.simclr.evaluate_pretrain import backbones, heads_of, means, same_weights, score_heads, twins
from stages.simclr.model import SimclrParams

PARAMS = SIMCLR | {"epochs": 2, "keep": "best", "knn_every": 2}
TRAIN = pd.DataFrame(
    {"type": ["a", "a", "b", None], "gender": ["m", "m", "w", "w"], "color": ["red"] * 4, "usage": [None] * 4}
)
TEST = pd.DataFrame({"type": ["a", "b", "b"], "gender": [None, None, None], "color": ["red"] * 3, "usage": [None] * 3})


def test_type_comes_first_and_heads_without_a_choice_are_left_out():
    assert heads_of(TRAIN) == ["type", "gender"]


def test_scores_by_hand():
    """The neighbor of each test row is the row of train with the same one coordinate; the unlabeled fourth never is."""
    reference = np.eye(4, dtype=np.float32)
    asked = (
        reference[[0, 2, 3]] + np.float32([[0], [0], [0.1]]) * reference[1]
    )  # the third is nearest to the fourth, then second
    scores = score_heads(TRAIN, TEST, {"simclr": (reference, asked), "imagenet": None}, k=1)
    assert scores["type"] == {
        "rows": 3, "reference_rows": 3, "classes": 2, "baseline_chance": 0.5, "baseline_majority": pytest.approx(1 / 3),
        "simclr": pytest.approx(2 / 3), "imagenet": None,
    }  # fmt: skip
    assert scores["gender"] == {"rows": 0, "reference_rows": 4, "classes": 2}
    assert means(scores)["simclr"] == scores["type"]["simclr"]
    assert means(scores)["imagenet"] is None


def test_means_are_over_heads_that_have_test_rows():
    one = {"rows": 2, "reference_rows": 1, "classes": 2, "simclr": 0.5}
    assert means({"a": one, "b": one | {"simclr": 1.0}, "c": {"rows": 0}}) == {"simclr": 0.75}
    assert means({}) == {}


@pytest.fixture
def stage(cpu, tmp_path, monkeypatch):
    """Writes an encoder and a data set of two colors with five labels each, and runs the stage."""
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(0)
    rows = [
        {
            "crop_id": f"{split}{number:02}", "split": split, "type": ("blue", "red")[number % 2], "gender": None,
            "bytes": encode_jpeg(Image.new("RGB", (32, 32), tuple(int(value) + int(draw.integers(20)) for value in ((20, 20, 200), (200, 20, 20))[number % 2]))),
        }
        for split in ("train", "test") for number in range(10)
    ]  # fmt: skip
    write_dataset(tmp_path / "dataset", rows)
    torch.manual_seed(7)
    (tmp_path / "simclr").mkdir()
    (tmp_path / "last").mkdir()
    for name in ("simclr", "last"):
        save_encoder(Backbone("test_resnet", "none"), {"knn_majority": 0.5, "epoch": 2}, tmp_path / name)
    write_csv(
        tmp_path / "simclr" / "history.csv",
        ["epoch", "loss", "knn_type"],
        [[0, None, 0.25], [1, 2.5, None], [2, 1.5, 0.75]],
    )
    write_json(tmp_path / "simclr" / "params.json", SimclrParams.model_validate(PARAMS).model_dump())

    def run(out):
        folders = {"model": tmp_path / "simclr", "last": tmp_path / "last"}
        outs = {"metrics": tmp_path / f"{out}-m.json", "plots": tmp_path / out, "report": tmp_path / f"{out}.json"}
        args = Namespace(dataset=tmp_path / "dataset", **outs, **folders)
        report = evaluate_simclr.main(args, SimpleNamespace())
        files = [outs["metrics"], outs["report"], *sorted((tmp_path / out).iterdir())]
        return {path.name.replace(out, "out"): path.read_bytes() for path in files}, report

    return run


def test_stage_writes_scores_and_curves_the_same_every_time(stage, tmp_path, capsys):
    files, report = stage("one")
    assert stage("two")[0] == files
    assert sorted(files) == ["out-m.json", "out.json", "training.csv"]
    assert files["training.csv"].decode().splitlines() == [
        "panel,line,x,y", "loss,train,1,2.5", "loss,train,2,1.5",
        "k-NN on validation,SimCLR,0,0.25", "k-NN on validation,SimCLR,2,0.75",
        "k-NN on validation,majority,0,0.5", "k-NN on validation,majority,2,0.5",
    ]  # fmt: skip
    assert read_json(tmp_path / "one-m.json") == {
        "kept": 1, "last_epoch": 1, "untrained": 1, "majority": 0.5, "chance": 0.5, "kept_epoch": 2,
    }  # fmt: skip
    result = read_json(tmp_path / "one.json")
    assert list(result["heads"]) == ["type"]
    scores = result["heads"]["type"]
    assert scores["imagenet"] is None
    assert scores["baseline_majority"] == scores["baseline_chance"] == 0.5
    # Plain blue and plain red lie far apart whatever the weights.
    assert scores["untrained"] == scores["simclr_last"] == scores["simclr"] == 1
    assert (result["k"], result["kept_epoch"], result["test_rows"]) == (1, 2, 10)
    assert report.metrics == {"type_untrained": 1.0, "type_simclr_last": 1.0, "type_simclr": 1.0}
    assert "no imagenet features" in capsys.readouterr().err


def test_no_epoch_leaves_simclr_out(stage, tmp_path):
    write_json(tmp_path / "simclr" / "params.json", SimclrParams.model_validate(PARAMS | {"epochs": 0}).model_dump())
    _, report = stage("none")
    assert report.metrics == {"type_untrained": 1.0}
    assert read_json(tmp_path / "none-m.json") == {"untrained": 1, "majority": 0.5, "chance": 0.5, "kept_epoch": 2}


def test_untrained_features_have_seeded_weights_of_their_own(stage, tmp_path):
    params = SimclrParams.model_validate(PARAMS)
    first, again = (backbones(tmp_path / "simclr", tmp_path / "last", params) for _ in range(2))
    weight = {name: next(network.parameters()) for name, network in first.items() if network}
    assert torch.equal(weight["untrained"], next(again["untrained"].parameters()))
    assert not torch.equal(weight["untrained"], weight["simclr"])


def test_each_folder_gives_its_own_features(stage, tmp_path):
    found = backbones(tmp_path / "simclr", tmp_path / "last", SimclrParams.model_validate(PARAMS))
    assert list(found) == ["untrained", "imagenet", "simclr_last", "simclr"] and found["imagenet"] is None
    for name, folder in (("simclr_last", "last"), ("simclr", "simclr")):
        again = Backbone("test_resnet", "none")
        load_weights(again, tmp_path / folder)
        assert same_weights(found[name], again)
    assert twins(found) == {}
    found["simclr"] = found["simclr_last"]
    assert twins(found) == {"simclr": "simclr_last"}


def test_features_of_weights_that_were_seen_are_computed_once(stage, tmp_path, monkeypatch):
    untrained = backbones(tmp_path / "simclr", tmp_path / "last", SimclrParams.model_validate(PARAMS))["untrained"]
    kept, moved = (copy.deepcopy(untrained) for _ in range(2))
    with torch.no_grad():
        next(moved.parameters()).view(-1)[0] += 1e-3
    embedded = []
    monkeypatch.setattr(
        evaluate_simclr, "embed_pictures", lambda *args: embedded.append(1) or embed_pictures(*args)
    )  # fmt: skip
    for start, passes in ((kept, 2), (moved, 4)):
        networks = {"untrained": untrained, "imagenet": untrained, "simclr": start}
        monkeypatch.setattr(evaluate_simclr, "backbones", lambda *_, found=networks: found)
        embedded.clear()
        scores = stage("out")[1].metrics
        assert len(embedded) == passes  # two splits of each network
        assert scores["type_simclr"] == scores["type_imagenet"]


@pytest.mark.slow
def test_imagenet_features_are_the_start_of_the_training(tmp_path):
    params = SimclrParams.model_validate(PARAMS | {"backbone": "tf_efficientnet_lite0", "weights": "packaged"})
    trained = Backbone(params.backbone, "none")
    save_encoder(trained, {}, tmp_path)
    found = backbones(tmp_path, tmp_path, params)
    packaged = Backbone(params.backbone, "packaged").state_dict()
    assert all(torch.equal(value, packaged[name]) for name, value in found["imagenet"].state_dict().items())
    assert torch.equal(next(found["simclr"].parameters()), next(trained.parameters()))
