"""Networks of words and pictures: their vectors are open_clip's, and words become the tokens of their network."""

import sys

import numpy as np
import pytest
import tiny_clip
import torch

from stages.core.errors import StageError
from stages.networks.backbones.features import save_encoder
from stages.networks.encoders.image_text import ImageText, import_open_clip, tokenizer_of
from stages.networks.encoders.kinds import card_of
from stages.networks.load import load_encoder

MEAN, STD = [0.5, 0.4, 0.3], [0.5, 0.25, 0.2]


def tiny_config(**text):
    shape = tiny_clip.ARCHITECTURE | {"text_cfg": tiny_clip.ARCHITECTURE["text_cfg"] | text}
    return {"model": shape, "mean": MEAN, "std": STD, "pad_token": None}


@pytest.fixture
def network(cpu):
    tiny_clip.open_clip()
    return ImageText(tiny_config()).eval()


def test_without_the_package_one_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(StageError, match="needs the package open_clip: pip install -r requirements-text.txt"):
        import_open_clip()
    with pytest.raises(StageError, match="needs the package open_clip"):
        ImageText(tiny_config())


def test_pictures_have_the_vectors_of_the_network_for_normalized_pixels(network):
    images = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    normed = np.stack([(images[:, at].numpy() / 255 - MEAN[at]) / STD[at] for at in range(3)], axis=1)
    with torch.inference_mode():
        expected = network.model.encode_image(torch.tensor(normed, dtype=torch.float32))
        assert torch.allclose(network(images), expected, atol=1e-5)


def test_words_have_the_vectors_of_the_network_for_the_tokens_of_clip(network, tmp_path):
    package = tiny_clip.open_clip()
    save_encoder(network, card_of("image_text", image_size=32, config=tiny_config(), origin=None), tmp_path)
    encoder = load_encoder(tmp_path)
    texts = ["a red striped dress", "A  Red striped DRESS", "shoes"]
    with torch.inference_mode():
        expected = network.model.encode_text(package.tokenize(texts, context_length=12)).numpy()
    vectors = encoder.embed_words(texts)
    assert vectors.dtype == np.float32 and np.allclose(vectors, expected, atol=1e-6)
    assert np.allclose(vectors[0], vectors[1]) and not np.allclose(vectors[0], vectors[2])


def test_words_become_the_ids_of_a_tokenizer_file_filled_up_to_the_length(tmp_path):
    folder = tmp_path / "repository"
    tiny_clip.write_repository(folder)
    config = {"model": tiny_clip.REPOSITORY["model_cfg"], "pad_token": "</s>"}
    tokens = tokenizer_of(config, folder)(["A red,  striped dress!", "dress", " ".join(["red"] * 20), "hat"])
    assert tokens.dtype == torch.int64
    assert tokens.tolist() == [
        [3, 4, 5, 6, 1, 1, 1, 1],
        [6, 1, 1, 1, 1, 1, 1, 1],
        [4, 4, 4, 4, 4, 4, 4, 1],
        [2, 1, 1, 1, 1, 1, 1, 1],
    ]


def test_encoder_without_its_tokenizer_file_is_one_message(tmp_path):
    tiny_clip.open_clip()
    config = {"model": tiny_clip.REPOSITORY["model_cfg"], "pad_token": None}
    with pytest.raises(StageError, match="tokenizer.json: no such file, so this encoder takes no words"):
        tokenizer_of(config, tmp_path)


def test_network_that_open_clip_cannot_build_is_one_message():
    tiny_clip.open_clip()
    with pytest.raises(StageError, match="cannot build this network: .*no_such_key.*requirements-text.txt"):
        ImageText(tiny_config(no_such_key=1))
