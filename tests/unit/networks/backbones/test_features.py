"""Pictures and features, their mirror images, and encoders as files."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from stages.core.errors import StageError
from stages.networks.backbones import features as pictures_module
from stages.networks.backbones.backbones import Backbone
from stages.networks.backbones.features import (
    BackboneEncoder,
    Pictures,
    Pixels,
    embed_pictures,
    in_passes,
    load_weights,
    mean_vectors,
    mirrored,
    passes,
    save_encoder,
    square,
)

TINY = "test_resnet"  # timm's own network for tests, 96 features


def test_saved_encoder_gives_the_same_vectors(tmp_path, crops, cpu):
    backbone = Backbone(TINY, "none").eval()
    save_encoder(backbone, {"backbone": TINY, "image_size": 32, "metric": "cosine"}, tmp_path)
    encoder = BackboneEncoder(tmp_path)
    with torch.inference_mode():
        expected = backbone(square(32).decode(crops)).numpy()
    vectors = encoder.embed(encoder.pixels.decode(crops), ["top"] * len(crops))
    assert encoder.metric == "cosine"
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, expected, rtol=0, atol=1e-5)


def test_weights_of_another_backbone_are_one_message(tmp_path):
    save_encoder(torch.nn.Linear(2, 2), {}, tmp_path)
    with pytest.raises(StageError, match="weights do not fit encoder.json"):
        load_weights(torch.nn.Linear(2, 3), tmp_path)
    (tmp_path / "weights.safetensors").unlink()
    with pytest.raises(StageError, match="weights do not fit"):
        load_weights(torch.nn.Linear(2, 2), tmp_path)


def test_features_do_not_depend_on_the_batch_and_leave_the_mode_alone(crops, cpu):
    backbone = Backbone(TINY, "none").train()
    pictures = Pictures(crops, 32)
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    one, all_at_once = embed_pictures(backbone, pictures, 5), embed_pictures(backbone, pictures, 100)
    assert backbone.training
    assert one.shape == (12, 96)
    np.testing.assert_allclose(one, all_at_once, rtol=0, atol=1e-5)
    assert all(torch.equal(before[name], value) for name, value in backbone.state_dict().items())


@pytest.mark.parametrize("reason", ["not kept", "too large"])
def test_pictures_are_the_same_decoded_once_or_on_the_fly(crops, monkeypatch, reason):
    cached = Pictures(crops, 24)
    if reason == "too large":
        monkeypatch.setattr(pictures_module, "CACHE_BYTES", 10)
    lazy = Pictures(crops, 24, keep=reason == "too large")
    assert (cached.decoded is None, lazy.decoded is None, len(lazy)) == (False, True, 12)
    rows = torch.tensor([3, 0, 11])
    assert torch.equal(cached.batch(rows), lazy.batch(rows))
    # 40 x 60 becomes 16 x 24, centered: four white columns on each side.
    image = cached.batch([0])[0]
    assert image.shape == (3, 24, 24)
    assert (image[:, :, :4] == 255).all()
    assert (image[:, :, 20:] == 255).all()


def test_equal_inputs_are_equal_and_say_how_large_a_picture_is():
    assert square(32) == Pixels(32, 32, "pad") and len({square(32), square(32), square(32, "cover")}) == 2
    assert Pixels(48, 32).bytes_each == 3 * 48 * 32


def test_forward_passes_on_a_cpu_hold_a_million_pixels_and_give_the_same_vectors(monkeypatch):
    assert [len(range(200)[part]) for part in passes(torch.zeros(200, 3, 128, 128, dtype=torch.uint8))] == [
        64,
        64,
        64,
        8,
    ]
    assert [len(range(3)[part]) for part in passes(torch.zeros(3, 3, 2048, 1024, dtype=torch.uint8))] == [1, 1, 1]
    backbone = Backbone(TINY, "none").eval()
    images = torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8)
    monkeypatch.setattr(pictures_module, "PASS_PIXELS", 2 * 32 * 32)
    with torch.inference_mode():
        assert torch.allclose(in_passes(backbone, images), backbone(images), atol=1e-5)


def test_mirrored_pictures_are_the_pictures_turned_round():
    images = torch.arange(6, dtype=torch.uint8).view(1, 1, 2, 3)
    assert mirrored(images).tolist() == [[[[2, 1, 0], [5, 4, 3]]]]


@pytest.mark.parametrize("fit", ["pad", "cover"])
def test_flipped_tensor_is_the_input_of_the_mirrored_picture(fit):
    """Here to the pixel: what is added or cut off on both sides is even, and 80 x 48 is resized to the half."""
    array = np.random.default_rng(0).integers(0, 255, (80, 48, 3), dtype=np.uint8)
    plain, turned = (
        Pixels(40, 40, fit).decode([bmp(Image.fromarray(one))]) for one in (array, np.ascontiguousarray(array[:, ::-1]))
    )
    assert torch.equal(mirrored(plain), turned)


def bmp(image):
    """Encoded without loss."""
    stream = io.BytesIO()
    image.save(stream, "BMP")
    return stream.getvalue()


def test_cosine_mean_is_the_bisector_whatever_the_lengths():
    plain, mirrored = np.array([[3.0, 0.0]], np.float32), np.array([[0.0, 100.0]], np.float32)
    assert mean_vectors(plain, mirrored, "cosine").tolist()[0] == pytest.approx([0.5**0.5, 0.5**0.5])
    assert mean_vectors(plain, np.zeros_like(plain), "cosine").tolist() == [[1.0, 0.0]]
    assert np.isfinite(mean_vectors(plain, -plain, "cosine")).all()


def test_euclidean_mean_keeps_the_lengths():
    plain, mirrored = np.array([[3.0, 0.0]], np.float32), np.array([[0.0, 100.0]], np.float32)
    assert mean_vectors(plain, mirrored, "euclidean").tolist() == [[1.5, 50.0]]
