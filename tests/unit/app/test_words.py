"""Which encoder takes the words, and that words and garments are compared in its space."""

import sys

import numpy as np
import pytest
import tiny_clip
import torch
import yaml
from small_models import write_project
from small_wardrobe import photo

from stages.app.find import query_of
from stages.app.wardrobe import Wardrobe
from stages.app.words import WordModels, encoder_of_words
from stages.core.errors import StageError
from stages.core.params import load_params
from stages.networks.backbones.features import save_encoder
from stages.networks.encoders.image_text import ImageText
from stages.networks.encoders.kinds import card_of

PARAMS = {
    "profile": "mine",
    "encoders": ["classifier", "plain", "words", "more"],
    "encoder": {"plain": {"kind": "frozen"}, "words": {"kind": "image_text"}, "more": {"kind": "image_text"}},
}


def test_first_listed_encoder_of_words_takes_them():
    assert encoder_of_words(PARAMS) == "words"


def test_profile_without_an_encoder_of_words_says_which_line_adds_one():
    for params in (PARAMS | {"encoders": ["classifier", "plain"]}, {"profile": "mine", "encoders": ["simclr"]}):
        with pytest.raises(StageError) as stopped:
            WordModels.open(params)
        assert str(stopped.value) == (
            "profile mine lists no encoder that takes words. Add fashion_siglip to `encoders` in profiles/mine.yaml and "
            "run `make repro PROFILE=mine` (docs/find.md)."
        )


def test_without_the_package_the_models_are_not_opened(monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(StageError, match="needs the package open_clip: pip install -r requirements-text.txt"):
        WordModels.open(PARAMS)


@pytest.fixture
def project(tmp_path, monkeypatch, cpu):
    """A project with untrained models, one of them of words and pictures; its network."""
    tiny_clip.open_clip()
    write_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    params = load_params() | {"encoders": ["classifier", "plain", "words"]}
    params["encoder"] = {"plain": {"kind": "frozen"}, "words": {"kind": "image_text"}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    config = {"model": tiny_clip.ARCHITECTURE, "mean": [0.5] * 3, "std": [0.5] * 3, "pad_token": None}
    torch.manual_seed(4)
    network = ImageText(config).eval()
    folder = tmp_path / "models/mine/encoders/words"
    folder.mkdir()
    save_encoder(network, card_of("image_text", image_size=32, config=config, origin="a test"), folder)
    return network


@pytest.mark.slow
def test_garments_come_in_the_order_of_their_cosine_to_the_words(project, tmp_path):
    for name, color in (("red.jpg", (200, 20, 20)), ("green.jpg", (20, 180, 40)), ("blue.jpg", (20, 20, 200))):
        photo(tmp_path / "clothes" / name, color, (240, 240, 240), size=(120, 160))
    models = WordModels.open()
    assert models.origin == "a test"
    wardrobe = Wardrobe(models, tmp_path / "wardrobe")
    wardrobe.add([tmp_path / "clothes"])
    matches = wardrobe.matches(query_of(models.vector_of("a red striped dress")), top=3)

    # Again with open_clip alone, from the crops that the detectors find.
    package = tiny_clip.open_clip()
    with torch.inference_mode():
        words = project.model.encode_text(package.tokenize(["a red striped dress"], context_length=12))[0].numpy()
        expected = {}
        for path in (tmp_path / "clothes").iterdir():
            _, garments = models.garments(path.read_bytes(), path)
            pictures = models.words.pixels.decode([garment.crop for garment in garments])
            vectors = project.model.encode_image((pictures / 255 - 0.5) / 0.5).numpy()
            cosines = vectors @ words / (np.linalg.norm(vectors, axis=1) * np.linalg.norm(words))
            expected[path.name] = cosines.max()
    order = sorted(expected, key=expected.__getitem__, reverse=True)
    assert [match.item.photo.name for match in matches] == order
    assert [match.similarity for match in matches] == pytest.approx([expected[name] for name in order], abs=1e-5)


@pytest.mark.slow
def test_its_vectors_have_a_place_of_their_own_in_the_store(project, tmp_path):
    from stages.app.models import Models

    photo(tmp_path / "clothes" / "red.jpg", (200, 20, 20), size=(120, 160))
    plain = Wardrobe(Models.open(), tmp_path / "wardrobe")
    plain.add([tmp_path / "clothes"])
    words = Wardrobe(WordModels.open(), tmp_path / "wardrobe")
    assert words.key != plain.key
    words.sync()
    assert len(words.catalog()) == len(plain.catalog()) > 0
    assert (words.catalog().vectors.shape[1], plain.catalog().vectors.shape[1]) == (16, 16)
    assert not np.allclose(words.catalog().vectors[0], plain.catalog().vectors[0])
    assert words.items()[0].attributes == plain.items()[0].attributes  # the classifier's, as in every search


def test_listed_encoder_that_was_not_made_yet_says_what_makes_it(project, tmp_path):
    (tmp_path / "models/mine/encoders/words/encoder.json").unlink()
    with pytest.raises(StageError, match="encoders/words: no such encoder yet. Run `dvc repro train_encoder@words`"):
        WordModels.open()


def test_other_weights_of_the_encoder_are_another_key(project, tmp_path):
    first = Wardrobe(WordModels.open(), tmp_path / "wardrobe").key
    assert Wardrobe(WordModels.open(), tmp_path / "wardrobe").key == first
    (tmp_path / "models/mine/encoders/words/weights.safetensors").write_bytes(b"others")
    assert Wardrobe(WordModels.open(), tmp_path / "wardrobe").key != first
