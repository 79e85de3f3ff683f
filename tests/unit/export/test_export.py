"""`make export`: what the folder holds, and what it says when it cannot be written."""

import hashlib
import io
import json
import shutil
import sys

import numpy as np
import onnxruntime
import pytest

from stages.core.errors import StageError
from stages.core.params import load_params
from stages.encoders.recipe_task import Run
from stages.encoders.recipes import recipe_module
from stages.export import export as command
from stages.export.export import export
from stages.export.reader import Reader, resized, unit
from stages.learning.checkpoints import Checkpoints
from stages.networks.backbones.features import save_encoder, square
from stages.networks.encoders.kinds import RECIPES
from stages.networks.load import load_encoder

pytestmark = pytest.mark.slow


@pytest.fixture
def here(project, cpu, monkeypatch):
    monkeypatch.chdir(project)
    return project


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_folder_has_networks_settings_and_the_reader(exported, project):
    assert sorted(path.name for path in exported.iterdir()) == [
        "classifier.onnx", "detector_clothes.onnx", "detector_more.onnx", "pipeline.json", "reader.py",
        "reader_boxes.py",
    ]  # fmt: skip
    settings = json.loads((exported / "pipeline.json").read_text())
    assert [one["classes"] for one in settings["detectors"]] == 2 * [["top", "bottom", "dress"]]
    assert [one["image_size"] for one in settings["detectors"]] == [96, 64]
    assert settings["confidence"] == 0.3 and settings["nms"] == {"iou": 0.6, "per_class": True}
    assert set(settings["crop"]) == {"padding", "shape", "background", "max_side", "min_side", "jpeg_quality"}
    assert settings["classifier"]["heads"] == {"type": ["dress", "shirt", "skirt"], "color": ["blue", "red"]}
    assert settings["classifier"]["temperatures"] == {"type": 2.0, "color": 1.0}
    assert settings["classifier"]["image"] == {"height": 48, "width": 48, "fit": "pad"}
    assert (settings["encoder"]["name"], settings["encoder"]["file"]) == ("classifier", "classifier.onnx")
    weights = project / "models/mine/encoders/classifier/weights.safetensors"
    for part in (*settings["detectors"], settings["classifier"], settings["encoder"]):
        assert hashlib.sha256((exported / part["file"]).read_bytes()).hexdigest() == part["sha256"]
    assert settings["encoder"]["weights_sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()


def test_second_export_replaces_the_first_with_the_same_bytes_and_lists_them(
    exported, here, tmp_path, monkeypatch, capsys
):
    out = tmp_path / "exports" / "a b"
    shutil.copytree(exported, out)
    (out / "left.txt").write_text("of an earlier version")
    monkeypatch.setattr(sys, "argv", ["export", str(out)])
    command.main()
    assert files(out) == files(exported)
    assert [path.name for path in out.parent.iterdir()] == [out.name]  # nothing half made is left
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("classifier.onnx", "detector_more.onnx", "reader.py", "MB"))
    assert f"try it: python {out}/reader.py PHOTO" in shown


@pytest.mark.parametrize("kind", RECIPES)
def test_encoder_of_every_kind_gives_the_vectors_of_the_project(kind, recipe, examples, tmp_path, cpu):
    fitted = recipe_module(kind, "test").fit(
        recipe(kind), *examples, Run("mine", Checkpoints(tmp_path / "work", "key"))
    )
    folder, out = tmp_path / "mine", tmp_path / "out"
    for path in (folder, out):
        path.mkdir()
    save_encoder(fitted.network, fitted.card, folder)
    encoder = load_encoder(folder)
    told = command.write_encoder(encoder, folder, out)
    session = onnxruntime.InferenceSession(str(out / told["file"]), providers=["CPUExecutionProvider"])
    for crop in examples[1].data[:3]:
        expected = encoder.embed(encoder.pixels.decode([crop]), [""])
        picture = np.asarray(resized(io.BytesIO(crop), told["image"]["width"], told["image"]["height"], "pad"))
        (found,) = session.run(None, {"image": picture.transpose(2, 0, 1)[None]})
        assert (unit(found) * unit(expected)).sum() > 0.99999
        assert np.linalg.norm(found) == pytest.approx(np.linalg.norm(expected), rel=1e-3)


def test_encoder_of_another_kind_searches_and_the_classifier_describes(here, exported, photos, tmp_path):
    out = export(tmp_path / "other", "plain", load_params())
    assert {path.name for path in out.iterdir()} == {*files(exported), "encoder_plain.onnx"}
    plain, own = Reader(out), Reader(exported)
    first, second = plain.read(photos[1])[0], own.read(photos[1])[0]
    assert (first.box, first.attributes) == (second.box, second.attributes)
    assert len(first.vector) != len(second.vector) == 16


class Bare:
    """An encoder of some future kind, without a network of its own."""

    metric, pixels = "cosine", square(32)


def test_encoder_that_is_no_network_is_one_message(here, tmp_path):
    with pytest.raises(StageError, match="an encoder of kind frozen is no single network and cannot be exported"):
        command.write_encoder(Bare(), here / "models/mine/encoders/plain", tmp_path)


def run(monkeypatch, capsys, *arguments):
    """Exit status and messages of the command."""
    monkeypatch.setattr(sys, "argv", ["export", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        command.main()
    return stopped.value.code, capsys.readouterr().err


def test_unknown_encoder_is_one_message(here, monkeypatch, capsys):
    status, said = run(monkeypatch, capsys, "new", "--encoder", "siamese")
    assert (status, (here / "new").exists()) == (1, False)
    assert "no encoder 'siamese'; expected one of `encoders` in params.yaml: classifier, plain." in said


@pytest.mark.parametrize("lost", ["detectors/more", "encoders/classifier", "encoders/plain"])
def test_missing_model_says_what_to_run(project, tmp_path, monkeypatch, capsys, lost):
    shutil.copytree(project, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("export"))
    (tmp_path / "models/mine" / lost / "weights.safetensors").unlink()
    monkeypatch.chdir(tmp_path)
    status, said = run(monkeypatch, capsys, "--encoder", "plain")
    assert (status, (tmp_path / "export").exists()) == (1, False)
    assert f"no trained models in models/mine/{lost}. Run `make repro` first (or `dvc pull`)." in said


def test_folder_of_something_else_is_left_alone(here, tmp_path, monkeypatch, capsys):
    for name, content in (
        ("a/notes.txt", "mine"),
        ("b/pipeline.json", "{}"),
        ("c/pipeline.json", "[1"),
        ("d", "a file"),
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
        out = tmp_path / name.partition("/")[0]
        status, said = run(monkeypatch, capsys, out)
        assert (status, path.read_text()) == (1, content)
        assert f"{out}: is there already and not an empty folder. Name a new folder, or empty this one." in said


def test_folder_that_cannot_be_made_is_one_message(here, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    status, said = run(monkeypatch, capsys, tmp_path / "file" / "out")
    assert status == 1 and "Traceback" not in said
    assert said.strip().endswith("Not a directory.") or "File exists" in said


def test_interrupted_export_leaves_the_earlier_one(here, exported, monkeypatch):
    before = files(exported)

    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "write_classifier", stopped)
    with pytest.raises(KeyboardInterrupt):
        export(exported, "classifier", load_params())
    assert files(exported) == before and [path.name for path in exported.parent.iterdir()] == ["mine"]
