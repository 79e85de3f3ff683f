"""The recipe of words and pictures: what it downloads, what it writes, and what it says where it cannot."""

import logging
import sys

import huggingface_hub
import numpy as np
import pytest
import tiny_clip
import torch
from pydantic import ValidationError
from small_recipes import COMMON

from stages.core.errors import StageError
from stages.encoders import image_text
from stages.encoders.recipe_task import Run
from stages.learning.checkpoints import Checkpoints
from stages.networks.backbones.features import save_encoder
from stages.networks.load import load_encoder

VALUES = {"kind": "image_text", **COMMON, **tiny_clip.recipe_of_the_repository()}


@pytest.fixture
def run(tmp_path):
    return Run("mine", Checkpoints(tmp_path / "work", "key"))


@pytest.fixture
def served(tmp_path, monkeypatch):
    """Serves the files of a repository in place of Hugging Face; its network, and what was asked for."""

    def serve(**changes):
        network = tiny_clip.write_repository(tmp_path / "hub", **changes)
        asked = []

        def download(repository, file, revision):
            asked.append((repository, file, revision))
            return str(tmp_path / "hub" / file)

        monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
        return network, asked

    return serve


def fitted_from_the_repository(recipe, examples, run):
    return image_text.fit(recipe("image_text", **tiny_clip.recipe_of_the_repository()), *examples, run)


def test_published_weights_and_their_tokenizer_come_from_one_commit_and_load_again(
    recipe, examples, run, served, tmp_path, cpu, caplog
):
    network, asked = served()
    with caplog.at_level(logging.INFO):
        fitted = fitted_from_the_repository(recipe, examples, run)
    assert {(repository, revision) for repository, _, revision in asked} == {(tiny_clip.OWNER, tiny_clip.REVISION)}
    assert sorted(file for _, file, _ in asked) == [
        "open_clip_config.json", "open_clip_model.safetensors", "tokenizer.json", "tokenizer_config.json",
    ]  # fmt: skip
    assert f"mine: someone/tiny@{tiny_clip.REVISION}, MIT" in caplog.text
    assert fitted.card["origin"] == f"someone/tiny@{tiny_clip.REVISION}, MIT"
    out = tmp_path / "out"
    out.mkdir()
    save_encoder(fitted.network, fitted.card, out)
    for name, data in fitted.files.items():
        (out / name).write_bytes(data)
    encoder = load_encoder(out)
    pictures = encoder.pixels.decode(examples[1].data[:3])
    assert pictures.shape == (3, 3, 96, 96)
    mean, std = (np.array(tiny_clip.REPOSITORY["preprocess_cfg"][key]).reshape(3, 1, 1) for key in ("mean", "std"))
    normed = torch.tensor((pictures.numpy() / 255 - mean) / std, dtype=torch.float32)
    tokens = torch.tensor([[3, 4, 5, 6, 1, 1, 1, 1]])
    with torch.inference_mode():
        assert np.allclose(encoder.embed(pictures, ["", "", ""]), network.encode_image(normed).numpy(), atol=1e-5)
        assert np.allclose(encoder.embed_words(["a red striped dress"]), network.encode_text(tokens), atol=1e-5)


def test_architecture_with_random_weights_is_built_for_the_size_of_the_recipe(recipe, examples, run, cpu):
    fitted = image_text.fit(recipe("image_text", image_size=48), *examples, run)
    assert fitted.card["image_size"] == fitted.card["config"]["model"]["vision_cfg"]["image_size"] == 48
    assert fitted.card["origin"] is None and fitted.files == {}
    assert fitted.network.model.visual.positional_embedding.shape[0] == 1 + (48 // 16) ** 2


def test_architecture_that_open_clip_lacks_is_one_message(recipe, examples, run):
    with pytest.raises(StageError, match=r"open_clip .* has no architecture 'ViT-Q'. Near: ViT-B-16, "):
        image_text.fit(recipe("image_text", backbone="ViT-Q"), *examples, run)


def test_picture_size_of_another_network_is_one_message(recipe, examples, run, served):
    served()
    values = tiny_clip.recipe_of_the_repository() | {"image_size": 64}
    with pytest.raises(StageError, match=r"`encoder.mine.image_size` is 64; someone/tiny takes 96\."):
        image_text.fit(recipe("image_text", **values), *examples, run)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"hf_model_name": "roberta-base"}, "text_cfg.hf_model_name"),
        ({"tokenizer_kwargs": {"strip_sep_token": True}}, "tokenizer_kwargs.strip_sep_token"),
    ],
)
def test_network_whose_words_need_more_than_a_tokenizer_file_is_refused(recipe, examples, run, served, changes, named):
    served(**changes)
    with pytest.raises(StageError, match=f"someone/tiny uses {named}, which kind image_text does not follow"):
        fitted_from_the_repository(recipe, examples, run)


def test_without_a_network_one_message_names_the_host_and_what_to_do(
    recipe, examples, run, monkeypatch, tmp_path, capfd
):
    """The real client of Hugging Face, which finds nothing at the address that it is given."""
    tiny_clip.open_clip()
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # it tries again for half a minute
    constants, nowhere = huggingface_hub.constants, "http://127.0.0.1:9"
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, nowhere)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "ENDPOINT", nowhere)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(StageError) as stopped:
        fitted_from_the_repository(recipe, examples, run)
    told = str(stopped.value)
    assert "\n" not in told and "Connection refused" in told
    assert told.startswith(
        "mine: open_clip_config.json of someone/tiny could not be downloaded from http://127.0.0.1:9 ("
    )
    assert told.endswith("Connect to the network once and run this again, or take mine out of `encoders`.")
    assert "Retrying" not in capfd.readouterr().err


def test_without_the_package_nothing_is_downloaded(examples, run, monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", None)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *_, **__: pytest.fail("asked the host"))
    with pytest.raises(StageError, match="needs the package open_clip: pip install -r requirements-text.txt"):
        image_text.fit(image_text.RECIPE.model_validate(VALUES), *examples, run)


@pytest.mark.parametrize("missing", [{"revision": None}, {"license": None}, {"backbone": "ViT-B-16"}])
def test_download_needs_a_repository_its_commit_and_its_license(missing):
    image_text.RECIPE.model_validate(VALUES)
    with pytest.raises(ValidationError, match="needs `backbone: OWNER/NAME`, the `revision`"):
        image_text.RECIPE.model_validate(VALUES | missing)


def test_branch_in_place_of_a_commit_is_refused():
    with pytest.raises(ValidationError, match="revision"):
        image_text.RECIPE.model_validate(VALUES | {"revision": "main"})
