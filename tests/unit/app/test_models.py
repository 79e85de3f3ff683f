"""The models' key, where they are missing, and what needs no network."""

import os
import subprocess
import sys

import pytest
import yaml
from places import ROOT
from small_wardrobe import photo

from stages.app.models import Models, stamp
from stages.app.wardrobe import Wardrobe
from stages.core.errors import StageError
from stages.core.files import write_json
from stages.core.params import load_params


@pytest.fixture
def models(tmp_path, monkeypatch):
    """Opens models whose cards are there, with changed params."""
    params = load_params()
    monkeypatch.chdir(tmp_path)
    for name in params["detectors"]:
        card = {"superclasses": [name], "image_size": 64, "model": "yolo11-lite0.yaml"}
        write_json(tmp_path / "models" / "demo" / "detectors" / name / "detector.json", card)
    write_json(
        tmp_path / "models" / "demo" / "encoders" / "classifier" / "encoder.json", {"classes": {"color": ["a", "b"]}}
    )

    def make(confidence=None, **changes):
        return Models.open({**params, **changes}, confidence)

    make.params = params
    return make


def keys(models):
    return models.key({path: str(stamp(path)) for path in models.files()})


def test_key_follows_what_changes_what_is_found(models, tmp_path):
    first, crops = keys(models()), models.params["crops"]
    assert keys(models()) == first
    assert keys(models(confidence=0.9)) != first
    assert keys(models(nms={"iou": 0.5, "per_class": True})) != first
    assert keys(models(crops=crops | {"padding": 0.3})) != first
    assert keys(models(detectors=models.params["detectors"][:1])) != first
    (tmp_path / "models" / "demo" / "encoders" / "classifier" / "weights.safetensors").write_bytes(b"new")
    assert keys(models()) != first


def test_key_passes_over_what_changes_nothing(models):
    first, crops = keys(models()), models.params["crops"]
    assert keys(models(crops=crops | {"shards": 9, "batch": 3})) == first
    assert keys(models(app={"unsure_below": 0.9})) == first


def test_cards_say_what_can_be_chosen(models):
    opened = models()
    assert opened.heads == {"color": ["a", "b"]}
    assert opened.superclasses == models.params["detectors"]
    assert opened.unsure_below == models.params["app"]["unsure_below"]


def test_without_models_the_message_says_what_to_run(models, tmp_path):
    (tmp_path / "models" / "demo" / "encoders" / "classifier" / "encoder.json").unlink()
    with pytest.raises(StageError, match="no trained classifier there. Run `make repro` first"):
        models()


@pytest.fixture
def salient_models(models, tmp_path):
    """Opens models whose crops are cut by salient boxes."""
    card = tmp_path / "models/demo/encoders/classifier/encoder.json"

    def make(superclass_of):
        write_json(card, {"classes": {"type": ["Shirt", "Pants"]}, "superclass_of": superclass_of})
        return models(crops=models.params["crops"] | {"boxes": "salient"})

    return make


def test_classifier_of_an_earlier_version_cannot_give_salient_boxes_their_class(salient_models):
    with pytest.raises(StageError, match=r"encoder.json: key 'superclass_of'.*Run `make repro`"):
        salient_models({})


def test_missing_network_of_masks_is_no_fault_of_a_photo(salient_models, tmp_path, monkeypatch):
    def lacking():
        raise StageError("not installed. Run `make salient`.")

    monkeypatch.setattr("stages.salient.network.load_network", lacking)
    photo(tmp_path / "clothes/red.jpg", "red")
    wardrobe = Wardrobe(salient_models({"Shirt": "top"}), tmp_path / "store")
    with pytest.raises(StageError, match="Run `make salient`"):
        wardrobe.add([tmp_path / "clothes"])
    assert wardrobe.catalog().unreadable == {}


def test_list_and_remove_of_a_wardrobe_do_without_torch(models, tmp_path):
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(models.params), encoding="utf-8")
    program = """
import sys
from contextlib import suppress
from stages.app import command
for words in (["list"], ["remove", "x"]):
    sys.argv = ["wardrobe", *words]
    with suppress(SystemExit):
        command.main()
print("torch" in sys.modules)
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    output = subprocess.check_output([sys.executable, "-c", program], cwd=tmp_path, env=environment, text=True)
    assert output.splitlines() == ["0 photos, 0 garments", "nothing was added yet", "0 photos, 0 garments", "False"]
